"""Each tab's tasks on the embedded weights by the app's own executor on a GPU, after one another in one registry, so
that models share their parts and give up what is idle."""

from pathlib import Path

import pytest
from PIL import Image

from demo import gpu
from demo.executors import LocalExecutor
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def executor():
    registry = ModelRegistry(("cuda:0",))
    declare_models(registry, Path("nowhere"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "_executor", LocalExecutor(registry))
        yield gpu.executor()


def test_faces(executor) -> None:
    from demo.hfgi import tasks
    from gan_core.hfgi.models import EMBEDDED

    (_, face), _ = gpu.run(tasks.random_faces(EMBEDDED, (1, 2)))
    inversion = gpu.run(tasks.invert(EMBEDDED, face)).inversion
    assert gpu.run(tasks.edit(EMBEDDED, inversion, {"smile": 2.0})).consulted.size == (256, 256)
    assert len(gpu.run(tasks.random_faces(EMBEDDED, (3, 4)))) == 2, "when the generator's copy draws"


@pytest.mark.parametrize("name", ["bodies", "portraits"])
def test_composites(executor, name: str) -> None:
    from demo.insetgan import tasks
    from gan_core.insetgan.latents import Schedule
    from gan_core.insetgan.models import insetgan_models
    from gan_core.insetgan.pipeline import CompositionRequest
    from gan_core.insetgan.sources import LatentSource

    choice = insetgan_models(Path("nowhere"))[name]
    request = CompositionRequest(
        LatentSource(1), LatentSource(2), region=choice.region, schedule=Schedule(steps=4, preview=2)
    )
    for _ in range(2):
        composed = gpu.run(tasks.compose(choice.model, request))
        assert composed.done and composed.image.size == choice.size[::-1]
    body = composed.body
    assert isinstance(body, Image.Image)
    found = gpu.run(tasks.find(choice.model, "body", body, steps=4))
    assert found.image.size == body.size
