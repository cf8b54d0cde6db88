"""The synthesis network arranged for drawing: the same function as `SynthesisNetwork`, no gradients, half precision.

What differs from the readable network, and why it is the same function:
- Weights are scaled once. Activations are multiplied by the styles, outputs by the demodulation (equation 3 of Karras
  et al. 2020), so one weight serves all samples and the matrix units do the work.
- A transposed convolution of stride 2 and the blur after it are one 6x6 kernel; its four phases are four 3x3 kernels on
  the smaller map, computed as four times as many channels.
- Everything after a convolution is one pass (`ops_cuda.finish`), which also applies the next layer's styles and ToRGB.
- Styles and demodulations of all layers come from two batched matrix products.
- Styles are divided by their largest entry before they meet half-precision features, and the demodulation is multiplied
  by it: an exact change that keeps the features within float16's range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_core.stylegan2.layers import EqualLinear
from gan_core.stylegan2.synthesis import NOISE_MODES, StyledConv, SynthesisNetwork
from ops_cuda import finish, setup_filter
from ops_cuda.modulated_conv2d import EPSILON

Conditions = Mapping[int, tuple[Tensor, Tensor]]


def fold_upsampling(weight: Tensor, filter: Tensor) -> Tensor:
    """The 3x3 kernels (4 O, I, 3, 3) whose outputs are the four pixels (2 y + a, 2 x + b) at channel (2 a + b) O + o
    of a transposed convolution of stride 2 with weight (O, I, 3, 3), filtered by `filter` (4, 4), gain 4."""
    taps = filter.sum(1) * 2  # separable: each axis takes half of the gain
    spread = taps.new_zeros(6, 3)  # row m: what reaches output pixel j = 2 i + m - 2 from tap u of input pixel i
    for m in range(6):
        for u in range(3):
            if 0 <= u - m + 3 < 4:
                spread[m, u] = taps[u - m + 3]
    kernel = torch.einsum("mu,nv,oiuv->oimn", spread, spread, weight.to(taps.dtype))
    phases = [kernel[:, :, [a + 4, a + 2, a]][..., [b + 4, b + 2, b]] for a in (0, 1) for b in (0, 1)]
    return torch.cat(phases)


class FusedSynthesis(nn.Module):
    """Computes the same as `network`. Build a new one when the network's weights have changed."""

    def __init__(self, network: SynthesisNetwork, dtype: torch.dtype = torch.float16) -> None:
        super().__init__()
        self.dtype, self.num_ws, self.w_dim, self.resolution = dtype, network.num_ws, network.w_dim, network.resolution
        self.kernels = nn.ParameterList()
        self.noises = nn.ParameterList()
        convs: list[tuple[StyledConv, int]] = []  # with the index of their latent
        colours: list[tuple[EqualLinear, int]] = []
        rgb_weights, rgb_biases = [], []
        with torch.no_grad():
            for i, block in enumerate(network.blocks):
                if block.conv_up is not None:
                    convs.append((block.conv_up, 2 * i - 1))
                convs.append((block.conv, 2 * i))
                colours.append((block.to_rgb.affine, 2 * i + 1))
                rgb_weights.append(block.to_rgb.weight.flatten(1) * block.to_rgb.weight_gain)
                rgb_biases.append(block.to_rgb.bias.clone())
            for conv, _ in convs:
                weight = conv.weight * conv.weight_gain
                if conv.up == 2:
                    weight = fold_upsampling(weight, setup_filter().to(weight.device))
                weight = weight.to(dtype, memory_format=torch.channels_last)
                self.kernels.append(nn.Parameter(weight, requires_grad=False))
                noise = (conv.noise_const * conv.noise_strength)[None, None].float()
                self.noises.append(nn.Parameter(noise, requires_grad=False))
            strengths = torch.stack([conv.noise_strength.float() for conv, _ in convs])
            energies = [(conv.weight * conv.weight_gain).square().sum([2, 3]) for conv, _ in convs]
            affines = [conv.affine for conv, _ in convs] + [affine for affine, _ in colours]
            widest = max(affine.weight.shape[0] for affine in affines)
            self._keep("noise_strength", strengths)
            start = network.start  # None where it is computed, and given
            self.register_buffer("start", None if start is None else start.detach()[None].float().contiguous())
            self._keep("bias", torch.stack([_padded(conv.bias, widest) for conv, _ in convs]))
            self._keep("energy", torch.stack([_padded(e, widest, widest) for e in energies]))
            self._keep("rgb_bias", torch.stack(rgb_biases))
            self.rgb_weights = nn.ParameterList(nn.Parameter(w.float(), requires_grad=False) for w in rgb_weights)
            self._keep("affine_weight", torch.stack([_padded(a.weight * a.weight_gain, widest) for a in affines]))
            self._keep("affine_bias", torch.stack([_padded(a.bias * a.bias_gain, widest) for a in affines]))
        self.register_buffer("latent_index", torch.tensor([i for _, i in convs + colours], device=strengths.device))
        self.up = [conv.up == 2 for conv, _ in convs]
        self.widths = [(conv.weight.shape[1], conv.weight.shape[0]) for conv, _ in convs]
        self.eval()

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.detach().float().contiguous())

    def forward(
        self,
        w_plus: Tensor,
        *,
        noise: str = "const",
        conditions: Conditions | None = None,
        start: Tensor | None = None,
        skips: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Images (N, 3, H, W), float32, about [-1, 1], of w_plus (N, num_ws, w_dim).

        Args:
            w_plus: latents, one a layer.
            noise: "const", "random" or "none", as in `SynthesisNetwork`.
            conditions: by latent index, scale and shift (N, C, h, w) of that convolution's activated output.
            start: (N or 1, C, h, w) features instead of the learned constant.
            skips: by latent index of an upsampling convolution, (N or 1, C, h, w) added to its activated output.

        Raises:
            ValueError: w_plus of another shape, an unknown noise mode, or a skip where ToRGB would see it.
        """
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w_plus has shape {tuple(w_plus.shape)}, expected (N, {self.num_ws}, {self.w_dim})")
        if noise not in NOISE_MODES:
            raise ValueError(f"noise must be one of {', '.join(NOISE_MODES)}")
        conditions, skips = conditions or {}, skips or {}
        if any(i % 2 == 0 for i in skips):
            raise ValueError("features can be added after upsampling convolutions only")
        count, n = len(self.up), w_plus.shape[0]
        chosen = w_plus.float()[:, self.latent_index].transpose(0, 1)  # (layers, N, w_dim)
        styles = torch.baddbmm(self.affine_bias[:, None], chosen, self.affine_weight.transpose(1, 2))
        styles, rgb_styles = styles[:count], styles[count:]
        largest = styles.abs().amax(2, keepdim=True).clamp_min(1e-8)
        styles = styles / largest
        # With s = s' m, demodulation is m / sqrt(sum of (w s)^2 + eps) = 1 / sqrt(sum of (w s')^2 + eps / m^2).
        factors = torch.bmm(styles.square(), self.energy.transpose(1, 2)).add_(EPSILON / largest.square()).rsqrt_()
        start = self.start if start is None else start.float()
        x = (start * styles[0, :, : self.widths[0][0], None, None]).to(self.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        image = None
        for i, (_, outputs) in enumerate(self.widths):
            raw = nn.functional.conv2d(x, self.kernels[i], padding=1)
            skip = skips[i].to(raw.dtype).expand(n, -1, -1, -1) if i in skips else None
            next_styles = styles[i + 1, :, :outputs] if i + 1 < count else None
            if skip is not None and next_styles is not None:  # `finish` divides the sum by sqrt(2)
                next_styles = next_styles * math.sqrt(2)
            colour = i // 2 if i % 2 == 0 else None  # every resolution's last convolution has a ToRGB
            features, picture, _ = finish(
                raw,
                factors[i, :, :outputs],
                self.bias[i, :outputs],
                noise=self._noise(i, noise, n),
                shuffle=self.up[i],
                condition=conditions.get(i),
                skip=skip,
                styles=next_styles,
                rgb_weight=None if colour is None else self.rgb_weights[colour],
                rgb_styles=None if colour is None else rgb_styles[colour, :, :outputs],
                rgb_bias=None if colour is None else self.rgb_bias[colour],
                image=None if colour is None else image,
            )
            x = features
            image = image if colour is None else picture
        return image

    def _noise(self, layer: int, mode: str, samples: int) -> Tensor | None:
        if mode == "none":
            return None
        constant = self.noises[layer]
        if mode == "const":
            return constant
        shape = (samples, 1, *constant.shape[2:])
        return torch.randn(shape, device=constant.device) * self.noise_strength[layer]


def _padded(x: Tensor, rows: int, columns: int | None = None) -> Tensor:
    """x with zeros after its first axis, and after its second if `columns` is given."""
    padding = [0, 0] * (x.ndim - 1) + [0, rows - x.shape[0]]
    if columns is not None:
        padding[0:2] = [0, columns - x.shape[1]]
    return nn.functional.pad(x, padding)
