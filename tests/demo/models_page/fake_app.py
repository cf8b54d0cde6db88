"""The real app over the fake editor, with a catalogue of small models at STUDIO_TEST_SOURCE."""

import dataclasses
import os
import sys

import pytest

from weights import published

if __name__ == "__main__":
    source = os.environ["STUDIO_TEST_SOURCE"]
    size, digest = int(os.environ["STUDIO_TEST_SIZE"]), os.environ["STUDIO_TEST_SHA256"]
    small = [
        dataclasses.replace(
            published.published(name),
            files=(published.PublishedFile("body.pkl", (f"{source}/gone", f"{source}/slow"), size, digest),),
        )
        for name in ("stylegan_human_v2_512", "shhq_sg2_512")
    ]
    rest = [entry for entry in published.PUBLISHED if entry.name not in {model.name for model in small}]
    published.PUBLISHED = (*small, *rest)

    import app
    from tests.demo import fakes

    patch = pytest.MonkeyPatch()
    # Gradio must find its environment set when the app's modules are imported for patching.
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    options = app.settings_module.read(sys.argv[1:])
    patch.setattr(app.settings_module, "read", lambda _arguments: options)
    app.settings_module.export(options)
    fakes.install(patch)
    app.main(sys.argv[1:])
