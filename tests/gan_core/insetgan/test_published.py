"""Published canvases and faces, as small random networks under the published names, through the same code."""

import pytest
import torch

from gan_core.errors import BadCheckpoint
from gan_core.insetgan import published as module
from gan_core.insetgan.labels import FACE_ENTRY
from gan_core.insetgan.latents import Schedule
from gan_core.insetgan.models import CANVASES, declare_insetgan_models, insetgan_models
from gan_core.insetgan.pipeline import CompositionRequest, LatentSource
from gan_core.registry import ModelRegistry
from tests.gan_core.checkpoints.test_adapters import nvidia_names
from tests.gan_core.insetgan import small
from weights.published import published

STARTS = {"fashion": (4, 3)} | dict.fromkeys(("human", "human512", "shhq", "shhq512"), (4, 2))


def write(folder, entry, net) -> None:
    path = folder / entry / published(entry).files[0].file
    path.parent.mkdir(parents=True)
    torch.save({"G_ema": nvidia_names(net)}, path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "build_from_file", lambda *_: (small.discriminator(), {}))
    write(tmp_path, FACE_ENTRY, small.generator())
    for canvas in CANVASES:
        write(tmp_path, canvas.entry, small.generator(start_shape=STARTS[canvas.name]))
    return tmp_path


@pytest.mark.parametrize("canvas", CANVASES, ids=lambda canvas: canvas.name)
def test_a_body_that_is_not_square_takes_a_face(folder, canvas) -> None:
    pipeline = module.load_published(canvas.entry, folder, folder)
    pipeline.finder = small.find_centre
    schedule = Schedule(steps=2, alternate=1, preview=2, frame=2)
    *_, last = pipeline.compose(
        CompositionRequest(LatentSource(1), LatentSource(2, (0.8, 0.3)), region="whole", schedule=schedule)
    )
    height, width = STARTS[canvas.name]
    assert last.best.image.shape == (1, 3, 64, 64 * width // height)
    assert last.best.insets[0].shape == (1, 3, 64, 64) and torch.isfinite(last.losses).all()


def test_they_are_declared_and_built_by_name(folder) -> None:
    registry = ModelRegistry(lambda: ("cpu",))
    declare_insetgan_models(registry, folder, "no such part", weights=folder)
    assert registry.names() == [model.model for model in insetgan_models(folder, folder).values()]
    with registry.use("human/inset") as pipeline:
        assert pipeline.canvas.config["start_shape"] == [4, 2] and "outline" not in pipeline.regions
    assert "non-commercial" in registry.spec("human/inset").licence


def test_a_file_of_another_kind_is_refused(folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "_ADAPTERS", (module.stylegan_human,))
    with pytest.raises(BadCheckpoint, match="no supported format"):
        module.load_generator(FACE_ENTRY, folder)
