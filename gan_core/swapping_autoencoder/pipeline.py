"""The Swapping Autoencoder as a pipeline: read each picture's codes once, then draw any mixture of them.

`encode` is costly, `draw` is cheap. Nothing is kept between calls: the caller keeps the codes while a picture is the
same. Park et al., NeurIPS 2020: swapping (section 3), interpolation, domain vectors and directions
of the structure code (section 4 and supplement), regions (supplement).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core import memory
from gan_core.blur import gaussian_blur
from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.errors import BadCheckpoint, BadImage, BadValue, UnknownName
from gan_core.graphs import pictures_at_once
from gan_core.precision import drawing_dtype
from gan_core.swapping_autoencoder.codes import KINDS, MAX_STRENGTH, REGION_KINDS, Codes, Direction, Mixture
from gan_core.swapping_autoencoder.detail import with_detail_of
from gan_core.swapping_autoencoder.fast import FastNetworks
from gan_core.swapping_autoencoder.networks import Encoder, SwappingGenerator, unit_length


class SwappingAutoencoderPipeline:
    """Encoder, generator and directions of one model."""

    def __init__(
        self,
        encoder: Encoder,
        generator: SwappingGenerator,
        directions: Mapping[str, Direction] | None = None,
        *,
        resolution: int = 256,
        colours: Tensor | None = None,  # (3, structure_dim), see `structure_picture`
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,  # of the computation, None for the device's default; codes are float32
        seed: int = 0,  # of the generator's noise
    ) -> None:
        self.device, self.resolution, self.seed, self._asked = torch.device(device), resolution, seed, dtype
        self.encoder, self.generator = (
            net.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
            for net in (encoder, generator)
        )
        self.step, self.smallest = encoder.step, encoder.smallest
        self.directions = dict(directions or {})
        self._vectors = {name: d.vector.to(self.device, torch.float32) for name, d in self.directions.items()}
        self.colours = None if colours is None else colours.to(self.device)
        strengths = [module.noise_strength for module in generator.modules() if hasattr(module, "noise_strength")]
        self._noisy = any(bool(strength) for strength in strengths)
        self._drawn: tuple[tuple[int, int], list[Tensor]] | None = None
        # Whether textures that vary over the picture were asked for, which `_fast` does not draw.
        self._mixes_regions = False

    @classmethod
    def from_checkpoint(
        cls, built: BuiltCheckpoint, *, resolution: int = 256, **arguments: Any
    ) -> SwappingAutoencoderPipeline:
        """From a published checkpoint."""
        return cls(built.modules["encoder"], built.modules["generator"], resolution=resolution, **arguments)

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Codes:
        """Codes of a picture (1, 3, H, W) in [-1, 1]; it is mirrored past its right and lower edge to a size that fits.

        Raises:
            BadImage: a side below `smallest`, which the texture branch needs.
            ValueError: no single RGB picture.
        """
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"image has shape {tuple(image.shape)}, expected (1, 3, H, W)")
        height, width = image.shape[-2:]
        if min(height, width) < self.smallest:
            raise BadImage(f"The picture is {width} x {height} pixels; each side must have at least {self.smallest}.")
        padded = self._padded(image.to(self.device, torch.float32))
        structure, texture = self.read(padded)
        pixels = image.to(self.device).float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        return Codes(structure, texture, (height, width), pixels)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder alone: codes, float32, of pictures (N, 3, H, W) in [-1, 1] whose sides fit (see `Encoder`)."""
        if self._fast:
            return self._fast.encode(images)
        structure, texture = self.encoder(images.to(self.dtype))
        return structure.float(), texture.float()

    def render(self, structure: Tensor, texture: Tensor) -> Tensor:
        """The generator alone: pictures (N, 3, H, W), not clamped, of codes as `SwappingGenerator` takes them."""
        noise = self._noise(*structure.shape[-2:]) if self._noisy else ()
        if self._fast and texture.ndim == 2:
            return self._fast.draw(structure, texture, *noise)
        if self._fast and not self._mixes_regions:
            memory.bring_back(self.generator, self.device)
            self._mixes_regions = True
        return self.generator(structure.to(self.dtype), texture, noise=noise or "none").float()

    @torch.inference_mode()
    def draw(self, first: Codes, others: Sequence[Codes] = (), mixture: Mixture | None = None) -> Tensor:
        """The picture (1, 3, H, W) of the first's size, clamped to [-1, 1].

        Without others the first picture's own texture is kept, and only directions and vectors change it. With a mask,
        the first picture is reconstructed outside it. Where the structure changes, the photo's detail is not used.

        Raises:
            BadValue: an amount, weight or strength out of range, or a mask of another size.
            UnknownName: a direction or region that does not exist.
        """
        return self.draw_together([(first, others, mixture or Mixture())])[0]

    @torch.inference_mode()
    def draw_together(self, wanted: Sequence[tuple[Codes, Sequence[Codes], Mixture]]) -> list[Tensor]:
        """What `draw` gives for each of these; those of one size are drawn in batches. Raises what it raises, for
        any of them."""
        for first, others, mixture in wanted:
            self._check(first, others, mixture)
        mixed = [self._mixed(*one) for one in wanted]
        groups: dict[tuple[torch.Size, torch.Size], list[int]] = {}
        for i, (structure, texture, _) in enumerate(mixed):
            groups.setdefault((structure.shape, texture.shape), []).append(i)
        drawn: dict[int, Tensor] = {}
        for (shape, _), group in groups.items():
            most = pictures_at_once(shape[2] * self.step, shape[3] * self.step)
            for start in range(0, len(group), most):
                places = group[start : start + most]
                structure, texture = (torch.cat([mixed[i][k] for i in places]) for k in (0, 1))
                drawn.update(zip(places, self.render(structure, texture).split(1), strict=True))
        pictures = []
        for i, (first, _, mixture) in enumerate(wanted):
            height, width = first.size
            image = drawn[i][:, :, :height, :width].clamp(-1, 1)
            pictures.append(self._finish(image, first, mixture, reshaped=mixed[i][2]))
        return pictures

    def _mixed(self, first: Codes, others: Sequence[Codes], mixture: Mixture) -> tuple[Tensor, Tensor, bool]:
        """Structure and texture codes to draw, and whether the structure is not the first picture's own."""
        own = unit_length(first.texture.to(self.device))
        structure = first.structure.to(self.device)
        reshaped = False
        texture = own
        if others:
            texture = torch.lerp(own, self.mix([other.texture for other in others], mixture.weights), mixture.amount)
        for name, strength in mixture.strengths.items():
            if strength and self.directions[name].kind == "texture":
                texture = texture + strength * self._vectors[name]
            elif strength:
                structure = structure + strength * _resized(self._vectors[name][None], structure.shape[-2:])
                reshaped = True
        for vector, strength in mixture.vectors:
            texture = texture + strength * vector.to(self.device)
        if mixture.mask is None:
            return structure, unit_length(texture), reshaped
        fine = 2 if own.shape[1] <= 512 else 1  # a fine map of long codes costs as much as a network
        if mixture.region in ("texture", "both"):
            mask = self._mask(mixture, first, fine)
            texture = torch.lerp(own[:, :, None, None], unit_length(texture)[:, :, None, None], mask)
        else:
            texture = own
        if mixture.region in ("structure", "both") and others:
            other = _resized(others[0].structure.to(self.device), structure.shape[-2:])
            structure = torch.lerp(structure, other, self._mask(mixture, first, 1))
            reshaped = True
        return structure, texture, reshaped

    @property
    def pictures_at_once(self) -> int:
        """That are worth drawing in one batch on a GPU, of this model's own size."""
        return pictures_at_once(self.resolution, self.resolution)

    def mix(self, textures: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """Weighted mean (1, texture_dim), of unit length, of textures (1, texture_dim).

        Raises:
            BadValue: negative weights, another number of them, or all zero.
        """
        if len(weights) != len(textures):
            raise BadValue(f"There are {len(textures)} textures and {len(weights)} weights.")
        if any(not 0 <= weight < math.inf for weight in weights):
            raise BadValue("The weight of a texture must be a number from 0 up.")
        if not sum(weights):
            raise BadValue("All textures have the weight 0. Give at least one of them more.")
        shares = torch.tensor([weight / sum(weights) for weight in weights], device=self.device)
        together = torch.cat([unit_length(texture.to(self.device)) for texture in textures])
        return unit_length(shares[None] @ together)

    def difference(self, having: Sequence[Codes], lacking: Sequence[Codes]) -> Tensor:
        """Domain vector (texture_dim,): the mean texture of pictures with some property minus that of pictures without.

        Raises:
            BadValue: one of the sets is empty.
        """
        if not having or not lacking:
            raise BadValue("A vector of your own needs at least one picture in each of the two sets.")
        means = [torch.cat([unit_length(codes.texture) for codes in group]).mean(0) for group in (having, lacking)]
        return means[0] - means[1]

    @torch.inference_mode()
    def structure_picture(self, codes: Codes) -> Tensor:
        """The structure code as colours, (1, 3, h, w) in [-1, 1]: three principal components of its channels.

        With the model's own components (`colours`) one colour means the same in every picture.
        """
        code = unit_length(codes.structure.to(self.device))
        step = self.step
        shown = code[:, :, : -(-codes.size[0] // step), : -(-codes.size[1] // step)]
        flat = shown.flatten(2)[0]  # (C, places)
        basis = self.colours
        if basis is None:
            centred = flat - flat.mean(1, keepdim=True)
            vectors = torch.linalg.svd(centred.cpu(), full_matrices=False).U.to(self.device)[:, :3]
            basis = F.pad(vectors.T, (0, 0, 0, 3 - vectors.shape[1]))
        values = basis @ flat
        values = values - values.mean(1, keepdim=True)
        spread = values.abs().max(1, keepdim=True).values.clamp_min(1e-6)
        return (values / spread).view(1, 3, *shown.shape[-2:])

    # ------------------------------------------------------------ helpers

    def _check(self, first: Codes, others: Sequence[Codes], mixture: Mixture) -> None:
        if not 0 <= mixture.amount <= 1:
            raise BadValue(f"The amount of texture must be from 0 to 1, not {mixture.amount}.")
        if not 0 <= mixture.detail <= 1:
            raise BadValue(f"The share of detail must be from 0 to 1, not {mixture.detail}.")
        if mixture.region not in REGION_KINDS:
            raise UnknownName(f"There is no region {mixture.region!r}; choose one of {', '.join(REGION_KINDS)}.")
        if mixture.mask is not None and tuple(mixture.mask.shape) != tuple(first.size):
            size, wanted = tuple(mixture.mask.shape), tuple(first.size)
            raise BadValue(f"The mask has {size} pixels, the picture {wanted}.")
        for name, strength in mixture.strengths.items():
            if name not in self.directions:
                known = ", ".join(self.directions) or "none"
                raise UnknownName(f"There is no direction {name!r}; the directions are: {known}.")
            low, high = self.directions[name].low, self.directions[name].high
            if not low <= strength <= high:  # also refuses NaN
                raise BadValue(f"The strength of {name} must be from {low:g} to {high:g}, not {strength}.")
        if any(not -MAX_STRENGTH <= strength <= MAX_STRENGTH for _, strength in mixture.vectors):
            raise BadValue(f"The strength of a vector must be from {-MAX_STRENGTH:g} to {MAX_STRENGTH:g}.")

    def _padded(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        return F.pad(image, (0, -width % self.step, 0, -height % self.step), mode="reflect")

    def _mask(self, mixture: Mixture, first: Codes, fine: int) -> Tensor:
        """The mask, feathered, (1, 1, h * fine, w * fine) for a structure code of h x w."""
        assert mixture.mask is not None
        mask = mixture.mask.to(self.device, torch.float32).clamp(0, 1)[None, None]
        h, w = first.structure.shape[-2:]
        small = F.adaptive_avg_pool2d(self._padded(mask), (h * fine, w * fine))
        return gaussian_blur(small, mixture.feather * max(first.size) * fine / self.step).clamp(0, 1)

    def _finish(self, image: Tensor, first: Codes, mixture: Mixture, reshaped: bool) -> Tensor:
        if not mixture.detail or reshaped or first.picture is None:
            return image
        photo = first.picture.to(self.device).float() / 127.5 - 1
        return torch.lerp(image, with_detail_of(photo, image).clamp(-1, 1), mixture.detail)

    def _noise(self, height: int, width: int) -> list[Tensor]:
        """Noise maps that are the same in every call, so that a slider changes nothing else."""
        if self._drawn is None or self._drawn[0] != (height, width):
            draw = torch.Generator().manual_seed(self.seed)
            maps = self.generator.draw_noise(height, width, generator=draw)
            self._drawn = (height, width), [noise.to(self.device) for noise in maps]
        return self._drawn[1]

    @property
    def dtype(self) -> torch.dtype:
        """Of the computation."""
        return self._asked or drawing_dtype(self.device, self.encoder, self.generator)

    @functools.cached_property
    def _fast(self) -> FastNetworks | None:
        """The networks in half precision on a GPU; None where the pipeline computes in float32 or on the CPU."""
        if self.device.type != "cuda" or self.dtype == torch.float32:
            return None
        return FastNetworks(self.encoder, self.generator, self.dtype)

    def idle_networks(self) -> list[nn.Module]:
        """Networks that are not used at present because a copy in half precision is: they need not be on the device.
        `forget_device` must be called after they were moved back."""
        if self.__dict__.get("_fast") is None:
            return []
        return [self.encoder] if self._mixes_regions else [self.encoder, self.generator]

    def forget_device(self) -> None:
        """Drop copies and recordings that belong to the device on which the networks were before."""
        self.__dict__.pop("_fast", None)
        self._drawn, self._mixes_regions = None, False


def _resized(code: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(code.shape[-2:]) == tuple(size):
        return code
    return F.interpolate(code, tuple(size), mode="bilinear", align_corners=False)


# ---------------------------------------------------------------- from files


def load_directions(path: Path) -> tuple[dict[str, Direction], Tensor | None]:
    """Directions and colours of a file: a tensor each; label, range, kind and note in its config.

    Raises WeightsMissing, or BadCheckpoint if the tensors are not those of the config.
    """
    tensors, config = store.read(path)
    colours = tensors.pop("colours", None)
    described = {entry["name"]: entry for entry in config.get("directions", [])}
    if described.keys() != tensors.keys() or any(entry.get("kind") not in KINDS for entry in described.values()):
        raise BadCheckpoint(f"The directions file {path.name} is damaged; fetch it again.")
    return {name: Direction(vector=tensors[name], **entry) for name, entry in described.items()}, colours


def load_embedded(
    folder: Path | str, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> SwappingAutoencoderPipeline:
    """A model that ships with the project: encoder, generator and directions, all in `folder`.

    Raises WeightsMissing or BadCheckpoint.
    """
    own = Path(folder)
    encoder, _ = build_from_file(Encoder, own / "encoder.safetensors", "encoder")
    generator, _ = build_from_file(SwappingGenerator, own / "generator.safetensors", "generator")
    directions, colours = load_directions(own / "directions.safetensors")
    return SwappingAutoencoderPipeline(encoder, generator, directions, colours=colours, device=device, dtype=dtype)
