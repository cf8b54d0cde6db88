"""Where face, head and joints of a drawn body are, and what kind of person it is.

A canvas of whole bodies has faces of 68 pixels, which are placed here without a face detector. The network is a small
U-net at half of the canvas's size; a point is the mean position under a soft map (Sun et al. 2018, "Integral Human Pose
Regression"). It is trained on rendered people with known points (gan_core/training/insetgan/train_reader.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue
from gan_core.faces.head import DoubleConvolution

HEIGHT, WIDTH = 512, 256  # of the pictures that coordinates are in
JOINTS = (
    "neck", "head", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "wrist_l", "wrist_r", "hip_l", "hip_r",
    "knee_l", "knee_r", "ankle_l", "ankle_r", "pelvis",
)  # fmt: skip
"""Names of the joints in their order; l and r are the person's own."""
POINTS = ("eye_r", "eye_l", "mouth_r", "mouth_l", "head_top_left", "head_bottom_right", *JOINTS)
"""All points that the network finds. The person's right eye is the left one in the picture."""
ATTRIBUTES = ("age", "yaw", "weight", "smile", "man", "long_hair", "skirt", "suit")
"""Age in years, yaw in degrees (positive: turned to the picture's right), the others from 0 to 1."""
_EYES, _MOUTH, _HEAD, _JOINTS = slice(0, 2), slice(2, 4), slice(4, 6), slice(6, None)
_SCALES = (20.0, 20.0, 0.3, 0.5, 1.0, 1.0, 1.0, 1.0)  # about the attributes' spread
_OFFSETS = (35.0, 0.0, 0.5, 0.3, 0.5, 0.5, 0.5, 0.5)


@dataclass(frozen=True)
class BodyReading:
    """What was read of N pictures. Points are (x, y) in pixels of 256 x 512; (0, 0) is the outer corner."""

    points: Tensor  # (N, len(POINTS), 2)
    attributes: dict[str, Tensor]  # name -> (N,)

    @property
    def eyes(self) -> Tensor:
        """(N, 2, 2), the left one in the picture first."""
        return self.points[:, _EYES]

    @property
    def mouth(self) -> Tensor:
        """Corners of the mouth (N, 2, 2), the left one in the picture first."""
        return self.points[:, _MOUTH]

    @property
    def head_box(self) -> Tensor:
        """Skin of the head, without hair: (N, 4), x0, y0, x1, y1."""
        return self.points[:, _HEAD].flatten(1)

    @property
    def joints(self) -> Tensor:
        """(N, 15, 2), in the order of JOINTS."""
        return self.points[:, _JOINTS]

    @property
    def quad(self) -> Tensor:
        """FFHQ's square (N, 4, 2): top left, bottom left, bottom right, top right."""
        return ffhq_quads(self.eyes, self.mouth.mean(1))


def ffhq_quads(eyes: Tensor, mouth: Tensor) -> Tensor:
    """Corners (N, 4, 2) of FFHQ's square of eyes (N, 2, 2) and the mouth's middle (N, 2), differentiable.

    As `gan_core.faces.geometry.ffhq_frame`.
    """
    between, middle = eyes[:, 1] - eyes[:, 0], eyes.mean(1)
    down = mouth - middle
    axis = between + torch.stack([down[:, 1], -down[:, 0]], 1)
    half = torch.maximum(between.norm(dim=1) * 2, down.norm(dim=1) * 1.8)
    x = axis / axis.norm(dim=1, keepdim=True).clamp_min(1e-6) * half[:, None]
    y = torch.stack([-x[:, 1], x[:, 0]], 1)
    centre = middle + 0.1 * down
    return torch.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y], 1)


class BodyReader(nn.Module):
    """U-net at 256 x 128 pixels: a soft map for each point, and attributes from its deepest features."""

    def __init__(self, widths: Sequence[int] = (24, 32, 48, 64, 96, 96)) -> None:
        super().__init__()
        self.config = {"widths": list(widths)}
        pairs = list(zip(widths, widths[1:], strict=False))
        self.stem = DoubleConvolution(3 * 4, widths[0])
        self.down = nn.ModuleList(DoubleConvolution(wide, deep, 2) for wide, deep in pairs)
        self.up = nn.ModuleList(DoubleConvolution(deep + wide, wide) for wide, deep in reversed(pairs))
        self.maps = nn.Conv2d(widths[0], len(POINTS), 3, padding=1)
        self.hidden = nn.Linear(widths[-1] * 2, 128)
        self.attributes = nn.Linear(128, len(ATTRIBUTES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Points (N, len(POINTS), 2) and attributes (N, len(ATTRIBUTES)) of pictures (N, 3, 256, 128) in [-1, 1]."""
        x = self.stem(F.pixel_unshuffle(pictures, 2))
        kept = []
        for step in self.down:
            kept.append(x)
            x = step(x)
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        traits = self.attributes(F.leaky_relu(self.hidden(pooled), 0.1))
        scale, offset = traits.new_tensor(_SCALES), traits.new_tensor(_OFFSETS)
        for step in self.up:
            skip = kept.pop()
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = step(torch.cat([x, skip], 1))
        return _middles(self.maps(x)), traits * scale + offset

    @torch.no_grad()
    def read(self, pictures: Tensor) -> BodyReading:
        """Read pictures (N, 3, H, W) in [-1, 1], twice as high as wide, of at least 256 x 128 pixels.

        Coordinates are those of 512 x 256 whatever the size. Raises BadValue for other shapes.
        """
        height, width = pictures.shape[-2:]
        if height != 2 * width or height < HEIGHT // 2:
            raise BadValue(f"A picture of a body is twice as high as wide and not small; this one is {width}x{height}.")
        small = F.interpolate(pictures.float(), (HEIGHT // 2, WIDTH // 2), mode="area")
        points, attributes = self(small.contiguous(memory_format=torch.channels_last))
        return BodyReading(points, dict(zip(ATTRIBUTES, attributes.unbind(1), strict=True)))


def _middles(logits: Tensor) -> Tensor:
    """Mean positions (N, K, 2), x and y in pixels of 512 x 256, under the softmax of each map (N, K, h, w)."""
    h, w = logits.shape[-2:]
    share = logits.float().flatten(2).softmax(2).unflatten(2, (h, w))
    x = (torch.arange(w, device=share.device) + 0.5) * (WIDTH / w)
    y = (torch.arange(h, device=share.device) + 0.5) * (HEIGHT / h)
    return torch.stack([(share.sum(2) * x).sum(2), (share.sum(3) * y).sum(2)], 2)


def load_body_reader(path: Path) -> BodyReader:
    """The network of a weights file of this project, in evaluation mode. Raises WeightsMissing or BadCheckpoint."""
    reader, _ = build_from_file(BodyReader, path, "body reader")
    return reader.eval()
