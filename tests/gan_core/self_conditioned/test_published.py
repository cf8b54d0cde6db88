"""The authors' files: installed, offered with numbered attributes, and edited without a plain direction."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_core.checkpoints.library import install
from gan_core.checkpoints.places import Place
from gan_core.errors import BadValue, UnknownName
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
from gan_core.self_conditioned.models import self_conditioned_models
from tests.gan_core.checkpoints.test_adapters import random_generator, rosinality_names


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The published weights' folder with a narrow model of two attributes, as cats have."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    weights = rosinality_names(random_generator(512, channel_base=4096, channel_max=8, mapping_layers=1))
    start = weights.pop("input.input")
    weights["input.multiinput"] = torch.cat([start[..., None], torch.randn(*start.shape, 6)], -1)
    path = folder / "any name.pt"
    torch.save({"g_ema": weights, "latent_avg": torch.zeros(16)}, path)
    install(path, Place("sc_gan_cats"), folder)
    return folder


def test_an_installed_model_is_offered(root, tmp_path) -> None:
    choice = self_conditioned_models(published_folder=root)["cats"]
    assert choice.resolution == 512 and [slider.label for slider in choice.sliders] == ["Attribute 1", "Attribute 2"]
    assert "cats" not in self_conditioned_models(published_folder=tmp_path)
    assert "cats" not in self_conditioned_models()
    damaged = tmp_path / "sc_gan_cats" / "model.safetensors"
    damaged.parent.mkdir()
    damaged.write_bytes((root / "sc_gan_cats" / "model.safetensors").read_bytes()[:100])
    assert "cats" not in self_conditioned_models(published_folder=tmp_path)


def test_values_are_set_from_the_middle_and_the_plain_picture_stays(root) -> None:
    registry = ModelRegistry()
    declare_models(registry, root)
    with registry.use("cats/edges") as pipe:
        face = pipe.random_face(1)
        assert face.values.tolist() == [0.5, 0.5]
        before = pipe.edit(face, {})
        for name in ("attribute_1", "attribute_2"):
            for value in (0.0, 1.0):
                edited = pipe.edit(face, {name: value})
                assert torch.isfinite(edited).all() and not torch.allclose(edited, before)
                assert torch.allclose(pipe.edit_plain(face, {name: value}), before, atol=1e-5)
        assert torch.allclose(pipe.filmstrip(face, "attribute_2", 3)[1:2], before, atol=1e-5)
        assert pipe.current_values(face) == {"attribute_1": 0.5, "attribute_2": 0.5}
        with pytest.raises(BadValue):
            pipe.edit(face, {"attribute_1": 1.5})
        with pytest.raises(UnknownName):
            pipe.edit(face, {"age": 0.5})
