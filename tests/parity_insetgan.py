"""What the authors' release of InsetGAN (afruehstueck/insetGAN) minimises, as the parity fixture's names a_* have it.

The app optimises the paper's terms as StyleGAN-Human released them (`gan_core.insetgan.losses.Paper`). Here L1 and
squared terms are divided once more by the number of pixels, and the weights are large in return. Images are
(N, 3, H, W) in about [-1, 1]; a box is (x0, y0, x1, y1) in pixels, ends excluded; every loss is a scalar.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.insetgan.losses import FRAME, Box, crop


def reduce(image: Tensor, factor: int) -> Tensor:
    """`image` made smaller by a whole factor with the cubic convolution kernel (a = -0.5), edges reflected."""
    taps = 4 * factor
    distance = ((torch.arange(taps, device=image.device) - taps // 2 + 0.5) / factor).abs().to(image.dtype)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    kernel = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    kernel = kernel / kernel.sum()
    total = taps - factor
    before, after = total // 2, total - total // 2
    channels = image.shape[1]
    rows = kernel.view(1, 1, -1, 1).expand(channels, -1, -1, -1)
    x = F.pad(image, (0, 0, before, after), mode="reflect")
    x = F.conv2d(x, rows, stride=(factor, 1), groups=channels)
    x = F.pad(x, (before, after, 0, 0), mode="reflect")
    return F.conv2d(x, rows.transpose(2, 3), stride=(1, factor), groups=channels)


class Authors:
    """The authors' release (afruehstueck/insetGAN); losses without their weights, on insets of 256x256."""

    SIZE = 256  # side at which inset and region are compared
    EDGE_FROM = 300  # step from which the edge losses count in full

    @classmethod
    def box(cls, canvas_face: Sequence[float], inset_face: Sequence[float], canvas_size: int = 1024) -> Box:
        """The canvas region that the inset covers, so that the faces are equally wide and the chins coincide.

        The faces' boxes are in the canvas's pixels and in those of the 256x256 inset. Columns end at `canvas_size`,
        rows are not limited.
        """

        def middle(low: float, high: float) -> int:
            return int(high - (high - low) // 2)

        ratio = (canvas_face[2] - canvas_face[0]) / (inset_face[2] - inset_face[0])
        side = cls.SIZE * ratio
        x0 = int(middle(canvas_face[0], canvas_face[2]) - ratio * middle(inset_face[0], inset_face[2]))
        y0 = int(canvas_face[3] - ratio * inset_face[3])
        x0, y0 = max(x0, 0), max(y0, 0)
        return x0, y0, min(int(x0 + side), canvas_size), int(y0 + side)

    @classmethod
    def region(cls, canvas: Tensor, box: Sequence[int]) -> Tensor:
        """The canvas inside `box` at 256x256: bilinear, corners aligned."""
        return F.interpolate(crop(canvas, box), (cls.SIZE, cls.SIZE), mode="bilinear", align_corners=True)

    @classmethod
    def inset(cls, image: Tensor) -> Tensor:
        """The inset generator's picture at 256x256."""
        factor = image.shape[-1] // cls.SIZE
        return image if factor == 1 else reduce(image, factor)

    @staticmethod
    def l1(a: Tensor, b: Tensor) -> Tensor:
        """'L1' at 64x64 and 'L1_in' at 256x256: mean absolute difference, divided once more by the squared width."""
        return (a - b).abs().mean() / a.shape[-1] ** 2

    @staticmethod
    def edge(a: Tensor, b: Tensor, width: int = FRAME) -> Tensor:
        """'edge': mean squared difference on each side of the frame, divided by that side's pixels; squares, not L1."""
        squared = (a - b).square()
        middle = squared[..., width:-width, :]
        sides = (squared[..., :width, :], squared[..., -width:, :], middle[..., :width], middle[..., -width:])
        return sum(side.mean() / (side.shape[-2] * side.shape[-1]) for side in sides)

    @classmethod
    def body(cls, reference: Tensor, canvas: Tensor, top: int = 28, side: int = 32) -> Tensor:
        """'selected_body_L1': L1 at an eighth of the size, without `top` rows and `side` columns each side."""
        a, b = (reduce(image, 8)[..., top:, side:-side] for image in (reference, canvas))
        return cls.l1(a, b)

    @staticmethod
    def mean_latent(w: Tensor, mean: Tensor) -> Tensor:
        """'mean_latent': mean squared distance of w (N, w_dim) from the mean w, over the squared width once more."""
        return (w - mean).square().mean() / w.shape[-1] ** 2

    @classmethod
    def edge_weight(cls, step: int, weight: float, *, gradual: bool = False) -> float:
        """The edge losses' weight at a step: nothing up to step 300, then all of it.

        Their comment promises a slow increase that the code does not have; `gradual` gives it, from step 0 to 300.
        """
        if step > cls.EDGE_FROM:
            return weight
        return weight * (step if gradual else max(step - cls.EDGE_FROM, 0)) / cls.EDGE_FROM
