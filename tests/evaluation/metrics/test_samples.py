"""The sample scores must tell sharp from blurred, varied from alike, and new from copied."""

import torch
from torch.nn import functional as F

from gan_core.evaluation.metrics.samples import laplacian_pyramid, score, sliced_wasserstein


def pictures(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = F.interpolate(torch.randn(n, 3, 8, 8, generator=generator), size=(64, 64), mode="bicubic")
    return (coarse + 0.2 * torch.randn(n, 3, 64, 64, generator=generator)).clamp(-1, 1)


def test_pyramid_adds_up() -> None:
    images = pictures(2, 0)
    bands = laplacian_pyramid(images, 3)
    assert [b.shape[-1] for b in bands] == [64, 32, 16]
    total = bands[-1]
    for band in reversed(bands[:-1]):
        total = band + F.interpolate(total, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(total, images)


def test_sliced_wasserstein_sees_blur() -> None:
    real, more = pictures(64, 1), pictures(64, 2)
    blurred = F.avg_pool2d(F.pad(more, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    same, worse = sliced_wasserstein(real, more), sliced_wasserstein(real, blurred)
    assert len(same) == 3
    assert worse[0] > 1.5 * same[0]  # the finest band


def test_scores_see_collapse_and_copies() -> None:
    training, held_out = pictures(60, 1), pictures(20, 2)
    fresh = score(pictures(40, 3), training, held_out)
    assert abs(fresh["diversity"] - 1) < 0.1
    assert abs(fresh["nearest_training_picture"] - 1) < 0.1
    alike = pictures(1, 4) + 0.05 * torch.randn(40, 3, 64, 64)
    assert score(alike, training, held_out)["diversity"] < 0.3
    assert score(training[:40] + 0.01, training, held_out)["nearest_training_picture"] < 0.3
