"""Peak signal-to-noise ratio, over the whole range of pictures."""

import pytest
import torch

from gan_core.evaluation.metrics.psnr import psnr


def test_known_ratios_each_picture_by_itself() -> None:
    dark = -torch.ones(3, 3, 4, 4)
    others = torch.stack([torch.ones(3, 4, 4), torch.zeros(3, 4, 4), torch.full((3, 4, 4), -0.8)])
    assert psnr(dark, others).tolist() == pytest.approx([0, 6.02, 20], abs=0.01)


def test_equal_pictures_and_what_is_out_of_range() -> None:
    white = torch.ones(1, 3, 4, 4)
    assert psnr(white, white).item() == pytest.approx(120)
    assert psnr(1.5 * white, white).item() == pytest.approx(120)
