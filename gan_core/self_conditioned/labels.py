"""Attribute values as soft labels over three knots (Liu et al. 2022, section 3: labels from latent distances).

A value lies between two neighbouring knots and is spread over them linearly, so that one number becomes three weights
that sum to 1: low end, middle, high end. A label vector is (1, then three weights an attribute): the leading 1 stands
for the base constant that every picture shares.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.errors import BadValue

KNOTS = 3  # an attribute: low end, middle, high end
CLIPPED_SHARE = 0.005  # of the data at each end of an attribute (the 0.5 and 99.5 percentiles)


def modes_of(attributes: int) -> int:
    """Width of a label vector for that many attributes: the base and three knots each."""
    return 1 + KNOTS * attributes


def knots_between(low: Tensor | float, high: Tensor | float) -> Tensor:
    """The knots (..., 3) of a range: its ends and their midpoint. Raises BadValue for an empty range."""
    low, high = torch.as_tensor(low), torch.as_tensor(high)
    if not bool((low < high).all()):
        raise BadValue("An attribute's range must have its low end below its high end.")
    return torch.stack([low, (low + high) / 2, high], -1)


def range_of(distances: Tensor) -> tuple[Tensor, Tensor]:
    """Low and high end (...) of the latent distances (N, ...) of the training pictures: percentiles 0.5 and 99.5."""
    low, high = torch.quantile(distances, distances.new_tensor([CLIPPED_SHARE, 1 - CLIPPED_SHARE]), dim=0)
    return low, high


def values_of(distances: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Distances as attribute values in [0, 1]: 0 at `low`, 1 at `high`, clipped outside."""
    return ((distances - low) / (torch.as_tensor(high) - low)).clamp(0, 1)


def soft_labels(values: Tensor, knots: Tensor | None = None) -> Tensor:
    """Weights (..., 3) of each value over the knots (3,) or (..., 3); None for 0, 0.5, 1. Values outside are clipped.

    A value on or past the last knot gives (0, 0, 1), one below the first (1, 0, 0).
    """
    knots = values.new_tensor([0.0, 0.5, 1.0]) if knots is None else knots.to(values)
    first, middle, last = knots.unbind(-1)
    values = torch.minimum(torch.maximum(values, first), last)
    lower = ((values - first) / (middle - first)).clamp(0, 1)  # 0 to 1 between the first two knots
    upper = ((values - middle) / (last - middle)).clamp(0, 1)  # 0 to 1 between the last two
    return torch.stack([1 - lower, lower - upper, upper], -1)


def label_vector(weights: Tensor) -> Tensor:
    """Label vectors (N, 1 + 3A) with a leading 1, of the weights (N, A, 3) of A attributes."""
    return torch.cat([weights.new_ones(weights.shape[0], 1), weights.flatten(1)], 1)


def without_middle(labels: Tensor) -> Tensor:
    """Label vectors (N, 1 + 3A) as the generator takes them: each attribute's middle weight is set to zero.

    A neutral value is then the base alone. The other weights are not normalised. The discriminator's targets keep the
    middle weight.
    """
    kept = labels.clone()
    kept[:, 2::KNOTS] = 0
    return kept


def weights_for_values(values: Tensor) -> Tensor:
    """The generator's weights (N, 1 + 3A) for attribute values (N, A) in [0, 1]; 0.5 is neutral.

    Raises BadValue for a value outside.
    """
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise BadValue("Attribute values lie between 0 and 1; 0.5 is neutral.")
    return without_middle(label_vector(soft_labels(values)))


def weights_from_logits(logits: Tensor) -> Tensor:
    """The generator's weights (N, 1 + 3A) that the attribute head's logits (N, 1 + 3A) of a picture stand for.

    A softmax over each attribute's three entries; entry 0 is not trained and counts as 1.
    """
    return without_middle(label_vector(blocks(logits).softmax(-1)))


def blocks(vectors: Tensor) -> Tensor:
    """Label vectors or logits (N, 1 + 3A) as (N, A, 3), without entry 0. Raises BadValue if the width is another."""
    if vectors.ndim != 2 or vectors.shape[1] % KNOTS != 1:
        raise BadValue(f"A label vector has 1 + {KNOTS} entries an attribute, not {vectors.shape[-1]}.")
    return vectors[:, 1:].reshape(vectors.shape[0], -1, KNOTS)
