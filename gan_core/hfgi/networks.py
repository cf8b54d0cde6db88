"""Networks of HFGI (Wang et al., CVPR 2022): distortion alignment and consultation encoder.

The basic encoder is e4e's (`gan_core.e4e.networks`). All widths are arguments, so that the published network and the
small embedded one are the same classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_core.e4e.networks import ResidualBlock, Stem, residual_stage, resize
from gan_core.stylegan2 import EqualConv2d

CONDITION_SIZE = 64  # side of the feature map that the consultation acts on


class DistortionAlignment(nn.Module):
    """Adaptive distortion alignment (HFGI, section 3.3): warps the distortion map so that it fits the edited picture.

    A small U-net that reads the map and the picture, both 256x256.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 48, 64), *, blocks: int = 3) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "blocks": blocks}
        a, b, c, d = widths
        self.stem = Stem(6, a)
        self.down = nn.ModuleList(
            [residual_stage(a, b, blocks, 2), residual_stage(b, c, blocks, 2), residual_stage(c, d, blocks, 2)]
        )
        self.up = nn.ModuleList([_decoder(d + c, d, b, blocks), _decoder(2 * b, b, a, blocks)])
        self.out = _decoder(2 * a, a, 3, blocks)

    def forward(self, distortion: Tensor, image: Tensor) -> Tensor:
        """`distortion` aligned to `image`; all of them (N, 3, 256, 256)."""
        x1 = self.stem(torch.cat([distortion, image], 1))
        x2 = self.down[0](x1)
        x3 = self.down[1](x2)
        x4 = self.down[2](x3)
        y = self.up[0](torch.cat([resize(x4, x3.shape[-2:]), x3], 1))
        y = self.up[1](torch.cat([resize(y, x2.shape[-2:]), x2], 1))
        return self.out(torch.cat([resize(y, x1.shape[-2:]), x1], 1))


def _decoder(in_channels: int, middle: int, out_channels: int, blocks: int) -> nn.Sequential:
    layers = [ResidualBlock(in_channels, middle), ResidualBlock(middle, out_channels)]
    layers += [ResidualBlock(out_channels, out_channels) for _ in range(blocks - 2)]
    return nn.Sequential(*layers)


class ConsultationEncoder(nn.Module):
    """Consultation encoder Ec (HFGI, section 3.2): distortion map to a scale and a shift of the 64x64 features."""

    def __init__(
        self,
        channels: int = 512,  # of the generator's 64x64 features
        widths: Sequence[int] = (32, 48, 64),
        *,
        blocks: int = 3,
        hidden: int | None = None,  # inside the two heads; None for `channels`
    ) -> None:
        super().__init__()
        hidden = hidden or channels
        self.config = {"channels": channels, "widths": list(widths), "blocks": blocks, "hidden": hidden}
        a, b, c = widths
        self.stem = Stem(3, a)
        self.down = nn.ModuleList([residual_stage(a, b, blocks, 2), residual_stage(b, c, blocks, 2)])
        self.scale, self.shift = (
            nn.ModuleList([EqualConv2d(c, hidden, 3, act="lrelu"), EqualConv2d(hidden, channels, 3)]) for _ in range(2)
        )

    def forward(self, distortion: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift, each (N, channels, 64, 64), of an aligned distortion map (N, 3, 256, 256)."""
        x = self.stem(distortion)
        for stage in self.down:
            x = stage(x)
        x = resize(x, CONDITION_SIZE)
        return self.scale[1](self.scale[0](x)), self.shift[1](self.shift[0](x))
