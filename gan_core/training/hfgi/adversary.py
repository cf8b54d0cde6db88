"""An adversarial loss for the consultation: a discriminator scores reconstructions and edits.

HFGI's authors train on distances alone. The squared error is minimal at the mean of all plausible details, which is
blurred; and for an edited face there is no original to compute a distance to. A discriminator covers both cases. It
starts from the one that the generator was trained with and is trained further with the same relativistic loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_core.stylegan2 import Discriminator
from gan_core.training.gradients import Flat
from gan_core.training.objective import discriminator_loss, generator_loss, gradient_penalty

if TYPE_CHECKING:
    from gan_core.training.hfgi.settings import HFGISettings


class Adversary:
    """A discriminator, the pictures that it is trained on next, and its own optimizer.

    A step of the trained networks calls `generator_losses`, which keeps the pictures; then `discriminator_terms` and
    `update` train the discriminator on the same pictures. Nothing synchronises with the device, and memory addresses
    are the same in each step, so that both can be captured in CUDA graphs.
    """

    def __init__(
        self, discriminator: Discriminator, settings: HFGISettings, device: torch.device, dtype: torch.dtype | None
    ) -> None:
        self.net = discriminator.to(device, memory_format=torch.channels_last).train().requires_grad_(True)
        self.settings, self.dtype = settings, dtype
        self.gradient = Flat(self.net)
        adam = {"lr": settings.discriminator_lr, "betas": (0.0, 0.99), "eps": 1e-8, "fused": device.type == "cuda"}
        self.adam = torch.optim.Adam(self.gradient.parameters, **adam)
        self._pairs: list[tuple[Tensor, Tensor]] = []  # real and drawn pictures; kept from the first step on

    def score(self, images: Tensor) -> Tensor:
        """Scores (N, 1) of pictures (N, 3, R, R)."""
        return self.net(images, dtype=self.dtype)

    def generator_losses(self, pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """The generator's relativistic loss, a scalar for each pair; the pictures are kept for `discriminator_terms`.

        pairs: real and drawn pictures, each (N, 3, R, R) in about [-1, 1]; the drawn ones may carry a gradient.
        """
        if not self._pairs:
            self._pairs = [(torch.empty_like(real), torch.empty_like(drawn)) for real, drawn in pairs]
        for (kept_real, kept_drawn), (real, drawn) in zip(self._pairs, pairs, strict=True):
            kept_real.copy_(real)
            kept_drawn.copy_(drawn.detach())
        self.net.requires_grad_(False)
        losses = []
        for real, drawn in pairs:
            with torch.no_grad():
                goal = self.score(real)
            losses.append(generator_loss(goal, self.score(drawn)))
        self.net.requires_grad_(True)
        return losses

    def discriminator_terms(self, penalise: bool) -> dict[str, Tensor]:
        """Compute the discriminator's gradients on the pictures of the last `generator_losses`; returns its loss terms.

        penalise: add R1 and R2, which are due every `settings.penalty_every` steps and weighted by that number.
        """
        s = self.settings
        self.gradient.buffer.zero_()
        losses = [discriminator_loss(self.score(real), self.score(drawn)) for real, drawn in self._pairs]
        terms = {"discriminator": torch.stack(losses).mean()}
        if penalise:
            real, drawn = (torch.cat(side) for side in zip(*self._pairs, strict=True))
            penalty = gradient_penalty(self.score, real) + gradient_penalty(self.score, drawn)
            terms["discriminator_penalty"] = penalty * (s.gamma / 2 * s.penalty_every)
        sum(terms.values()).backward()
        return terms

    def update(self, warm: float) -> None:
        """One step of the discriminator's optimizer; `warm` (0 to 1) scales its rate at the run's start."""
        for group in self.adam.param_groups:
            group["lr"] = self.settings.discriminator_lr * warm
        self.gradient.drop_non_finite()
        self.adam.step()


def balanced(pictures: Tensor, distance: Tensor, adversarial: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The weight (a scalar without gradient) that makes the gradient of `adversarial` at `pictures` `share` times as
    long as that of `distance`, and a scalar of value 0 with the gradient of distance + weight x adversarial.

    As in "Taming transformers" (Esser et al. 2021, section 3.1), but measured at the pictures: a fixed weight would be
    too small while distances are large and too large once they are small. Both losses are differentiated here,
    once; only the second result is to be differentiated further.
    """
    pulls = [torch.autograd.grad(loss, pictures)[0].float() for loss in (distance, adversarial)]
    sizes = [pull.square().sum().sqrt() for pull in pulls]
    weight = (share * sizes[0] / (sizes[1] + 1e-8)).clamp(max=10.0)
    return weight, ((pictures - pictures.detach()).float() * (pulls[0] + weight * pulls[1])).sum()
