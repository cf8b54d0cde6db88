"""The real app over this paper's small models: `python -m tests.demo.self_conditioned.fake_app --port 7900`."""

from tests.demo.fake_app import serve

if __name__ == "__main__":
    serve("self_conditioned")
