"""Perceptual distance of two pictures, for optimisation at run time: InsetGAN's losses (section 3.2 of that paper), and
refining an inversion (HFGI).

The papers use LPIPS (Zhang et al. 2018). Its AlexNet is used if it is on this machine already; it is never downloaded.
Otherwise the features are those of one of this project's discriminators, weighted equally. Such numbers are not LPIPS;
`name` says which distance is used.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints.embedded import build_from_file
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import StudioError
from gan_core.stylegan2 import Discriminator
from weights.published import default_folder

log = logging.getLogger(__name__)

ALEXNET = "alexnet-owt-7be5be79.pth"  # torchvision's file
_CONVS = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))  # name in torchvision, stride, padding
_POOL_BEFORE = (1, 2)
_MEAN, _STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Perceptual(nn.Module):
    """Distance of features that are normalised over channels at each pixel. Subclasses provide the features."""

    name = "features"  # for a person

    def features(self, image: Tensor) -> list[Tensor]:
        """Feature maps of pictures (N, 3, h, w) in about [-1, 1]."""
        raise NotImplementedError

    def weights(self) -> Sequence[Tensor | None]:
        """For each map the weights of its channels, (C,), or None for equal weights."""
        raise NotImplementedError

    def maps(self, image: Tensor) -> list[Tensor]:
        """The feature maps, normalised; what `distance` compares."""
        return [F.normalize(x.float(), dim=1, eps=1e-6) for x in self.features(image)]

    def distance(self, a: Sequence[Tensor], b: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """Distance, a scalar, of the `maps` of two pictures, weighted by `mask` (1, 1, h, w) if given."""
        total = a[0].new_zeros(())
        for x, y, weight in zip(a, b, self.weights(), strict=True):
            squared = (x - y).square()
            squared = squared.sum(1, keepdim=True) if weight is None else (squared * weight.view(1, -1, 1, 1)).sum(1)
            if mask is None:
                total = total + squared.mean()
            else:
                cover = F.interpolate(mask, x.shape[-2:], mode="area")
                total = total + (squared.view(-1, 1, *x.shape[-2:]) * cover).mean() / cover.mean().clamp_min(1e-6)
        return total


class DiscriminatorDistance(Perceptual):
    """Features of the first blocks of a discriminator, at half of the resolution and below."""

    name = "features of the embedded discriminator (not LPIPS)"

    def __init__(self, discriminator: Discriminator, blocks: int = 3) -> None:
        super().__init__()
        self.blocks = blocks
        self.stem, self.body = discriminator.from_rgb, discriminator.blocks[:blocks]
        self.requires_grad_(False).eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """See `Perceptual`. The finest map is left out: it is little more than the colours."""
        x = self.stem(image.contiguous(memory_format=torch.channels_last))
        outputs = []
        for block in self.body:
            x = block(x)
            outputs.append(x)
        return outputs

    def weights(self) -> Sequence[Tensor | None]:
        """Equal."""
        return [None] * self.blocks


class AlexNetDistance(Perceptual):
    """LPIPS with AlexNet; without LPIPS's own weights its features count equally."""

    def __init__(self, tensors: dict[str, Tensor], linear: dict[str, Tensor] | None) -> None:
        super().__init__()
        self.name = "LPIPS (AlexNet)" if linear else "AlexNet features, equally weighted (not LPIPS)"
        for i, (place, _, _) in enumerate(_CONVS):
            self.register_buffer(f"weight{i}", tensors[f"features.{place}.weight"])
            self.register_buffer(f"bias{i}", tensors[f"features.{place}.bias"])
            if linear:
                self.register_buffer(f"linear{i}", linear[f"lin{i}.model.1.weight"].flatten())
        self._linear = linear is not None
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def features(self, image: Tensor) -> list[Tensor]:
        """See `Perceptual`; five maps."""
        x = (image - self.mean) / self.std
        outputs = []
        for i, (_, stride, padding) in enumerate(_CONVS):
            if i in _POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(F.conv2d(x, getattr(self, f"weight{i}"), getattr(self, f"bias{i}"), stride, padding))
            outputs.append(x)
        return outputs

    def weights(self) -> Sequence[Tensor | None]:
        """LPIPS's, or equal."""
        return [getattr(self, f"linear{i}") if self._linear else None for i in range(len(_CONVS))]


def alexnet_file() -> Path | None:
    """torchvision's AlexNet among the published weights (lpips_alexnet) or in torch's usual cache, if it is there."""
    places = (default_folder() / "lpips_alexnet", Path(torch.hub.get_dir()) / "checkpoints")
    return next((place / ALEXNET for place in places if (place / ALEXNET).is_file()), None)


def perceptual(discriminator: Discriminator) -> Perceptual:
    """LPIPS where its weights are on this machine, else the distance in the discriminator's features."""
    backbone = alexnet_file()
    if backbone is not None:
        try:
            return AlexNetDistance(read_tensors(backbone), _linear_weights())
        except (StudioError, KeyError, OSError) as error:
            log.warning("LPIPS is left out: %s", error)
    return DiscriminatorDistance(discriminator)


def load_embedded_features(folder: Path | str) -> DiscriminatorDistance:
    """The distance in the features of the embedded face discriminator, in `folder` (weights/).

    Raises WeightsMissing or BadCheckpoint.
    """
    path = Path(folder) / "portraits_face" / "discriminator.safetensors"
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    return DiscriminatorDistance(discriminator)


def _linear_weights() -> dict[str, Tensor] | None:
    """LPIPS's weights of AlexNet's channels, which the package lpips carries."""
    found = importlib.util.find_spec("lpips")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "weights" / "v0.1" / "alex.pth"
    return read_tensors(path) if path.is_file() else None
