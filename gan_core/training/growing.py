"""Starting a network from one of lower resolution (after Karras et al. 2018, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Discriminator, EqualConv2d
from ops_cuda import upfirdn2d


def grow_generator(generator: nn.Module, small: dict[str, Tensor]) -> None:
    """Copy a smaller generator's weights; new resolutions add nothing to the picture until they learn to.

    Raises:
        BadCheckpoint: the smaller network has parts that the larger one lacks, or of other shapes.
    """
    state = generator.state_dict()
    misfits = [k for k, v in small.items() if k not in state or state[k].shape != v.shape]
    if misfits:
        raise BadCheckpoint(f"the smaller generator does not fit the larger one: {', '.join(misfits[:5])}")
    generator.load_state_dict({**state, **small})
    for name, parameter in generator.named_parameters():
        if name not in small and ".to_rgb.weight" in name:
            nn.init.zeros_(parameter)


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
        count = 1 + max(int(k.split(".")[1]) for k in small if k.startswith("blocks."))
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
