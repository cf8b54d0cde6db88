"""A real picture as latents of a generator, by optimisation: what InsetGAN's real bodies start from (section 4).

The latents start at the mean w, or where an encoder says, and minimise the L1 and perceptual distance of the whole
pictures, with the regularisers of the joint optimisation. Details that a few hundred steps do not reach are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gan_core.adam import adam
from gan_core.errors import BadValue
from gan_core.graphs import Captured
from gan_core.insetgan.latents import GeneratorLatent, added_codes, fast_dtype, with_statistics
from gan_core.insetgan.objective import Weights, latent_regulariser
from gan_core.insetgan.placement import resized
from gan_core.perceptual import Perceptual
from gan_core.stylegan2 import Generator

STEPS = 120
_RATE = 0.05  # of Adam, in units of the spread of w
_L1, _SMALL_L1, _PERCEPTUAL = 4.0, 4.0, 0.4
_WEIGHTS = Weights(mean=2e-6, offsets=0.02)
_SMALL = 32  # side of a reduced picture that is compared, too, because colours and shapes converge there first
_SEEN = 256  # height at which the perceptual distance compares
_PREVIEW_ON_CPU = 4  # steps: a second or two there


@dataclass(frozen=True)
class Projection:
    """A report; the last one is the result."""

    step: int
    steps: int
    codes: Tensor  # (1, num_ws, w_dim), on the CPU
    image: Tensor  # (1, 3, H, W) in [-1, 1], on the CPU
    loss: float

    @property
    def done(self) -> bool:
        """Whether this is the last one."""
        return self.step >= self.steps


@torch.no_grad()
def project(
    generator: Generator,
    picture: Tensor,
    features: Perceptual,
    *,
    start: Tensor | None = None,
    steps: int = STEPS,
    preview: int = 20,
    known: Tensor | None = None,
) -> Iterator[Projection]:
    """Find latents of a picture (1, 3, H, W) in [-1, 1], of the generator's size; yields every `preview` steps.

    On a CPU it yields more often, every `_PREVIEW_ON_CPU`.

    known: (1, 1, H, W), 1 where the picture counts and 0 where the generator is to make it up; None for all of it.
    start: latents (1, num_ws, w_dim) to begin from, as an encoder may give them; the mean w otherwise.
    Closing the iterator stops it. Raises BadValue for a picture of another size.
    """
    device = generator.mapping.w_avg.device
    begin = generator.broadcast(generator.mapping.w_avg[None]) if start is None else start
    begin = begin.to(device).clone()
    width = generator.resolution * generator.config["start_shape"][1] // generator.config["start_shape"][0]
    if tuple(picture.shape) != (1, 3, generator.resolution, width):
        raise BadValue(f"The picture has {tuple(picture.shape[2:])} pixels, not {(generator.resolution, width)}.")
    latent = with_statistics(GeneratorLatent(generator, begin, rate=_RATE, given=start is not None))
    known = torch.ones_like(picture[:, :1]) if known is None else known
    if not bool(known.any()):
        raise BadValue("Nothing of the picture counts.")
    yield from _run(latent, picture.to(device), known.to(device), features, steps, preview)


def _run(
    latent: GeneratorLatent, picture: Tensor, known: Tensor, features: Perceptual, steps: int, preview: int
) -> Iterator[Projection]:
    step = Captured(partial(_step, latent, features, fast_dtype(picture.device)))
    added = torch.zeros_like(torch.cat([latent.codes[:, :1], latent.codes], 1))
    state = [added, torch.zeros_like(added), torch.zeros_like(added), torch.zeros((), device=picture.device)]
    rates = torch.cos(torch.linspace(0, 0.46 * torch.pi, steps)).to(picture.device)
    maps = features.maps(_seen(picture))
    if picture.device.type == "cpu":
        preview = min(preview, _PREVIEW_ON_CPU)
    for i in range(steps):
        *state, loss = step(*state, rates[i], picture, known, *maps)
        if (i + 1) % preview == 0 or i + 1 == steps:
            codes = latent.codes + added_codes(state[0])
            image = latent.generator.synthesis(codes).clamp(-1, 1)
            yield Projection(i + 1, steps, codes.cpu(), image.float().cpu(), float(loss))


def _step(
    latent: GeneratorLatent, features: Perceptual, dtype: torch.dtype | None, *tensors: Tensor
) -> tuple[Tensor, ...]:
    added, first, second, count, rate, picture, known, *maps = tensors
    with torch.enable_grad():
        moved = added.detach().requires_grad_()
        image = latent.generator.synthesis(latent.codes + added_codes(moved), noise="none", dtype=dtype)
        error = (image - picture) * known
        share = known.mean()
        loss = (_L1 * error.abs().mean() + _SMALL_L1 * resized(error, (_SMALL, _SMALL)).abs().mean()) / share
        loss = loss + _PERCEPTUAL * features.distance(features.maps(_seen(image)), maps, known)
        loss = loss + latent_regulariser(
            moved[:, 0], moved[:, 1:], latent.codes, latent.mean, latent.spread, _WEIGHTS, latent.given
        )
        (gradient,) = torch.autograd.grad(loss, [moved])
    count = count + 1
    change, first, second = adam(gradient, first, second, count)
    return added - rate * latent.rate * latent.spread * change, first, second, count, loss.detach()


def _seen(picture: Tensor) -> Tensor:
    """What the perceptual distance compares: a large picture reduced, which costs less and loses only texture."""
    height, width = picture.shape[-2:]
    shrink = max(1, height // _SEEN)
    return resized(picture, (height // shrink, width // shrink))
