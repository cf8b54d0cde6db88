"""Copies of a synthesis network that share its tensors: with other weights in some places, or with fewer resolutions.

The network of the app is shared by all visitors and is never changed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from gan_core.stylegan2.synthesis import SynthesisNetwork

TUNED_FROM = 32  # pixels a side


def tuned_names(network: SynthesisNetwork, coarsest: int = TUNED_FROM) -> list[str]:
    """Names of the weights that are tuned to one face: those of the convolutions and of the colours, from the
    resolution `coarsest` on.

    Below it the layers place eyes, mouth and head; they hold most of the numbers, and edits rely on them. The styles'
    layers stay as they are, because a tuned one would change what an edit's direction does.
    """
    start = network.start.shape[-2]
    names = []
    for i, block in enumerate(network.blocks):
        if start << i < coarsest:
            continue
        for name, _ in block.named_parameters():
            if name.rsplit(".", 1)[-1] in ("weight", "bias") and "affine" not in name:
                names.append(f"blocks.{i}.{name}")
    return names


def with_weights(network: SynthesisNetwork, weights: Mapping[str, Tensor]) -> SynthesisNetwork:
    """A copy with these weights by name, which shares all other tensors with `network`.

    Raises KeyError where the network has no such weight.
    """
    own = dict(network.named_parameters())
    replaced = {id(own[name]): nn.Parameter(value, requires_grad=False) for name, value in weights.items()}
    kept = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, kept | replaced)


def up_to(network: SynthesisNetwork, resolution: int) -> SynthesisNetwork:
    """A copy that draws only as far as `resolution` (height, pixels) and shares all its tensors with `network`."""
    count = (resolution // network.start.shape[-2]).bit_length()
    kept = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    lower = copy.deepcopy(network, kept)
    lower.blocks = lower.blocks[:count]
    lower.resolution, lower.num_ws = resolution, 2 * count
    return lower
