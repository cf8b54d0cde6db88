"""The Inception network of the published FID, P-IDS and U-IDS (Szegedy et al. 2015, TensorFlow's weights).

Its weights are read as pytorch-fid publishes them, a file of tensors with the names of torchvision's network. (NVIDIA's
copy of the same network is a TorchScript program, which would have to be executed, so it is not used.) There are two
differences from torchvision: average pooling at the border divides by the number of pixels inside the picture, and the
last block uses maximum pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import Inception3
from torchvision.models.inception import InceptionA, InceptionC, InceptionE

from gan_core.errors import BadCheckpoint, WeightsMissing

ENTRY, FILE = "inception_fid", "pt_inception-2015-12-05-6726825d.pth"
SIDE, WIDTH = 299, 2048
_CLASSES = 1008  # of the TensorFlow graph


class InceptionFeatures:
    """Features (N, 2048) of the last pooling layer."""

    title, prefix = "Inception features, as published scores", ""
    """Description of the features, and the prefix of the scores' names."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, images: Tensor, batch: int = 16) -> Tensor:
        """Features (N, 2048), on the CPU, of pictures (N, 3, H, W) in [-1, 1], resized as the protocol has it."""
        device = next(self.network.parameters()).device
        rows = []
        for part in images.split(batch):
            x = part.to(device).float()
            if x.shape[-2:] != (SIDE, SIDE):
                x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)  # no antialiasing
            rows.append(self.network(x).float().cpu())
        return torch.cat(rows)


def build() -> nn.Module:
    """The network with random weights: pictures (N, 3, 299, 299) in [-1, 1] to features (N, 2048)."""
    net = Inception3(num_classes=_CLASSES, aux_logits=False, transform_input=False, init_weights=False)
    for name, width, pooled in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
        setattr(net, name, _pooled_by(InceptionA, _average)(width, pool_features=pooled))
    for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        setattr(net, name, _pooled_by(InceptionC, _average)(768, channels_7x7=width))
    net.Mixed_7b = _pooled_by(InceptionE, _average)(1280)
    net.Mixed_7c = _pooled_by(InceptionE, _maximum)(2048)
    return net


def load_features(folder: Path, device: torch.device | str = "cpu") -> InceptionFeatures:
    """With the published weights in `folder`/inception_fid. Raises WeightsMissing or BadCheckpoint."""
    from gan_core.checkpoints.reader import read_tensors

    path = folder / ENTRY / FILE
    if not path.is_file():
        raise WeightsMissing(
            f"The published Inception network is not on this machine ({path}). "
            f"Fetch it with: python -m gan_core.checkpoints.fetch {ENTRY}"
        )
    net = build()
    try:
        result = net.load_state_dict(read_tensors(path), strict=False)
    except (RuntimeError, TypeError) as error:
        raise BadCheckpoint(f"{path.name} does not hold the Inception network.") from error
    # Counters that only training needs are not in the file.
    missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        raise BadCheckpoint(
            f"{path.name} does not hold the Inception network: {(missing or result.unexpected_keys)[0]}."
        )
    net.fc = nn.Identity()
    return InceptionFeatures(net.to(device))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _maximum(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


def _pooled_by(block: type[nn.Module], pool: Callable[[Tensor], Tensor]) -> type[nn.Module]:
    """torchvision's block with another pooling in its last branch."""

    class Pooled(block):  # type: ignore[valid-type,misc]
        def _forward(self, x: Tensor) -> list[Tensor]:
            return [*super()._forward(x)[:-1], self.branch_pool(pool(x))]

    return Pooled
