"""Every configuration of the authors' launchers loads, encodes, draws and can be trained on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import swapping_autoencoder as adapter
from gan_core.checkpoints.formats import build
from gan_core.errors import BadCheckpoint
from gan_core.swapping_autoencoder.published import PUBLISHED, load_published
from tests.gan_core.swapping_autoencoder.launchers import LAUNCHERS, checkpoint

SMALL = 1 / 16


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launchers_checkpoint_loads_whole(name: str) -> None:
    options = LAUNCHERS[name].scaled(SMALL)
    built = build(checkpoint(options))
    encoder, generator = built.modules["encoder"], built.modules["generator"]
    assert encoder.step == 1 << options.e_steps and encoder.config["texture_dim"] == options.texture
    side = 8 * encoder.step
    structure, texture = encoder(torch.rand(1, 3, side, side) * 2 - 1)
    assert structure.shape == (1, options.structure, 8, 8)
    assert generator(structure, texture).shape == (1, 3, side, side)
    whole = built.modules["discriminator"]
    assert whole.config["resolution"] == 1 << min(round(torch.log2(torch.tensor(options.crop_size)).item()), 10)
    assert whole(torch.rand(1, 3, options.crop_size, options.crop_size)).isfinite().all()
    patches = built.modules["patch_discriminator"]
    assert patches.crop_size == options.patch_size
    crops = torch.rand(1, 2, 3, patches.crop_size, patches.crop_size)
    assert patches(crops, crops).shape == (1, 2, 1)


def test_published_widths_are_recognised() -> None:
    """Full width, read from the names alone: the image discriminator of crop 768 ends in 3x3 positions."""
    tensors = {k: v for k, v in checkpoint(LAUNCHERS["ffhq1024"]).items() if not k.startswith("Dpatch")}
    config = build(tensors).config
    assert config["discriminator"] == {
        "resolution": 1024,
        "channel_base": 32768,
        "channel_max": 512,
        "img_channels": 3,
        "last_side": 3,
    }
    assert config["encoder"]["widths"] == [13, 26, 51, 102, 205, 410]
    assert config["generator"]["head_widths"] == [204, 409]


def test_editing_needs_no_discriminator(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A discriminator of a kind unknown here stops training on the file, but not editing with it."""
    model = next(one for one in PUBLISHED if one.name == "church")
    tensors = checkpoint(LAUNCHERS["church, bedroom, afhq"].scaled(SMALL))
    tensors["D.stylegan2_D.surprise"] = torch.ones(1)
    path = tmp_path / model.archive / model.folder / "latest_checkpoint.pth"
    path.parent.mkdir(parents=True)
    torch.save(tensors, path)
    with pytest.raises(BadCheckpoint, match="no place"):
        build(tensors)
    with caplog.at_level(logging.INFO, logger=adapter.__name__):
        pipeline = load_published(model, tmp_path)
    assert "which only training needs, are left out" in caplog.text
    assert pipeline.encoder.step == 16


def test_a_last_map_that_is_no_square_is_refused() -> None:
    tensors = checkpoint(LAUNCHERS["church, bedroom, afhq"].scaled(SMALL))
    name = "D.stylegan2_D.final_linear.0.weight"
    tensors[name] = tensors[name][:, : 512 * 15].contiguous()
    with pytest.raises(BadCheckpoint, match="square"):
        build(tensors)
