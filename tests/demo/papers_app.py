"""The app over the small models of three papers: `python -m tests.demo.papers_app --port 7900`."""

from tests.demo.fake_app import serve

if __name__ == "__main__":
    serve("swapping_autoencoder", "self_conditioned", "insetgan")
