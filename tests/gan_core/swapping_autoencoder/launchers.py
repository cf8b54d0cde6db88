"""Stand-in checkpoints of every configuration that the authors' launchers name, under published names.

The names and shapes follow from the options by the rules of the format, not from this project's networks. `capacity`
scales all widths down that the format lets an option scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LINE = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
USUAL = torch.outer(LINE, LINE)
LIGHT = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])) / 16


@dataclass(frozen=True)
class Options:
    """What a launcher sets, with the authors' defaults."""

    crop_size: int = 256
    load_size: int = 256
    e_capacity: float = 1.0
    e_steps: int = 4
    e_texture_steps: int = 2
    e_steepness: float = 2.0
    g_capacity: float = 1.0
    g_base_layers: int = 2
    d_capacity: float = 1.0
    patch_capacity: float = 4.0
    patch_max: int = 384
    patch_size: int = 128
    structure: int = 8
    texture: int = 2048

    def scaled(self, capacity: float) -> Options:
        """The same with narrower networks, by the format's own options."""
        return Options(
            **{
                **self.__dict__,
                "e_capacity": self.e_capacity * capacity,
                "g_capacity": self.g_capacity * capacity,
                "d_capacity": self.d_capacity * capacity,
                "patch_capacity": self.patch_capacity * capacity,
                "patch_max": max(4, int(self.patch_max * capacity)),
                "texture": int(self.texture * capacity),
            }
        )


# experiments/*_launcher.py: churches, bedrooms and animals have the defaults.
_FFHQ1024 = Options(768, 1024, e_capacity=0.4, e_steps=5, g_capacity=0.8, patch_size=256, texture=1536)
LAUNCHERS = {
    "church, bedroom, afhq": Options(),
    "mountain, ffhq512": Options(512, 512),
    "ffhq1024": _FFHQ1024,
    "ffhq1024_patchDv7_L1_smallerstructurecode": Options(
        768, 1024, 1.0, 6, e_steepness=1.8, g_capacity=0.8, patch_size=256, structure=64, texture=1024
    ),
    # not a launcher's: the last map of the image discriminator may be any size
    "crop 1536": Options(**{**_FFHQ1024.__dict__, "crop_size": 1536}),
}


def checkpoint(options: Options, seed: int = 0) -> dict[str, Tensor]:
    """The flat state_dict of the whole model, random."""
    random = torch.Generator().manual_seed(seed)
    shapes = {**_encoder(options), **_generator(options), **_discriminator(options), **_patches(options)}
    tensors = {name: torch.randn(shape, generator=random) for name, shape in shapes.items() if shape is not None}
    for name in shapes.keys() - tensors.keys():
        tensors[name] = _filter(name)
    return {name: tensors[name] for name in shapes} | {"num_discriminator_iters": torch.zeros(1, dtype=torch.long)}


def _filter(name: str) -> Tensor:
    if name.startswith("E."):
        return torch.ones(1, 1) if "Global" in name else LIGHT
    return USUAL * (4 if name.startswith("G.") else 1)


Shapes = dict[str, tuple[int, ...] | None]  # None: a resampling filter


def _conv(at: str, i: int, o: int, side: int, *, bias: str = "Act") -> Shapes:
    shapes: Shapes = {f"{at}.Conv.weight": (o, i, side, side)}
    return shapes | ({f"{at}.{bias}.bias": (o,)} if bias else {})


def _linear(at: str, i: int, o: int) -> Shapes:
    return {f"{at}.weight": (o, i), f"{at}.bias": (o,)}


def _res_block(at: str, i: int, o: int, *, down: bool = True) -> Shapes:
    shapes = {**_conv(f"{at}.conv1", i, i, 3), **_conv(f"{at}.conv2", i, o, 3), **_conv(f"{at}.skip", i, o, 1, bias="")}
    return shapes | ({f"{at}.{part}.Blur.kernel": None for part in ("conv2", "skip")} if down else {})


