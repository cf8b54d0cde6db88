"""Mapping network f: Z -> W (Karras et al. 2019, section 2; Karras et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.stylegan2.layers import EqualLinear, normalize_2nd_moment


class MappingNetwork(nn.Module):
    """z, and a class label if there is one, to w."""

    def __init__(
        self,
        z_dim: int = 512,
        w_dim: int = 512,
        *,
        c_dim: int = 0,  # width of the label; 0 for none.
        layers: int = 8,
        lr_multiplier: float = 0.01,
    ) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.c_dim = z_dim, w_dim, c_dim
        self.embed = EqualLinear(c_dim, w_dim) if c_dim else None
        widths = [z_dim + (w_dim if c_dim else 0)] + [w_dim] * layers
        self.layers = nn.ModuleList(
            EqualLinear(a, b, act="lrelu", lr_multiplier=lr_multiplier)
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and label c (N, c_dim) to w (N, w_dim).

        Raises:
            ValueError: the network is conditional and no label was given.
        """
        x = normalize_2nd_moment(z)
        if self.embed is not None:
            if c is None:
                raise ValueError(f"this generator is conditional: give a label c of shape (N, {self.c_dim})")
            x = torch.cat([x, normalize_2nd_moment(self.embed(c))], 1)
        for layer in self.layers:
            x = layer(x)
        return x

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Truncation trick: w_avg + psi * (w - w_avg), for w (..., w_dim); psi 1 changes nothing."""
        return w if psi == 1 else self.w_avg.lerp(w, psi)

    @torch.no_grad()
    def estimate_average(self, samples: int = 10_000, seed: int = 1) -> None:
        """Set w_avg to the mean w of random z (labels, if any, are one-hot and uniform)."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(samples, self.z_dim, generator=generator).to(self.w_avg.device)
        c = None
        if self.c_dim:
            index = torch.randint(self.c_dim, (samples,), generator=generator)
            c = torch.nn.functional.one_hot(index, self.c_dim).to(z)
        self.w_avg.copy_(self(z, c).mean(0))
