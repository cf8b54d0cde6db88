"""CoModGAN as a pipeline: read a picture with a hole once, then complete it as often as wanted (Zhao et al. 2021).

`prepare`, which encodes, is costly; `complete` decodes once for each seed and is cheap, but for squares much larger
than the network's, whose detail is restored in a second pass (detail.py). The caller keeps the `Prepared` while picture
and hole are the same. `draw` belongs to the other kind of model, which makes pictures of drawings.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core import memory
from gan_core.checkpoints.embedded import build_from_file
from gan_core.comodgan.blending import blend, shrink_known
from gan_core.comodgan.detail import hole_within, restore_detail, steps_to
from gan_core.comodgan.fast import FastNetworks
from gan_core.comodgan.framing import FRAMINGS, Box, SquareCrop, grown, region_around
from gan_core.comodgan.networks import CoModGenerator, Encoding, drawing_condition, hole_condition, joined
from gan_core.comodgan.texture import with_own_texture
from gan_core.device_copies import DeviceCopies
from gan_core.errors import BadImage, BadValue
from gan_core.graphs import pictures_at_once
from gan_core.precision import half_precision_pays

log = logging.getLogger(__name__)

_TOGETHER = 4  # completions decoded at once on a GPU
_LEAST_PSI = 0.4  # factor of psi in the smallest holes
_FULL_PSI_AREA = 0.5  # `full_psi_area` of the embedded networks


@dataclass(frozen=True)
class Prepared:
    """A picture with a hole, cut to the square that the network sees, and encoded."""

    image: Tensor  # (3, H, W) in [-1, 1], as it came
    hole: Tensor  # (1, H, W), True where it is to be filled
    region: SquareCrop
    square: Tensor  # (1, 3, S, S), the region of the picture, 0 beyond its border
    known: Tensor  # (1, 1, S, S), 1 known, 0 hole or beyond the border
    encoding: Encoding

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        tensors = (self.image, self.hole, self.square, self.known, self.encoding.code, *self.encoding.features.values())
        return memory.tensor_bytes(tensors)

    def to(self, device: torch.device | str) -> Prepared:
        """The same on another device."""
        moved = (x.to(device) for x in (self.square, self.known, self.encoding))
        return Prepared(self.image.to(device), self.hole.to(device), self.region, *moved)


class CoModGANPipeline:
    """One model that fills holes (`kind` "hole") or one that makes pictures of drawings ("drawing")."""

    def __init__(
        self,
        generator: CoModGenerator,
        *,
        framing: str = "face",  # the kind of its pictures: see framing.py
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,  # of the computation; None for the device's default
        full_psi_area: float = 0.0,  # the hole's share of the square from which on psi counts in full
        own_texture: bool = False,  # whether holes get the picture's own texture: see texture.py
    ) -> None:
        if framing not in FRAMINGS:
            raise ValueError(f"framing must be one of {', '.join(FRAMINGS)}")
        self.device, self.dtype, self.framing = torch.device(device), dtype, framing
        self.full_psi_area, self.own_texture = full_psi_area, own_texture
        generator = generator.eval().requires_grad_(False)
        self.generator = generator.to(self.device, memory_format=torch.channels_last)
        self.resolution: int = generator.resolution
        self.kind = "hole" if generator.config["in_channels"] == 4 else "drawing"
        self._copies = DeviceCopies()  # of pictures

    @torch.inference_mode()
    def prepare(self, image: Tensor, hole: Tensor, *, region: SquareCrop | None = None) -> Prepared:
        """Encode a picture with a hole.

        Args:
            image: (3, H, W) in [-1, 1], of any size.
            hole: (1, H, W) in {0, 1}, 1 where it is to be filled; its pixels there are ignored.
            region: the square to be shown to the network, such as `framing.face_region`'s; it grows to hold the hole.
                None: around the hole.

        Raises:
            BadValue: nothing is marked, or the mask is of another size.
            BadImage: the picture is not RGB or has no pixels.
            ValueError: this model is of the other kind.
        """
        self._must_be("hole")
        if image.ndim != 3 or image.shape[0] != 3 or not image.numel():
            raise BadImage(f"A picture in colour is needed, not one of shape {tuple(image.shape)}.")
        if hole.ndim != 3 or hole.shape[0] != 1 or hole.shape[1:] != image.shape[1:]:
            size, wanted = tuple(hole.shape[-2:]), tuple(image.shape[1:])
            raise BadValue(
                f"The mask has {size[1]} x {size[0]} pixels, the picture {wanted[1]} x {wanted[0]}: "
                "they must be of one size."
                if len(size) == 2
                else "The mask must be a picture of one channel."
            )
        marked = hole.to(self.device) >= 0.5
        if not marked.any():
            raise BadValue("Nothing is marked to be filled. Paint over a part of the picture first.")
        image = image.to(self.device, torch.float32)
        box, size = _bounds(marked[0]), (image.shape[1], image.shape[2])
        if region is None:
            region = region_around(box, size, framing=self.framing, resolution=self.resolution)
        else:
            region = grown(region, box)
        square, known = _cut(image, region), _cut((~marked).float(), region)
        small, small_known = shrink_known(square, known, self.resolution)
        return Prepared(image, marked, region, square, known, self._encode(hole_condition(small, small_known)))

    @torch.inference_mode()
    def complete(self, prepared: Prepared, seeds: Sequence[int], *, psi: float = 1.0) -> Iterator[Tensor]:
        """Completions (3, H, W) in [-1, 1] of the picture, one for each seed; known pixels are as they came.

        psi: how far a completion may be from the average one, 0 to 1 (truncation of w; the condition is kept whole).
        In a hole smaller than `full_psi_area` psi is reduced, down to `_LEAST_PSI` of it: a small hole is largely
        determined by its surroundings, and a latent far from the mean would tint it. Raises BadValue if psi is out of
        range.
        """
        prepared = self._here(prepared)
        for raw in self._decode(prepared.encoding, seeds, psi, self._psi_factor(prepared)):
            yield from self._put_back(raw, prepared)

    @torch.inference_mode()
    def complete_together(self, wanted: Sequence[tuple[Prepared, Sequence[int], float]]) -> list[list[Tensor]]:
        """What `complete` gives for each of these pictures, seeds and psi; all are decoded as one batch. Raises
        BadValue if any psi is out of range."""
        if len(wanted) == 1:
            prepared, seeds, psi = wanted[0]
            return [list(self.complete(prepared, seeds, psi=psi))]
        here = [self._here(prepared) for prepared, _, _ in wanted]
        latents = [
            self._latents(seeds, psi, self._psi_factor(prepared))
            for prepared, (_, seeds, psi) in zip(here, wanted, strict=True)
        ]
        counts = [len(w) for w in latents]
        encoding = joined([prepared.encoding for prepared in here], counts)
        raw = self._decode_with(encoding, torch.cat(latents)).split(counts)
        return [list(self._put_back(mine, prepared)) for mine, prepared in zip(raw, here, strict=True)]

    def _psi_factor(self, prepared: Prepared) -> float:
        share = min((1 - prepared.known.mean().item()) / self.full_psi_area, 1.0) if self.full_psi_area else 1.0
        return _LEAST_PSI + (1 - _LEAST_PSI) * share

    def _put_back(self, raw: Tensor, prepared: Prepared) -> Iterator[Tensor]:
        """The picture (3, H, W) with each of these raw squares (n, 3, R, R) in its place."""
        at = prepared.region
        for square in self._at_full_size(raw, prepared):
            done = prepared.image.clone()
            top, left = max(at.top, 0), max(at.left, 0)
            inside = square[:, top - at.top :, left - at.left :]
            target = done[:, top : at.top + at.side, left : at.left + at.side]
            target.copy_(inside[:, : target.shape[1], : target.shape[2]])
            yield done

    def _at_full_size(self, raw: Tensor, prepared: Prepared) -> Iterator[Tensor]:
        """Completed squares (3, S, S) of raw pictures (n, 3, R, R)."""
        square, known = prepared.square, prepared.known
        at, (height, width) = prepared.region, prepared.image.shape[1:]
        inside = (max(-at.left, 0), max(-at.top, 0), min(width - at.left, at.side), min(height - at.top, at.side))
        large = steps_to(square.shape[-1], self.resolution) > 0
        image, seen = shrink_known(square, known, self.resolution) if large else (square, known)
        for start in blend(raw, image, seen).split(1):
            if self.own_texture:
                start = with_own_texture(start, seen, hole_within(seen, inside, at.side))
            yield restore_detail(start, square, known, inside)[0] if large else start[0]

    @torch.inference_mode()
    def draw(self, drawing: Tensor, seeds: Sequence[int], *, psi: float = 1.0) -> list[Tensor]:
        """Pictures (3, R, R) in [-1, 1] of a drawing (1, H, W) in [0, 1], 1 = line, one for each seed.

        A drawing that is not square is laid on an empty square. Raises BadValue if psi is out of range or nothing is
        drawn, ValueError if this model is of the other kind.
        """
        self._must_be("drawing")
        if drawing.ndim != 3 or drawing.shape[0] != 1 or not drawing.numel():
            raise ValueError(f"the drawing has shape {tuple(drawing.shape)}, expected (1, H, W)")
        if not (drawing > 0.1).any():
            raise BadValue("Nothing is drawn yet. Draw some lines first.")
        _, height, width = drawing.shape
        side = max(height, width)
        region = SquareCrop((width - side) // 2, (height - side) // 2, side)
        square = _cut(drawing.to(self.device, torch.float32), region)
        small = F.interpolate(square, (self.resolution,) * 2, mode="bilinear", antialias=True, align_corners=False)
        encoding = self._encode(drawing_condition(small, self.generator.config["in_channels"]))
        return [picture for raw in self._decode(encoding, seeds, psi) for picture in raw.clamp(-1, 1)]

    @property
    def together(self) -> int:
        """Number of seeds that are decoded at once on the current device."""
        return _TOGETHER if self.device.type == "cuda" else 1

    @property
    def pictures_at_once(self) -> int:
        """That are worth drawing in one batch on a GPU, of several visitors."""
        return pictures_at_once(self.resolution, self.resolution)

    # ------------------------------------------------------------ helpers

    def _must_be(self, kind: str) -> None:
        if self.kind != kind:
            raise ValueError(f"this model is of the kind {self.kind!r}, not {kind!r}")

    def _here(self, prepared: Prepared) -> Prepared:
        """The prepared picture on the device. It is copied once, however often it is completed, and the copy is dropped
        with the picture."""
        return prepared if prepared.image.device == self.device else self._copies.of(prepared, self.device)

    def _encode(self, condition: Tensor) -> Encoding:
        if self._fast is not None:
            encoding = self._fast.encode(condition)
            if encoding is not None:
                return encoding
            log.warning("the features do not fit half precision: computed in single precision from now on")
            self._fast = None
            memory.bring_back(self.generator, self.device)
        return self.generator.encode(condition)

    @functools.cached_property
    def _fast(self) -> FastNetworks | None:
        """The networks in half precision, on a GPU that computes it well; None: as they are, in float32."""
        if self.dtype != torch.float16 and not (self.dtype is None and half_precision_pays(self.device)):
            return None
        return FastNetworks(self.generator)

    def idle_networks(self) -> list[nn.Module]:
        """Networks that are not used at present because a copy in half precision is: they need not be on the device.
        `forget_device` must be called after they were moved back."""
        if self.__dict__.get("_fast") is None:
            return []
        return [self.generator.encoder, self.generator.synthesis]

    def forget_device(self) -> None:
        """Drop copies and recordings that belong to the device on which the networks were before."""
        self.__dict__.pop("_fast", None)
        self._copies.clear()

    def _decode(self, encoding: Encoding, seeds: Sequence[int], psi: float, factor: float = 1.0) -> Iterator[Tensor]:
        """Raw pictures (n, 3, R, R) in batches, with a truncation of psi * factor; psi is checked."""
        for first in range(0, len(seeds), self.together):
            yield self._decode_with(encoding, self._latents(seeds[first : first + self.together], psi, factor))

    def _latents(self, seeds: Sequence[int], psi: float, factor: float) -> Tensor:
        """w (n, w_dim) of seeds. Raises BadValue if psi is out of range."""
        if not 0 <= psi <= 1:
            raise BadValue(f"The variety (psi) must be from 0 to 1, not {psi}.")
        mapping = self.generator.mapping
        z = torch.stack([torch.randn(mapping.z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        return mapping.truncate(mapping(z.to(self.device)), psi * factor)

    def _decode_with(self, encoding: Encoding, w: Tensor) -> Tensor:
        # The encoding may be in another precision than the networks on the current device.
        if self._fast is not None:
            return self._fast.decode(encoding, w)
        return self.generator.decode(encoding, w, noise="const")


def _bounds(marked: Tensor) -> Box:
    """Bounding box of the True pixels of (H, W)."""
    rows, columns = marked.any(1).nonzero(), marked.any(0).nonzero()
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _cut(picture: Tensor, region: SquareCrop) -> Tensor:
    """The region of a picture (C, H, W) as (1, C, S, S), 0 beyond the border."""
    _, height, width = picture.shape
    x0, y0, x1, y1 = region.left, region.top, region.left + region.side, region.top + region.side
    inside = picture[None, :, max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    return F.pad(inside, (max(-x0, 0), max(x1 - width, 0), max(-y0, 0), max(y1 - height, 0)))


def load_embedded(path: Path | str, *, framing: str, device: str | torch.device = "cpu") -> CoModGANPipeline:
    """The pipeline of a file that this project's trainer wrote. Raises WeightsMissing or BadCheckpoint."""
    generator, _ = build_from_file(CoModGenerator, Path(path), "generator")
    any_picture = framing == "any"  # a face is not made of pieces of what is beside it
    return CoModGANPipeline(
        generator, framing=framing, device=device, full_psi_area=_FULL_PSI_AREA, own_texture=any_picture
    )
