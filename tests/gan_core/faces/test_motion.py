"""Motion between two pictures, and what is drawn between them."""

from __future__ import annotations

import torch

from gan_core.faces.motion import find_motion, morph, shifted


def texture(side: int = 128) -> torch.Tensor:
    """A smooth random picture (1, 3, side, side)."""
    torch.manual_seed(0)
    low = torch.randn(1, 3, side // 8, side // 8)
    return torch.nn.functional.interpolate(low, (side, side), mode="bicubic", align_corners=False)


def test_a_shift_is_found() -> None:
    first = texture()
    for pixels in ((5, 0), (0, -4), (-3, 6)):
        second = first.roll(pixels, (3, 2))
        motion = find_motion(first, second)[:, :, 30:98, 30:98] * 64  # half of 128 pixels is 1
        error = motion - torch.tensor(pixels, dtype=torch.float32)[None, :, None, None]
        assert error.abs().mean() < 0.5
        assert (shifted(second, find_motion(first, second)) - first)[..., 30:98, 30:98].abs().mean() < 0.1
    assert find_motion(first, first).abs().max() < 1e-4
    flat = torch.zeros(1, 3, 64, 64)
    assert find_motion(flat, flat + 0.5).abs().max() < 0.05  # where nothing shows, nothing moves


def test_morph_keeps_both_ends_and_moves_between() -> None:
    first = texture()
    second = first.roll(6, 3)
    time = torch.linspace(-0.5, 1.5, 128).clamp(0, 1).expand(1, 1, 128, 128)
    got = morph(first, second, time)
    assert torch.equal(got[..., time[0, 0, 0] == 0], first[..., time[0, 0, 0] == 0])
    assert torch.equal(got[..., time[0, 0, 0] == 1], second[..., time[0, 0, 0] == 1])
    half = morph(first, second, torch.full((1, 1, 128, 128), 0.5))[..., 30:98, 30:98]
    moved, faded = first.roll(3, 3)[..., 30:98, 30:98], ((first + second) / 2)[..., 30:98, 30:98]
    assert (half - moved).abs().mean() < 0.3 * (faded - moved).abs().mean()
