"""Detail of a photo in the colours of a drawing."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gan_core.swapping_autoencoder.detail import _inverse, with_detail_of


def scene(seed: int = 0, size: tuple[int, int] = (96, 120)) -> torch.Tensor:
    """Smooth patches with fine detail on them."""
    draw = torch.Generator().manual_seed(seed)
    low = F.interpolate(torch.rand(1, 3, 4, 5, generator=draw) * 1.2 - 0.6, size, mode="bilinear")
    return low + 0.1 * torch.randn(1, 1, *size, generator=draw)


def test_a_recoloured_photo_comes_back_as_it_is() -> None:
    photo = scene()
    matrix = torch.tensor([[0.6, 0.3, 0.0], [0.1, 0.7, 0.1], [0.0, -0.2, 0.8]])
    recoloured = torch.einsum("ij,njhw->nihw", matrix, photo) + 0.1
    result = with_detail_of(photo, recoloured, epsilon=1e-5)
    assert result.shape == photo.shape and (result - recoloured).abs().mean() < 0.01
    assert (with_detail_of(photo, photo, epsilon=1e-5) - photo).abs().mean() < 0.01


def test_waves_go_and_detail_comes() -> None:
    photo = scene()
    wanted = 0.7 * photo + torch.tensor([0.2, 0.0, -0.2])[None, :, None, None]
    ripples = 0.15 * torch.sin(torch.arange(120) * 0.9)
    drawing = F.avg_pool2d(wanted, 5, 1, 2) + ripples  # soft, with waves
    result = with_detail_of(photo, drawing)
    assert (result - wanted).abs().mean() < 0.5 * (drawing - wanted).abs().mean()


def test_odd_sizes_and_plain_pictures() -> None:
    for size in ((33, 47), (12, 90)):
        photo = scene(size=size)
        assert with_detail_of(photo, photo.flip(1)).shape == photo.shape
    grey, blue = torch.zeros(1, 3, 32, 32), torch.tensor([-0.5, -0.5, 0.5])[None, :, None, None].expand(1, 3, 32, 32)
    assert torch.allclose(with_detail_of(grey, blue), blue, atol=1e-5)


def test_inverse() -> None:
    torch.manual_seed(0)
    m = torch.randn(50, 3, 3)
    m = m @ m.transpose(1, 2) + 0.1 * torch.eye(3)
    assert torch.allclose(_inverse(m), torch.linalg.inv(m), rtol=1e-2, atol=1e-3)
