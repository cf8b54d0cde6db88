"""Refining an inversion on its photo, on tiny random networks."""

from __future__ import annotations

import itertools

import pytest
import torch

from gan_core.errors import BadValue
from gan_core.hfgi.pipeline import HFGIPipeline, Inversion
from gan_core.hfgi.refine import Refinement, RefinementSettings
from gan_core.hfgi.tuned import tuned_names, up_to, with_weights
from gan_core.perceptual import DiscriminatorDistance
from gan_core.stylegan2 import Discriminator
from tests.gan_core.hfgi.test_pipeline import SIZE, W, attributes, networks

SETTINGS = RefinementSettings(moving=6, working=64, tuning=6, preview=4)


@pytest.fixture(scope="module")
def pipe() -> HFGIPipeline:
    torch.manual_seed(3)
    features = DiscriminatorDistance(Discriminator(SIZE, channel_base=512, channel_max=8), 2)
    return HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes(), features=features)


def a_face(seed: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=SIZE, mode="bicubic").clamp(-1, 1)


def reports(pipe: HFGIPipeline, face: torch.Tensor) -> list[Refinement]:
    return list(pipe.refine(pipe.invert(face), SETTINGS))


def result(found: list[Refinement]) -> Inversion:
    assert found[-1].done and found[-1].inversion is not None
    return found[-1].inversion


def error(inversion: Inversion) -> float:
    return (inversion.image.clamp(-1, 1) - inversion.face).square().mean().item()


def test_the_error_falls_in_both_stages(pipe: HFGIPipeline) -> None:
    face = a_face(0)
    found = reports(pipe, face)
    assert [report.step for report in found] == list(range(13)) and all(report.steps == 12 for report in found)
    drawn = {report.step: report.inversion for report in found if report.inversion is not None}
    assert list(drawn) == [0, 4, 6, 8, 12]
    assert error(drawn[12]) < 0.97 * error(drawn[6]) and error(drawn[6]) < 0.97 * error(drawn[0])
    assert not drawn[6].tuned and drawn[12].tuned
    assert [inversion.refined for inversion in drawn.values()] == [0, 4, 6, 8, 12]
    # what is left for the consultation is what the new inversion misses
    refined, plain = drawn[12], drawn[0]
    assert refined.distortion.square().mean() < plain.distortion.square().mean()
    assert torch.equal(refined.face, plain.face) and not torch.equal(refined.codes, plain.codes)


def test_the_shared_networks_are_untouched(pipe: HFGIPipeline) -> None:
    modules = [pipe.generator, pipe.features]
    before = [{k: v.clone() for k, v in module.state_dict().items()} for module in modules]
    plain, random = pipe.invert(a_face(1)), torch.get_rng_state()
    want = pipe.edit(plain, {"smile": 1.0})
    pipe.edit(result(reports(pipe, a_face(0))), {"smile": 1.0})
    for module, tensors in zip(modules, before, strict=True):
        assert all(torch.equal(value, tensors[name]) for name, value in module.state_dict().items())
        assert not any(p.requires_grad or p.grad is not None for p in module.parameters())
    assert torch.equal(pipe.edit(plain, {"smile": 1.0}), want)
    assert torch.equal(torch.get_rng_state(), random)


def test_two_at_once_are_as_each_alone(pipe: HFGIPipeline) -> None:
    alone = [result(reports(pipe, a_face(seed))) for seed in (0, 1)]
    runs = [pipe.refine(pipe.invert(a_face(seed)), SETTINGS) for seed in (0, 1)]
    together = list(zip(*itertools.zip_longest(*runs), strict=True))
    for one, both in zip(alone, together, strict=True):
        other = result(list(both))
        assert torch.equal(one.codes, other.codes) and torch.equal(one.restored, other.restored)
        assert all(torch.equal(value, other.tuned[name]) for name, value in one.tuned.items())


@pytest.mark.parametrize("stop", [4, 8])
def test_stopped_midway_the_last_state_can_be_used(pipe: HFGIPipeline, stop: int) -> None:
    plain = pipe.invert(a_face(0))
    run = pipe.refine(plain, SETTINGS)
    found = list(itertools.islice(run, stop + 1))[-1].inversion
    run.close()
    assert found is not None and found.refined == stop and error(found) < error(plain)
    edited = pipe.edit(found, {"smile": 2.0})
    assert edited.isfinite().all() and not torch.equal(edited, pipe.edit(found, {}))


def test_edits_are_drawn_by_the_faces_own_weights(pipe: HFGIPipeline) -> None:
    found = result(reports(pipe, a_face(0)))
    assert torch.equal(pipe.edit(found, {}, consult=False), found.image.clamp(-1, 1))
    network = with_weights(pipe.generator.synthesis, found.tuned)
    expected = network(found.codes + 2 * attributes()["smile"].direction).clamp(-1, 1)
    assert torch.allclose(pipe.edit(found, {"smile": 2.0}, consult=False), expected, atol=1e-6)
    assert not torch.allclose(pipe.decode(found.codes), found.image, atol=1e-3)


def test_it_counts_and_moves_with_its_weights(pipe: HFGIPipeline) -> None:
    found = result(reports(pipe, a_face(0)))
    plain = pipe.invert(a_face(0))
    assert found.size - plain.size == sum(4 * value.numel() for value in found.tuned.values()) > 0
    moved = found.to("meta")
    assert moved.codes.device.type == "meta" and moved.refined == found.refined
    assert moved.tuned.keys() == found.tuned.keys()
    assert all(value.device.type == "meta" for value in moved.tuned.values())


def test_copies_share_what_is_not_tuned(pipe: HFGIPipeline) -> None:
    network = pipe.generator.synthesis
    names = tuned_names(network, 32)
    assert names and all("affine" not in name and int(name.split(".")[1]) >= 3 for name in names)
    own = dict(network.named_parameters())
    copy = dict(with_weights(network, {name: own[name] + 1 for name in names}).named_parameters())
    assert copy.keys() == own.keys()
    for name, value in copy.items():
        assert (value.data_ptr() == own[name].data_ptr()) == (name not in names)
    with pytest.raises(KeyError):
        with_weights(network, {"blocks.99.weight": torch.zeros(1)})
    lower = up_to(network, 32)
    codes = torch.zeros(1, lower.num_ws, W)
    assert lower(codes).shape == (1, 3, 32, 32) and len(network.blocks) == 6


def test_without_features_it_is_refused(pipe: HFGIPipeline) -> None:
    blind = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes())
    with pytest.raises(BadValue, match="refine"):
        next(blind.refine(blind.invert(a_face(0))))


@pytest.mark.gpu
def test_on_a_gpu_it_comes_as_close() -> None:
    torch.manual_seed(3)
    features = DiscriminatorDistance(Discriminator(SIZE, channel_base=512, channel_max=8), 2)
    more = {"attributes": attributes(), "features": features, "device": "cuda"}
    there = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), **more)
    plain = there.invert(a_face(0))
    found = result(list(there.refine(plain, SETTINGS)))
    assert error(found) < 0.95 * error(plain)
    sent = found.to("cpu").to("cuda")  # as the app keeps it between two requests
    edited = there.edit(sent, {"smile": 2.0})
    assert edited.is_cuda and edited.isfinite().all() and not torch.equal(edited, found.restored)
    assert torch.allclose(there.decode(sent.codes, tuned=sent.tuned), found.image, atol=1e-3)
