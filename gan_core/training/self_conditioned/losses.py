"""Losses of the Self-Conditioned GAN's training (Liu et al. 2022, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.self_conditioned.labels import blocks, soft_labels
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.training.self_conditioned.views import random_views


def attribute_divergence(logits: Tensor, values: Tensor, knots: Tensor | None = None) -> Tensor:
    """Kullback-Leibler divergence of the soft labels of values (N, A) from the head's logits (N, 1 + 3A): each
    attribute's three go through a softmax of their own; mean over pictures and attributes. 0 at best."""
    wanted = soft_labels(values, knots)
    return F.kl_div(blocks(logits).log_softmax(-1), wanted, reduction="none").sum(-1).mean()


def identity_change(identity_network: FacePredictor, images: Tensor) -> Tensor:
    """Mean of 1 - cosine between the identities of neighbours: rows 0 and 1, 2 and 3 ... of images (N, 3, R, R).

    Each picture is given to the network in another random view, so that the generator cannot lower the loss by an
    adversarial pattern of pixels.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.device.type == "cuda"):
        identities = identity_network.read(random_views(images)[0])[0]
    return 1 - (identities[0::2] * identities[1::2]).sum(1).mean()


def thumbnails(images: Tensor) -> Tensor:
    """Images (N, 3, R, R) at 64 pixels a side (as they are if smaller), where random noise hardly shows."""
    return F.avg_pool2d(images.float(), max(images.shape[-1] // 64, 1))
