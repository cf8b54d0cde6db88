"""Starts a network from one of another resolution (after Karras et al. 2018, section 2).

To a higher resolution: new blocks add nothing to the picture at first. To a lower one: the finest blocks are left out;
a generator's picture of lower resolution is the sum of its skip connections up to there. Most of the differences
between people are learned several times as fast at a lower resolution; afterwards `complete` puts the finest blocks
back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Discriminator, EqualConv2d
from ops_cuda import upfirdn2d


def complete(state: dict[str, Tensor], larger: dict[str, Tensor]) -> dict[str, Tensor]:
    """A generator's weights, with missing ones taken from a larger generator that it was made from."""
    return {**larger, **state}


def grow_generator(generator: nn.Module, small: dict[str, Tensor]) -> None:
    """Copy the weights of a generator of lower, equal or higher resolution; see the module's docstring.

    Raises:
        BadCheckpoint: the other network has parts that this one lacks besides finer blocks, or of other shapes.
    """
    state = generator.state_dict()
    blocks = len(generator.synthesis.blocks) if hasattr(generator, "synthesis") else 0
    small = {k: v for k, v in small.items() if not (blocks and k.startswith(_BLOCKS) and _index(k, 2) >= blocks)}
    misfits = [k for k, v in small.items() if k not in state or state[k].shape != v.shape]
    if misfits:
        raise BadCheckpoint(f"the smaller generator does not fit the larger one: {', '.join(misfits[:5])}")
    generator.load_state_dict({**state, **small})
    for name, parameter in generator.named_parameters():
        if name not in small and ".to_rgb.weight" in name:
            nn.init.zeros_(parameter)


_BLOCKS = "synthesis.blocks."


def _index(key: str, part: int) -> int:
    return int(key.split(".")[part])


class FadingDiscriminator(nn.Module):
    """A discriminator whose new first blocks are faded in over the smaller one's input layer."""

    def __init__(self, discriminator: Discriminator, small: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.register_buffer("fade", torch.ones(()))  # share of the new blocks
        self.old_from_rgb: EqualConv2d | None = None
        self.new_blocks = 0
        if small is None:
            return
        count = 1 + max(_index(k, 1) for k in small if k.startswith("blocks."))
        if count > len(discriminator.blocks):  # the first blocks are the finest; the input layer is new
            small, count = _without_finest(small, count - len(discriminator.blocks)), len(discriminator.blocks)
            small |= {k: v for k, v in discriminator.state_dict().items() if k.startswith("from_rgb.")}
        self.new_blocks = len(discriminator.blocks) - count
        renamed = {}
        for key, value in small.items():
            if key.startswith("blocks."):
                _, index, rest = key.split(".", 2)
                key = f"blocks.{int(index) + self.new_blocks}.{rest}"
            renamed[key] = value
        if self.new_blocks:
            weight = renamed.pop("from_rgb.weight")
            self.old_from_rgb = EqualConv2d(weight.shape[1], weight.shape[0], 1, act="lrelu")
            self.old_from_rgb.load_state_dict({"weight": weight, "bias": renamed.pop("from_rgb.bias")})
            self.fade.zero_()
        state = discriminator.state_dict()
        misfits = [k for k, v in renamed.items() if k not in state or state[k].shape != v.shape]
        if misfits:
            raise BadCheckpoint(f"the smaller discriminator does not fit: {', '.join(misfits[:5])}")
        discriminator.load_state_dict({**state, **renamed})

    def forward(self, image: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Scores (N, 1) of images (N, 3, H, W)."""
        net = self.discriminator
        x = net.from_rgb(image.to(dtype or image.dtype).contiguous(memory_format=torch.channels_last))
        for i, block in enumerate(net.blocks):
            x = block(x)
            if self.old_from_rgb is not None and i == self.new_blocks - 1:
                low = image
                for _ in range(self.new_blocks):
                    low = upfirdn2d(low, net.from_rgb.filter, down=2, padding=(1, 1, 1, 1))
                low = low.to(x.dtype).contiguous(memory_format=torch.channels_last)
                x = torch.lerp(self.old_from_rgb(low), x, self.fade.to(x.dtype))
        return net.score_of(x)


def _without_finest(state: dict[str, Tensor], left_out: int) -> dict[str, Tensor]:
    """A discriminator's weights without its first blocks and its reading of colours, the other blocks renumbered."""
    result = {}
    for key, value in state.items():
        if key.startswith("from_rgb."):
            continue
        if key.startswith("blocks."):
            _, index, rest = key.split(".", 2)
            if int(index) < left_out:
                continue
            key = f"blocks.{int(index) - left_out}.{rest}"
        result[key] = value
    return result
