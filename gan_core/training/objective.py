"""Adversarial objectives.

Relativistic pairing (Jolicoeur-Martineau 2019; Huang et al. 2024, equations 2 to 4): the loss depends on the difference
between the scores of a real and a generated picture, which does not reward dropping modes. Zero-centred gradient
penalties on real (R1) and generated (R2) pictures make the training converge.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Score = Callable[[Tensor], Tensor]


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """softplus(fake - real), mean over pairs of scores (N, 1)."""
    return F.softplus(fake - real).mean()


def generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """softplus(real - fake), mean over pairs of scores (N, 1)."""
    return F.softplus(real - fake).mean()


def gradient_penalty(score: Score, images: Tensor) -> Tensor:
    """Mean squared norm of the score's gradient at `images` (N, C, H, W) (Mescheder et al. 2018, equation 9)."""
    images = images.detach().requires_grad_()
    return gradient_norm(score(images), images)


def gradient_norm(scores: Tensor, images: Tensor) -> Tensor:
    """The same for scores already computed from `images`, which must require gradients."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.float().square().sum([1, 2, 3]).mean()
