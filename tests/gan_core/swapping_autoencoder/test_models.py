"""Which models are offered: by the files that are there, embedded and published."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.registry import ModelRegistry
from gan_core.swapping_autoencoder import models, published
from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline
from tests.gan_core.swapping_autoencoder import published_names
from tests.gan_core.swapping_autoencoder.test_pipeline import networks, picture, write_embedded

CHURCH = published.PUBLISHED[0]


def write_checkpoint(path: Path) -> SwappingAutoencoderPipeline:
    pipe = SwappingAutoencoderPipeline(*networks())
    tensors = {}
    for name in ("encoder", "generator"):
        tensors |= getattr(published_names, name)(getattr(pipe, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)
    return pipe


def write_archive(folder: Path, tmp_path: Path) -> SwappingAutoencoderPipeline:
    pipe = write_checkpoint(tmp_path / "checkpoint.pth")
    archive = folder / CHURCH.archive / "swapping_autoencoder_models_and_test_images.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(tmp_path / "checkpoint.pth", f"models/checkpoints/{CHURCH.folder}/{published.FILE}")
        opened.writestr("models/testphotos/church/a.jpg", b"")
    return pipe


def registry(folder: Path, weights: Path) -> ModelRegistry:
    made = ModelRegistry(lambda: ("cpu",))
    models.declare_swapping_autoencoder_models(made, folder, weights)
    return made


def test_nothing_there_nothing_offered(tmp_path: Path) -> None:
    assert models.swapping_autoencoder_models(tmp_path, tmp_path) == {}
    assert list(registry(tmp_path, tmp_path).models()) == []


def test_embedded(tmp_path: Path) -> None:
    write_embedded(tmp_path / "people_swap")
    (model,) = models.swapping_autoencoder_models(tmp_path / "none", tmp_path).values()
    assert model.name == "portraits" and model.faces and model.licence == "CC0-1.0 with attribution"
    assert [(s.name, s.kind, s.high) for s in model.sliders] == [("warm", "texture", 2.0), ("turn", "structure", 3.0)]
    made = registry(tmp_path / "none", tmp_path)
    size = made.run(model.model, lambda pipe: pipe.encode(picture(33, 47)).size)
    assert size == (33, 47) and made.models()[0].loaded

    (tmp_path / "people_swap" / "directions.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    (model,) = models.swapping_autoencoder_models(tmp_path / "none", tmp_path).values()
    assert model.sliders == ()


def test_places_beside_portraits(tmp_path: Path) -> None:
    """Each from its own folder; whole pictures for places."""
    for folder in ("places_swap", "people_swap"):
        write_embedded(tmp_path / folder)
    store_other = tmp_path / "places_swap" / "directions.safetensors"
    tensors, config = store.read(store_other)
    kept = {name: value for name, value in tensors.items() if name != "turn"}
    store.save(store_other, kept, config=config | {"directions": config["directions"][:1]}, half=False)
    found = models.swapping_autoencoder_models(tmp_path / "none", tmp_path)
    assert list(found) == [models.EMBEDDED, models.PLACES]
    assert [model.faces for model in found.values()] == [True, False]
    assert [len(model.sliders) for model in found.values()] == [2, 1]
    made = registry(tmp_path / "none", tmp_path)
    assert [len(made.run(model.model, lambda pipe: pipe.directions)) for model in found.values()] == [2, 1]
    (tmp_path / "people_swap" / "encoder.safetensors").unlink()
    assert list(models.swapping_autoencoder_models(tmp_path / "none", tmp_path)) == [models.PLACES]


def test_published_from_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    pipe = write_archive(folder, tmp_path)
    (model,) = models.swapping_autoencoder_models(folder, tmp_path).values()
    assert (model.name, model.resolution, model.faces) == ("church", 256, False) and "Adobe" in model.licence
    image = picture()
    drawn = registry(folder, tmp_path).run(model.model, lambda loaded: loaded.draw(loaded.encode(image)))
    assert torch.allclose(drawn, pipe.draw(pipe.encode(image)), atol=1e-5)
    unpacked = folder / CHURCH.archive / CHURCH.folder
    assert [path.name for path in unpacked.iterdir()] == [published.FILE]  # and nothing half done

    archive = folder / CHURCH.archive / "swapping_autoencoder_models_and_test_images.zip"
    archive.unlink()
    assert published.is_here(CHURCH, folder)  # what was unpacked is enough


def test_published_unpacked_by_hand(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / CHURCH.archive / "checkpoints" / CHURCH.folder / published.FILE)
    assert list(models.swapping_autoencoder_models(tmp_path, tmp_path)) == ["church"]


def test_published_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="checkpoints.fetch swapping_models"):
        published.checkpoint(CHURCH, tmp_path)
    archive = tmp_path / CHURCH.archive / "swapping_autoencoder_models_and_test_images.zip"
    archive.parent.mkdir()
    archive.write_bytes(b"no zip")
    assert not published.is_here(CHURCH, tmp_path)
    archive.unlink()
    write_archive(tmp_path / "b", tmp_path)
    whole = tmp_path / "b" / CHURCH.archive / archive.name
    data = bytearray(whole.read_bytes())
    data[3000:4000] = bytes(1000)  # the stored checkpoint no longer has its checksum
    whole.write_bytes(data)
    with pytest.raises(BadCheckpoint, match="damaged"):
        published.checkpoint(CHURCH, tmp_path / "b")
    assert not list((tmp_path / "b" / CHURCH.archive / CHURCH.folder).iterdir())
