"""The real app over the fake editor and the real generators of bodies; small models are at STUDIO_TEST_SOURCE."""

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
    from demo import computing
    from gan_core.insetgan.models import insetgan_models
    from gan_core.models import declare_models
    from tests.demo import fakes

    patch = pytest.MonkeyPatch()
    # Gradio must find its environment set when the app's modules are imported for patching.
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    options = app.settings_module.read(sys.argv[1:])
    patch.setattr(app.settings_module, "read", lambda _arguments: options)
    app.settings_module.export(options)
    fakes.install(patch)
    # One tab is the real one, over the models of this machine.
    patch.setattr("demo.insetgan.tab.insetgan_models", insetgan_models)

    def declare_all(registry, folder):
        declare_models(registry, folder)
        fakes.declare(registry, fakes.specs())

    patch.setattr(computing, "declare_models", declare_all)
    app.main(sys.argv[1:])
