"""The finder's two small networks: where are faces, and where exactly are their landmarks.

Both take pictures in [-1, 1] and work in half or single precision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_core.faces.geometry import EYE_LEFT, EYE_RIGHT, MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP

# Face-mesh points that the refiner places: eyes (2 x 6), brows (2 x 3), nose (4), lips (6), jaw and temples
# (7): image-left points first, then their mirror images in the same order, then points on the middle line.
_PAIRS = (
    *zip(EYE_LEFT, EYE_RIGHT, strict=True),
    *zip((70, 105, 107), (300, 334, 336), strict=True),
    (98, 327),
    (MOUTH_LEFT, MOUTH_RIGHT),
    (172, 397),
    (234, 454),
    (132, 361),
)
_MIDDLE = (NOSE_TIP, 168, 0, 17, 13, 14, 152)
LANDMARKS: tuple[int, ...] = (*(a for a, _ in _PAIRS), *(b for _, b in _PAIRS), *_MIDDLE)
_N = len(_PAIRS)
# Mirroring a face: landmark i of the mirrored picture is landmark MIRROR[i] of the original.
MIRROR: tuple[int, ...] = (*range(_N, 2 * _N), *range(_N), *range(2 * _N, 2 * _N + len(_MIDDLE)))

STRIDE = 8  # picture pixels per cell of the locator
FACE_RANGE = (26.0, 120.0)  # FFHQ square sides, pixels, that the locator is trained on at one pyramid level
REFINER_SIZE = 128  # input side of the refiner
REFINER_ZOOM = 0.74  # its input covers this part of the FFHQ square's side, around a point below its centre
REFINER_DROP = 0.06  # that point, fraction of the square's side below the centre


def conv_block(channels_in: int, channels_out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution, batch normalisation, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.1, inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = conv_block(channels, channels, dilation=dilation)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.activation = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.second(self.first(x)))


class FaceLocator(nn.Module):
    """Centres, sizes and five rough points of faces, at every cell of a stride-8 map (as in CenterNet).

    One network serves all sizes: it is run on a pyramid of reduced pictures and knows faces of FACE_RANGE
    only.
    """

    def __init__(self, width: int = 64, dilations: tuple[int, ...] = (1, 2, 1, 2, 1)) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"width": width, "dilations": list(dilations)}
        self.stem = nn.Sequential(
            conv_block(3, 16, 2), conv_block(16, 32, 2), conv_block(32, 32), conv_block(32, width, 2)
        )
        self.body = nn.Sequential(*(Residual(width, d) for d in dilations))
        self.heat = nn.Sequential(conv_block(width, 32), nn.Conv2d(32, 1, 1))
        self.shape = nn.Sequential(conv_block(width, 48), nn.Conv2d(48, 11, 1))
        nn.init.constant_(self.heat[-1].bias, -4.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (N, 3, H, W), sides multiples of 8 -> heat logits (N, 1, H/8, W/8), log2(FFHQ side / 64)
        (N, 1, ..), points relative to the cell's centre in FFHQ sides (N, 5, 2, ..)."""
        features = self.body(self.stem(x))
        shape = self.shape(features)
        n, _, h, w = shape.shape
        return self.heat(features), shape[:, :1], shape[:, 1:].reshape(n, 5, 2, h, w)


class LandmarkRefiner(nn.Module):
    """Landmarks by the mean of a heat map each (soft argmax), and how surely the crop shows a face."""

    def __init__(self, width: int = 32, points: int = len(LANDMARKS)) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"width": width, "points": points}
        w = width
        self.down1 = nn.Sequential(conv_block(3, w // 2, 2), conv_block(w // 2, w))  # 64
        self.down2 = nn.Sequential(conv_block(w, 2 * w, 2), Residual(2 * w))  # 32
        self.down3 = nn.Sequential(conv_block(2 * w, 3 * w, 2), Residual(3 * w))  # 16
        self.down4 = nn.Sequential(conv_block(3 * w, 4 * w, 2), Residual(4 * w))  # 8
        self.up3 = nn.Sequential(nn.Conv2d(4 * w, 3 * w, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
        self.mix3 = Residual(3 * w)
        self.up2 = nn.Sequential(nn.Conv2d(3 * w, 2 * w, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
        self.mix2 = conv_block(2 * w, 2 * w)
        self.maps = nn.Conv2d(2 * w, points, 1)
        self.confidence = nn.Sequential(nn.Flatten(), nn.Linear(4 * w * 16, 48), nn.LeakyReLU(0.1), nn.Linear(48, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (N, 3, 128, 128) -> points (N, P, 2) in 0..1 of the side, their spread (N, P; standard deviation,
        same unit), face logits (N,)."""
        skip = self.down2(self.down1(x))
        deep = self.down3(skip)
        deepest = self.down4(deep)
        mixed = self.mix3(deep + self.up3(deepest))
        logits = self.maps(self.mix2(skip + self.up2(mixed)))
        n, p, h, w = logits.shape
        heat = logits.float().flatten(2).softmax(-1).view(n, p, h, w)
        column = (torch.arange(w, device=x.device, dtype=torch.float32) + 0.5) / w
        row = (torch.arange(h, device=x.device, dtype=torch.float32) + 0.5) / h
        along_x, along_y = heat.sum(2), heat.sum(3)
        px, py = along_x @ column, along_y @ row
        spread = ((along_x @ column**2 - px**2) + (along_y @ row**2 - py**2)).clamp_min(1e-8).sqrt()
        face = self.confidence(nn.functional.adaptive_avg_pool2d(deepest, 4)).squeeze(1)
        return torch.stack([px, py], -1), spread, face


def five_from_landmarks(points: Tensor) -> Tensor:
    """(N, P, 2) in the order of LANDMARKS -> (N, 5, 2): eye centres, nose tip, mouth corners."""
    eyes = len(EYE_LEFT)
    left, right = points[:, :eyes].mean(1), points[:, _N : _N + eyes].mean(1)
    single = [points[:, LANDMARKS.index(i)] for i in (NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT)]
    return torch.stack([left, right, *single], dim=1)