def _encoder(opt: Options) -> Shapes:
    def width(i: int) -> int:
        return min(opt.texture, round(opt.e_steepness ** (5 + i) * opt.e_capacity))

    last = width(opt.e_steps)
    shapes = _conv("E.FromRGB", 3, width(0), 1)
    for i in range(opt.e_steps):
        shapes |= _res_block(f"E.DownToSpatialCode.ResBlockDownBy{1 << i}", width(i), width(i + 1))
    shapes |= _conv("E.ToSpatialCode.0", last, last, 1)
    shapes |= _conv("E.ToSpatialCode.1", last, opt.structure, 1, bias="Conv")
    for i in range(opt.e_steps, opt.e_steps + opt.e_texture_steps):
        at = f"E.DownToGlobalCode.ConvLayerDownBy{1 << i}"
        shapes |= {f"{at}.Blur.kernel": None} | _conv(at, width(i), width(i + 1), 3)
    return shapes | _linear("E.ToGlobalCode.0", width(opt.e_steps + opt.e_texture_steps), opt.texture)


def _modulated(at: str, i: int, o: int, side: int, opt: Options) -> Shapes:
    return {f"{at}.conv.weight": (1, o, i, side, side)} | _linear(f"{at}.conv.modulation", opt.texture, i)


def _generator(opt: Options) -> Shapes:
    def width(j: int) -> int:
        return int(min(512, 128 << (opt.e_steps - j)) * opt.g_capacity)

    shapes: Shapes = {}
    for part in ("scale", "bias"):
        shapes |= _linear(f"G.SpatialCodeModulation.{part}", opt.texture, opt.structure)
    channels = opt.structure
    for i in range(opt.g_base_layers + opt.e_steps):
        up = i - opt.g_base_layers
        if up < 0:
            out = max(opt.structure, round((i + 1) / opt.g_base_layers * width(0)))
            at = f"G.HeadResnetBlock{i}"
        else:
            out, at = width(up + 1), f"G.UpsamplingResBlock{16 << up}"
        for conv, source in (("conv1", channels), ("conv2", out)):
            shapes |= _modulated(f"{at}.{conv}", source, out, 3, opt)
            shapes |= {f"{at}.{conv}.noise.weight": (1,), f"{at}.{conv}.activate.bias": (out,)}
        if up >= 0:
            shapes[f"{at}.conv1.conv.blur.kernel"] = None
        if channels != out:
            shapes |= _conv(f"{at}.skip", channels, out, 1, bias="Act" if up >= 0 else "")
        channels = out
    shapes |= _modulated("G.ToRGB", channels, 3, 1, opt)
    return shapes | {"G.ToRGB.bias": (1, 3, 1, 1), "G.ToRGB.upsample.kernel": None}


def _discriminator(opt: Options) -> Shapes:
    m = 2 * opt.d_capacity
    widths = {4: 512, 8: 512, 16: min(512, int(512 * m)), 32: min(512, int(512 * m))}
    widths |= {side: int(16384 * m / side) for side in (64, 128, 256, 512, 1024)}
    size = 2 ** min(round(math.log2(opt.crop_size)), 10)
    root = "D.stylegan2_D."
    shapes = _conv(f"{root}convs.0", 3, widths[size], 1)
    for log in range(int(math.log2(size)), 2, -1):
        name = str(9 - log) if log <= 8 else f"{1 << log}x{1 << log}"
        shapes |= _res_block(f"{root}convs.{name}", widths[1 << log], widths[1 << log - 1])
    positions = (4 * opt.crop_size // size) ** 2
    shapes |= _conv(f"{root}final_conv", 512, 512, 3) | _linear(f"{root}final_linear.0", 512 * positions, 512)
    return shapes | _linear(f"{root}final_linear.1", 512, 1)


def _patches(opt: Options) -> Shapes:
    widths = {side: int(1024 / side * opt.patch_capacity) for side in (4, 8, 16, 32, 64, 128, 256)}
    widths |= {side: min(opt.patch_max, widths[side]) for side in (4, 8, 16)}
    top = math.ceil(math.log2(opt.patch_size))
    shapes = _conv("Dpatch.convs.0", 3, widths[1 << top], 3)
    for log in range(top, 2, -1):
        name = str(7 - log) if log <= 6 else f"{1 << log}x{1 << log}"
        shapes |= _res_block(f"Dpatch.convs.{name}", widths[1 << log], widths[1 << log - 1])
    shapes |= _res_block("Dpatch.convs.5", widths[4], 2 * opt.patch_max, down=False)
    shapes |= _conv("Dpatch.convs.6", 2 * opt.patch_max, opt.patch_max, 3)
    chain = [8 * widths[4], 2048, 2048, 1024, 1]
    for i in range(4):
        shapes |= _linear(f"Dpatch.pairlinear.{i}", chain[i], chain[i + 1])
    return shapes
