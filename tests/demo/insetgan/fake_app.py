"""The app over the fake editor and small random generators: `python -m tests.demo.insetgan.fake_app --port 7900`."""

import sys

import pytest

import app
from tests.demo import fakes

if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    # Gradio must find its environment set when the app's modules are imported for patching.
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    options = app.settings_module.read(sys.argv[1:])
    patch.setattr(app.settings_module, "read", lambda _arguments: options)
    app.settings_module.export(options)
    fakes.install(patch)
    from tests.demo.insetgan import fakes as insetgan_fakes

    insetgan_fakes.install(patch)
    app.main(sys.argv[1:])
