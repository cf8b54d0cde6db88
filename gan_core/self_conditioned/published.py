"""The authors' Self-Conditioned GANs, once the Models page has converted them.

Their files have the generator with its learned constants, but neither the names of its attributes nor directions of the
latent space. So a face's own values are not known and start at the middle, and there is no plain edit to compare with:
it leaves the face as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from gan_core.checkpoints import self_conditioned as adapter
from gan_core.checkpoints.converted import open_model
from gan_core.self_conditioned.models import numbered_sliders
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.pipeline import SelfConditionedPipeline
from gan_core.self_conditioned.space import Attribute, AttributeSpace


class NoDirections(AttributeSpace):
    """Attributes without directions: every latent has the middle value of each, and none is moved."""

    def __init__(self, attributes: list[Attribute], num_ws: int, w_dim: int) -> None:
        count = len(attributes)
        ends = torch.ones(count)
        super().__init__(attributes, torch.zeros(count, num_ws, w_dim), torch.zeros(count), -ends, ends)

    def moved(self, w_plus: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """The latents (N, num_ws, w_dim) as they are."""
        return w_plus


def load_published(folder: Path) -> SelfConditionedPipeline:
    """The pipeline of the converted file in `folder`. Raises WeightsMissing or BadCheckpoint."""
    built = open_model(folder, (), (adapter,), "The published self-conditioned generator")
    generator = cast(SelfConditionedGenerator, built.modules["generator"])
    attributes = [
        Attribute(slider.name, slider.label, slider.low, slider.high)
        for slider in numbered_sliders(generator.config["attributes"])
    ]
    space = NoDirections(attributes, generator.num_ws, generator.config["w_dim"])
    return SelfConditionedPipeline(generator, generator, space)
