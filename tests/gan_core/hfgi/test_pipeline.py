"""The HFGI pipeline on tiny random networks: what it promises, whatever the weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.e4e.networks import Encoder4Editing
from gan_core.errors import BadValue, UnknownName, WeightsMissing
from gan_core.faces.head import HeadNet
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.pipeline import EditDirection, HFGIPipeline, load_embedded
from gan_core.stylegan2 import Discriminator, Generator

SIZE, W, CHANNELS = 128, 12, 8


def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    generator = Generator(SIZE, z_dim=W, w_dim=W, mapping_layers=2, channel_base=512, channel_max=16)
    assert generator.synthesis.blocks[4].conv.weight.shape[0] == CHANNELS  # 64 pixels
    stages = ((8, 1), (8, 1), (12, 1), (16, 1))
    return {
        "generator": generator,
        "encoder": Encoder4Editing(generator.num_ws, W, stem=8, stages=stages, head=8),
        "alignment": DistortionAlignment((4, 6, 8, 8), blocks=2),
        "consultation": ConsultationEncoder(CHANNELS, (4, 6, 8), blocks=1),
    }


def attributes() -> dict[str, EditDirection]:
    torch.manual_seed(1)
    direction = torch.randn(12, W)
    return {
        "smile": EditDirection("smile", "Smile", direction, -3, 3),
        "age": EditDirection("age", "Age", -direction, -2, 2),
    }


@pytest.fixture(scope="module")
def pipe() -> HFGIPipeline:
    return HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes())


@pytest.fixture(scope="module")
def face() -> torch.Tensor:
    return torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_inversion(pipe: HFGIPipeline, face: torch.Tensor) -> None:
    result = pipe.invert(face)
    assert result.codes.shape == (1, 12, W) and result.image.shape == face.shape
    assert result.distortion.shape == (1, 3, 256, 256)
    again = pipe.invert(face)
    assert torch.equal(result.codes, again.codes) and torch.equal(result.image, again.image)


def test_a_slider_of_the_face_leaves_the_rest_alone(face: torch.Tensor) -> None:
    local = {name: replace(attribute, region="face") for name, attribute in attributes().items()}
    pipe = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=local | {"all": attributes()["smile"]})
    inverted = pipe.invert(face)
    edge, middle = slice(0, SIZE // 10), slice(SIZE // 2, SIZE // 2 + 4)
    changed = pipe.edit(inverted, {"smile": 2.0}) - pipe.edit(inverted, {})
    assert (changed[:, :, edge] == 0).all()
    assert (changed[:, :, middle, middle] != 0).any()
    plain = pipe.edit(inverted, {"smile": 2.0}, consult=False) - pipe.edit(inverted, {}, consult=False)
    assert (plain[:, :, edge] == 0).all()
    everywhere = pipe.edit(inverted, {"smile": 2.0, "all": 1.0}) - pipe.edit(inverted, {})
    assert (everywhere[:, :, edge] != 0).any()


def test_a_slider_of_the_head_keeps_the_backdrop(face: torch.Tensor) -> None:
    class LeftHalf(HeadNet):
        def masks(self, images: torch.Tensor) -> torch.Tensor:
            side = images.shape[-1]
            return (torch.arange(side) < side // 2).float().expand(len(images), 2, side, side)

    whole = {name: replace(attribute, region="head") for name, attribute in attributes().items()}
    pipe = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=whole, head=LeftHalf((8, 8)))
    inverted = pipe.invert(face)
    assert inverted.head[..., : SIZE // 2].min() == 1 and inverted.head[..., SIZE // 2 :].max() == 0
    for consult in (True, False):
        before = pipe.edit(inverted, {}, consult=consult)
        after = pipe.edit(inverted, {"smile": 2.0}, consult=consult)
        assert torch.equal(after[..., SIZE // 2 + 8 :], before[..., SIZE // 2 + 8 :])
        assert ((after - before)[..., : SIZE // 2].abs() > 1e-3).float().mean() > 0.5
    # a quarter of the effect on the hair, the whole on the face
    half = pipe.attributes | {"age": replace(attributes()["smile"], name="age", region="face_and_hair")}
    shared = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=half, head=LeftHalf((8, 8)))
    inverted = shared.invert(face)
    full, part = (shared.edit(inverted, {name: 2.0}) - shared.edit(inverted, {}) for name in ("smile", "age"))
    assert torch.allclose(part[..., 20:40, 4:10], full[..., 20:40, 4:10] / 4, atol=1e-5)
    assert torch.equal(part[..., 64:70, 54:58], full[..., 64:70, 54:58])
    # without a finder, an ellipse: the corners stay
    blind = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=whole)
    inverted = blind.invert(face)
    assert inverted.head.max() == 0
    changed = blind.edit(inverted, {"smile": 2.0}) - blind.edit(inverted, {})
    assert (changed[:, :, :6, :6] == 0).all() and (changed[:, :, 60:68, 60:68] != 0).any()


def test_edit(pipe: HFGIPipeline, face: torch.Tensor) -> None:
    inverted = pipe.invert(face)
    unedited = pipe.edit(inverted, {})
    assert unedited.shape == face.shape and unedited.abs().max() <= 1
    assert torch.equal(unedited, pipe.edit(inverted, {"smile": 0.0}))
    edited = pipe.edit(inverted, {"smile": 2.0})
    assert not torch.equal(unedited, edited)
    assert torch.equal(edited, pipe.edit(inverted, {"smile": 2.0}))
    # opposite directions undo each other
    undone = pipe.edit(inverted, {"smile": 1.5, "age": 1.5})
    assert torch.allclose(undone, pipe.edit(inverted, {}), atol=1e-4)


def test_a_packed_inversion_is_half_as_large_and_edited_alike(pipe: HFGIPipeline, face: torch.Tensor) -> None:
    inversion = pipe.invert(face)
    packed = inversion.packed()
    assert packed.size < 0.55 * inversion.size and torch.equal(packed.codes, inversion.codes)
    strengths = {next(iter(pipe.attributes)): 2.0}
    for edit in ({}, strengths):
        difference = (pipe.edit(packed, edit) - pipe.edit(inversion, edit)).abs().max()
        assert difference < 1 / 127.5, "at most a grey level"
    again = packed.to("cpu")
    assert again.image.dtype == torch.float32 and (again.face - inversion.face).abs().max() < 1e-3


def test_without_consultation_it_is_the_plain_generator(pipe: HFGIPipeline, face: torch.Tensor) -> None:
    inverted = pipe.invert(face)
    assert torch.equal(pipe.edit(inverted, {}, consult=False), inverted.image.clamp(-1, 1))
    assert not torch.equal(pipe.edit(inverted, {}), pipe.edit(inverted, {}, consult=False))
    expected = pipe.generator.synthesis(inverted.codes + 2 * attributes()["smile"].direction).clamp(-1, 1)
    assert torch.allclose(pipe.edit(inverted, {"smile": 2.0}, consult=False), expected, atol=1e-5)


def test_wrong_values(pipe: HFGIPipeline, face: torch.Tensor) -> None:
    inverted = pipe.invert(face)
    with pytest.raises(UnknownName, match="smile, age"):
        pipe.edit(inverted, {"frown": 1.0})
    for strength in (3.1, -99.0, math.nan, math.inf):
        with pytest.raises(BadValue, match="from -3 to 3"):
            pipe.edit(inverted, {"smile": strength})
    with pytest.raises(ValueError, match="shape"):
        pipe.invert(face[0])


def test_embedded_files(pipe: HFGIPipeline, face: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        load_embedded(tmp_path)
    for name, module in networks().items():
        folder = tmp_path / ("people_face" if name == "generator" else "people_hfgi")
        extra = {"latent_avg": torch.zeros(12, W)} if name == "encoder" else {}
        config = {**module.config, "_trained": "not at all"}
        store.save(folder / f"{name}.safetensors", {**module.state_dict(), **extra}, config=config, half=False)
    judge = Discriminator(SIZE, channel_base=256, channel_max=8)
    path = tmp_path / "portraits_face" / "discriminator.safetensors"
    store.save(path, judge.state_dict(), config=judge.config, half=False)
    described = [{"name": a.name, "label": a.label, "low": a.low, "high": a.high} for a in attributes().values()]
    head = HeadNet((8, 8))
    store.save(tmp_path / "portraits_hfgi" / "head.safetensors", head.state_dict(), config=head.config, half=False)
    directions = {a.name: a.direction for a in attributes().values()}
    path = tmp_path / "people_hfgi" / "directions.safetensors"
    store.save(path, directions, config={"attributes": described}, half=False)
    loaded = load_embedded(tmp_path)
    assert loaded.attributes["age"].low == -2 and loaded.attributes["smile"].label == "Smile"
    want = pipe.edit(pipe.invert(face), {"smile": 1.0})
    assert torch.allclose(loaded.edit(loaded.invert(face), {"smile": 1.0}), want, atol=1e-6)
