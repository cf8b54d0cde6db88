"""The real app over fake models: `python -m tests.demo.fake_app --port 7900` has the fake face editor only.

`python -m tests.demo.comodgan.fake_app` and `python -m tests.demo.papers_app` have papers' small models beside it.
"""

import importlib
import sys

import pytest

import app
from tests.demo import fakes


def serve(*papers: str) -> None:
    """Run the app with the command line's flags, over the fake editor and the `fakes` of these papers."""
    patch = pytest.MonkeyPatch()
    # Gradio must find its environment set when the app's modules are imported for patching.
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    options = app.settings_module.read(sys.argv[1:])
    patch.setattr(app.settings_module, "read", lambda _arguments: options)
    app.settings_module.export(options)
    fakes.install(patch)
    for paper in papers:
        importlib.import_module(f"tests.demo.{paper}.fakes").install(patch)
    app.main(sys.argv[1:])


if __name__ == "__main__":
    serve()
