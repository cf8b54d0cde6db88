"""Where the latents of a picture come from: a seed with its sliders, or codes of an inverted picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue, UnknownName
from gan_core.insetgan.models import BodySlider
from gan_core.stylegan2 import Generator

LARGEST_SEED = 2**31 - 1
Truncation = float | tuple[float, float]


@dataclass(frozen=True)
class LatentSource:
    """Where a picture's latents come from: a seed, or codes (1, num_ws, w_dim) of an inverted picture."""

    seed: int = 0
    psi: Truncation = 0.7  # truncation; a pair goes from the coarsest to the finest layer
    codes: Tensor | None = field(default=None, repr=False)
    strengths: Mapping[str, float] = field(default_factory=dict)  # of the canvas's directions, by name
    pose: int | None = None  # of the canvas's poses, counted from 0; None: the latents' own
    picture: Tensor | None = field(default=None, repr=False)  # (1, 3, R, R), shown instead of the codes' as long as
    # these are not optimised: an inversion with what the codes lose of a photo


@dataclass(frozen=True)
class CanvasDirection:
    """A slider's direction in the latents of a canvas."""

    slider: BodySlider
    direction: Tensor  # (w_dim,) or (num_ws, w_dim), the change for strength 1


def load_directions(path: Path) -> dict[str, CanvasDirection]:
    """The directions of a file: one tensor each, and name, label and range in its config, as the face editor's.

    Raises WeightsMissing or BadCheckpoint.
    """
    tensors, config = store.read(path)
    try:
        sliders = [BodySlider(**entry) for entry in config.get("attributes", [])]
    except TypeError as error:
        raise BadCheckpoint(f"The directions file {path.name} is damaged; fetch it again.") from error
    if {slider.name for slider in sliders} != tensors.keys():
        raise BadCheckpoint(f"The directions file {path.name} is damaged; fetch it again.")
    return {slider.name: CanvasDirection(slider, tensors[slider.name].float()) for slider in sliders}


def load_poses(path: Path) -> Tensor:
    """Latents (K, L, w_dim) of the K poses of a file, for the coarsest L layers.

    Raises WeightsMissing or BadCheckpoint.
    """
    tensors, config = store.read(path)
    codes = tensors.get("codes")
    if codes is None or codes.ndim != 3 or len(codes) != len(config.get("poses", ())):
        raise BadCheckpoint(f"The file of poses {path.name} is damaged; fetch it again.")
    return codes.float()


@torch.no_grad()
def codes_of(
    generator: Generator,
    source: LatentSource,
    directions: Mapping[str, CanvasDirection],
    poses: Tensor | None = None,
) -> Tensor:
    """Codes (1, num_ws, w_dim) on the generator's device. Raises BadValue or UnknownName.

    poses: `load_poses`'s. A pose takes the place of the coarsest layers (style mixing, Karras et al. 2019, section
    3.1), which decide how a body stands, its outline and the cut of its clothes; colours, faces and backdrops stay.
    """
    return _posed(_own_codes(generator, source), source.pose, poses) + _moved(
        source.strengths, directions, generator.mapping.w_avg
    )


def _posed(codes: Tensor, pose: int | None, poses: Tensor | None) -> Tensor:
    if pose is None:
        return codes
    count = 0 if poses is None else len(poses)
    if poses is None or not 0 <= pose < count:
        raise BadValue(f"There is no pose {pose + 1}; these bodies have {count or 'none'}.")
    return torch.cat([poses[pose, None].to(codes), codes[:, poses.shape[1] :]], 1)


def _own_codes(generator: Generator, source: LatentSource) -> Tensor:
    mean = generator.mapping.w_avg
    if source.codes is not None:
        wanted = (1, generator.num_ws, generator.synthesis.w_dim)
        if tuple(source.codes.shape) != wanted:
            raise BadValue(f"The codes have the shape {tuple(source.codes.shape)}, this generator takes {wanted}.")
        return source.codes.to(mean)
    if not 0 <= source.seed <= LARGEST_SEED:
        raise BadValue(f"A seed must be a whole number from 0 to {LARGEST_SEED}, not {source.seed}.")
    coarse, fine = source.psi if isinstance(source.psi, tuple) else (source.psi, source.psi)
    if not (0 <= coarse <= 1 and 0 <= fine <= 1):
        raise BadValue(f"Truncation must be from 0 to 1, not {source.psi}.")
    rng = torch.Generator().manual_seed(source.seed)
    z = torch.randn(1, generator.mapping.z_dim, generator=rng).to(mean)
    label = None
    if generator.mapping.c_dim:
        label = torch.eye(generator.mapping.c_dim)[source.seed % generator.mapping.c_dim][None].to(mean)
    psi = torch.linspace(coarse, fine, generator.num_ws).to(mean)[None, :, None]
    return mean + psi * (generator.broadcast(generator.mapping(z, label)) - mean)


def _moved(strengths: Mapping[str, float], directions: Mapping[str, CanvasDirection], like: Tensor) -> Tensor:
    """What the sliders add to codes, to be broadcast over them. Raises BadValue or UnknownName."""
    total = torch.zeros_like(like)
    for name, strength in strengths.items():
        found = directions.get(name)
        if found is None:
            known = ", ".join(directions) or "none"
            raise UnknownName(f"There is no slider {name!r} of these bodies; there are: {known}.")
        if not found.slider.low <= strength <= found.slider.high:  # also refuses NaN
            limits = f"from {found.slider.low:g} to {found.slider.high:g}"
            raise BadValue(f"The strength of {name} must be {limits}, not {strength}.")
        total = total + strength * found.direction.to(like)
    return total
