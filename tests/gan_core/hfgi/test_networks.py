"""HFGI's two networks and equation 4, on small random networks; the published sizes are in tests/test_parity.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan_core.hfgi.networks import CONDITION_SIZE, ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.pipeline import HFGIPipeline
from tests.gan_core.hfgi.test_pipeline import CHANNELS, SIZE, W, networks

SIDE = 256


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def modules() -> dict[str, nn.Module]:
    return {name: module.eval() for name, module in networks().items()}


@torch.no_grad()
def test_consultation_acts_where_the_distortion_is(modules) -> None:
    """A change of the distortion map changes scale and shift at its own place in the 64x64 features only."""
    consultation: ConsultationEncoder = modules["consultation"]
    distortion = 0.1 * noise(1, 3, SIDE, SIDE)
    changed = distortion.clone()
    changed[..., 64:72, 128:136] += 1  # around place (17, 33) of the features
    for before, after in zip(consultation(distortion), consultation(changed), strict=True):
        assert before.shape == (1, CHANNELS, CONDITION_SIZE, CONDITION_SIZE)
        difference = (after - before).abs().amax((0, 1))
        row, column = divmod(int(difference.argmax()), CONDITION_SIZE)
        assert abs(row - 17) <= 4 and abs(column - 33) <= 4
        assert difference[40:].max() == 0 and difference[:, :8].max() == 0
    scale, shift = consultation(distortion)
    assert not torch.allclose(scale, shift)  # two heads


@torch.no_grad()
def test_alignment_reads_the_map_and_the_picture(modules) -> None:
    alignment: DistortionAlignment = modules["alignment"]
    distortion, image, other = (noise(1, 3, SIDE, SIDE, seed=seed) for seed in range(3))
    aligned = alignment(distortion, image)
    assert aligned.shape == distortion.shape
    assert not torch.allclose(aligned, alignment(other, image))
    assert not torch.allclose(aligned, alignment(distortion, other))


@torch.no_grad()
def test_conditions_scale_and_shift_the_features_of_64_pixels(modules) -> None:
    """Equation 4: F * (1 + scale) + shift, at one layer; no conditions and zero ones draw the plain picture."""
    pipeline = HFGIPipeline(**modules, latent_avg=torch.zeros(12, W), attributes={})
    codes = noise(1, 12, W)
    seen = []
    layer = modules["generator"].synthesis.blocks[4].conv
    handle = layer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        plain = pipeline.decode(codes)
        zero = torch.zeros(1, CHANNELS, CONDITION_SIZE, CONDITION_SIZE)
        assert torch.equal(plain, pipeline.decode(codes, (zero, zero)))
        scale, shift = (0.3 * noise(1, CHANNELS, CONDITION_SIZE, CONDITION_SIZE, seed=seed) for seed in (1, 2))
        consulted = pipeline.decode(codes, (scale, shift))
    finally:
        handle.remove()
    assert plain.shape == (1, 3, SIZE, SIZE) and not torch.allclose(plain, consulted)
    features, _, conditioned = seen
    torch.testing.assert_close(conditioned, features * (1 + scale) + shift)
