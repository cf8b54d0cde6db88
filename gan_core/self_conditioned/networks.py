"""Networks of the Self-Conditioned GAN (Liu et al., SIGGRAPH 2022): StyleGAN2 with one addition on each side.

The generator starts from a learned constant that is blended by the attributes; the discriminator has a second head
that reads the attributes off a picture (both in section 3). Everything else is StyleGAN2's, so that pretrained weights
fit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_core.self_conditioned.labels import KNOTS, modes_of, weights_for_values
from gan_core.stylegan2 import Discriminator, EqualLinear, Generator
from gan_core.stylegan2.discriminator import minibatch_stddev


class SelfConditionedGenerator(Generator):
    """StyleGAN2 generator whose constant input is the base constant plus the attributes' learned constants."""

    def __init__(self, resolution: int = 256, *, attributes: int = 3, **arguments: Any) -> None:
        super().__init__(resolution, **arguments)
        self.config["attributes"] = attributes
        # New constants are zero: before training, all attribute values give the pretrained generator's picture.
        self.constants = nn.Parameter(torch.zeros(KNOTS * attributes, *self.synthesis.start.shape))

    @property
    def modes(self) -> int:
        """Width of the weights: the base and three an attribute."""
        return 1 + len(self.constants)

    def start(self, weights: Tensor) -> Tensor:
        """The blended constant (N, C, h, w): weights[0] * base + sum of weights[k] * constant k.

        Weights (N, 1 + 3A) are taken as they are, not normalised; weight 0 is 1 in every use, and the middle weight of
        each attribute 0 (`labels.without_middle`).

        Raises:
            ValueError: weights of another width.
        """
        if weights.ndim != 2 or weights.shape[1] != self.modes:
            raise ValueError(f"weights have shape {tuple(weights.shape)}, expected (N, {self.modes})")
        every = torch.cat([self.synthesis.start[None], self.constants])
        return torch.einsum("nk,kchw->nchw", weights.to(every), every)

    def draw(
        self, w_plus: Tensor, weights: Tensor, *, noise: str = "const", dtype: torch.dtype | None = None
    ) -> Tensor:
        """Images (N, 3, H, W), about [-1, 1], of w_plus (N or 1, num_ws, w_dim) with attribute weights (N, 1 + 3A)."""
        w_plus = w_plus.expand(weights.shape[0], -1, -1)
        return self.synthesis(w_plus, noise=noise, dtype=dtype, start=self.start(weights))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,  # a class label, at the position of the plain generator's argument
        *,
        values: Tensor | None = None,
        psi: float = 1.0,
        noise: str = "random",
    ) -> Tensor:
        """Images of z (N, z_dim) with attribute values (N, A) in [0, 1]; None for neutral. See `Generator.forward`.

        Raises BadValue for a value outside [0, 1].
        """
        if values is None:
            values = z.new_full((z.shape[0], len(self.constants) // KNOTS), 0.5)
        w = self.mapping.truncate(self.mapping(z, c), psi)
        return self.draw(self.broadcast(w), weights_for_values(values), noise=noise)


class SelfConditionedDiscriminator(Discriminator):
    """StyleGAN2 discriminator with an attribute head beside its score."""

    def __init__(self, resolution: int = 256, *, attributes: int = 3, **arguments: Any) -> None:
        super().__init__(resolution, **arguments)
        self.config["attributes"] = attributes
        fc = self.epilogue.fc
        self.attribute_head = nn.ModuleList(
            [
                EqualLinear(fc.weight.shape[1], fc.weight.shape[0], act="lrelu"),
                EqualLinear(fc.weight.shape[0], modes_of(attributes)),
            ]
        )

    def score_and_attributes(self, image: Tensor, *, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Scores (N, 1) and attribute logits (N, 1 + 3A) of images (N, 3, H, W) in about [-1, 1].

        The two heads share everything up to the last convolution. The score takes no labels. Entry 0 of the logits is
        not trained; each attribute's three go through a softmax of their own (`labels.blocks`).
        """
        x = self.features(image, dtype)[-1]
        x = self.epilogue.conv(minibatch_stddev(x, self.mbstd_group)).contiguous().flatten(1)
        x = x.float() if x.dtype.itemsize < 4 else x
        score = self.epilogue.out(self.epilogue.fc(x))
        return score, self.attribute_head[1](self.attribute_head[0](x))
