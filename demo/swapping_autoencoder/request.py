"""Requests for a mixture in plain values, and their conversion to the pipeline's `Mixture`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.parts.numbers import real_number
from gan_core.errors import BadValue, UnknownName
from gan_core.swapping_autoencoder.models import SwappingAutoencoderModel

if TYPE_CHECKING:
    import torch

    from gan_core.swapping_autoencoder.pipeline import Mixture


@dataclass(frozen=True)
class MixtureRequest:
    """A request for a mixture of pictures, in plain values."""

    amount: float = 1.0
    weights: tuple[float, ...] = ()
    """Of the textures; missing ones are 1."""
    strengths: Mapping[str, float] = field(default_factory=dict)
    vector: torch.Tensor | None = None
    """A domain vector made from uploaded pictures."""
    vector_strength: float = 0.0
    mask: np.ndarray | None = None
    """(H, W) bool, the region painted on the first picture; None for the whole picture."""
    region: str = "texture"
    feather: float = 0.04
    detail: float = 0.0
    """Share of the first picture's own fine detail."""


def checked_amount(amount: Any) -> float:
    """An amount of texture as a float. Raises BadValue."""
    try:
        value = float(amount)
    except (TypeError, ValueError) as error:
        raise BadValue(f"The amount of texture must be a number from 0 to 1, not {amount!r}.") from error
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise BadValue(f"The amount of texture must be from 0 to 1, not {value:g}.")
    return value


def request_of(choice: SwappingAutoencoderModel, amount: Any, more: Any = None) -> MixtureRequest:
    """The API's request. more: strengths of directions by name, and the "detail" of the first picture; the amount may
    be repeated there. Raises BadValue or UnknownName."""
    if more in (None, ""):
        more = {}
    if not isinstance(more, Mapping):
        raise BadValue('More settings are given by name, like {"warm": 0.5}.')
    known = {slider.name: slider for slider in choice.sliders}
    strengths, detail = {}, choice.detail
    for name, value in more.items():
        if name == "detail":
            detail = real_number(value, "The detail must be a number", 0, 1)
        elif name in known:
            low, high = known[name].low, known[name].high
            strengths[name] = real_number(value, f"The strength of {name} must be a number", low, high)
        elif name != "amount":
            raise UnknownName(f"There is no setting {name!r}. Choose one of: detail, {', '.join(known)}.")
    return MixtureRequest(amount=checked_amount(amount), strengths=strengths, detail=detail)


def mixture_of(wanted: MixtureRequest, others: int, size: tuple[int, int]) -> Mixture:
    """A request as a `Mixture`, for `others` textures and a first picture of `size` (height, width).

    Raises BadValue if the region was painted on another picture.
    """
    import torch

    from gan_core.swapping_autoencoder.pipeline import Mixture

    weights = tuple(wanted.weights[:others]) + (1.0,) * max(0, others - len(wanted.weights))
    mask = None
    if wanted.mask is not None:
        if wanted.mask.shape != tuple(size):
            raise BadValue("The painted region belongs to another picture or size. Please paint it again.")
        mask = torch.from_numpy(wanted.mask.astype(np.float32))
    vectors = () if wanted.vector is None or not wanted.vector_strength else ((wanted.vector, wanted.vector_strength),)
    return Mixture(
        amount=wanted.amount,
        weights=weights,
        strengths=dict(wanted.strengths),
        vectors=vectors,
        mask=mask,
        region=wanted.region,
        feather=wanted.feather,
        detail=wanted.detail,
    )


def note_of(choice: SwappingAutoencoderModel, wanted: MixtureRequest) -> str:
    """Description of the request for the result's metadata."""
    parts = [f"texture {wanted.amount:g}"]
    parts += [f"{name} {value:+g}" for name, value in wanted.strengths.items() if value]
    if wanted.vector is not None and wanted.vector_strength:
        parts.append(f"own vector {wanted.vector_strength:+g}")
    if wanted.detail:
        parts.append(f"detail of the first picture {wanted.detail:g}")
    if wanted.mask is not None:
        parts.append(f"in a painted region ({wanted.region})")
    return f"edited with GAN Studio, Swapping Autoencoder ({choice.label}): {', '.join(parts)}"
