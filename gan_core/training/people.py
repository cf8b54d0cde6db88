"""Several collections of portraits as one stream of training pictures: weighted, with other light and backdrops.

A folder of collections, made by `python -m gan_core.training.prepare_people`:

    FOLDER/<collection>/ID.webp          aligned pictures of one size
    FOLDER/<collection>/mattes/ID.webp   grey, white where the person is (optional)
    FOLDER/backdrops/*.webp              places without people (optional)

Most pictures of a collection have something in common (a suit, a blue studio, even light), which the generator would
draw with every face. Therefore a part of the pictures gets another backdrop and other light. These changes are part of
the data, which the generator learns; they are no augmentation of the discriminator's input.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from gan_core.errors import BadImage, BadValue
from gan_core.training.data import find_pictures, load_pictures

BACKDROPS = "backdrops"
MATTES = "mattes"
HELD_OUT_PERCENT = {"portraits": 8}  # as in the first generation
HELD_OUT_OTHERS = 10
SHARES = "portraits=3.8,london=1.4,varied=4.8"  # so that six in ten people are no politicians


def parse_shares(text: str) -> dict[str, float]:
    """Collections and their shares from `NAME=NUMBER,NAME=NUMBER`.

    Raises:
        BadValue: it is written otherwise, or a share is not positive.
    """
    try:
        shares = {name.strip(): float(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise BadValue(f"Shares are written NAME=NUMBER,NAME=NUMBER, for instance {SHARES}; not {text!r}.") from error
    if min(shares.values()) <= 0:
        raise BadValue("The share of every collection must be positive; leave out the ones not wanted.")
    return shares


def person_of(collection: str, stem: str) -> str:
    """Id of the person in a picture, from its file's name; the same for all pictures of a person."""
    if collection == "portraits":  # congress_person
        return stem.split("_", 1)[-1]
    if collection == "london":  # person_expression
        return stem.split("_", 1)[0]
    if stem.startswith("openpeople_"):  # openpeople_person_expression
        return "_".join(stem.split("_")[:2])
    return stem


def is_held_out(collection: str, stem: str) -> bool:
    """Whether a person is held out of all training: about one in ten (portraits: one in twelve)."""
    percent = HELD_OUT_PERCENT.get(collection, HELD_OUT_OTHERS)
    return zlib.crc32(person_of(collection, stem).encode()) % 100 >= 100 - percent


@dataclass
class People:
    """Pictures of several collections, on one device.

    pictures: uint8 (N, 3, R, R). mattes: uint8 (N, 1, R, R), 255 where the person is; all 255 where unknown.
    collection: int64 (N,), index into `names`. weights: float32 (N,), share of a picture in every batch, sum 1.
    backdrops: uint8 (M, 3, R, R), M may be 0.
    """

    pictures: Tensor
    mattes: Tensor
    collection: Tensor
    names: list[str]
    weights: Tensor
    backdrops: Tensor
    stems: list[str] = field(default_factory=list)

    def to(self, device: torch.device | str) -> People:
        """The same on another device."""
        moved = {k: getattr(self, k).to(device) for k in ("pictures", "mattes", "collection", "weights", "backdrops")}
        return People(**moved, names=self.names, stems=self.stems)

    def __len__(self) -> int:
        return len(self.pictures)


def read_people(folder: Path, resolution: int, shares: dict[str, float], *, held_out: bool = False) -> People:
    """Read the collections named in `shares` from a prepared folder.

    Args:
        folder: see the module's docstring.
        resolution: side of the pictures.
        shares: collection -> share of every batch (scaled to sum 1).
        held_out: the people kept out of training instead of those trained on.

    Raises:
        BadImage: a collection has no pictures.
    """
    pictures, mattes, collection, weights, stems = [], [], [], [], []
    for i, (name, share) in enumerate(shares.items()):
        paths = [p for p in find_pictures(folder / name) if p.parent.name != MATTES]
        paths = [p for p in paths if is_held_out(name, p.stem) == held_out]
        if not paths:
            raise BadImage(f"There are no pictures to use in {folder / name}.")
        pictures.append(load_pictures(paths, resolution))
        mattes.append(torch.from_numpy(np.stack([_matte(p, resolution) for p in paths]))[:, None])
        collection.append(torch.full((len(paths),), i))
        weights.append(torch.full((len(paths),), share / len(paths) / sum(shares.values())))
        stems += [f"{name}/{p.stem}" for p in paths]
    places = folder / BACKDROPS
    backdrops = load_pictures(find_pictures(places), resolution) if places.is_dir() else pictures[0][:0]
    joined = torch.cat(pictures), torch.cat(mattes), torch.cat(collection)
    return People(*joined, list(shares), torch.cat(weights), backdrops, stems)


def _matte(picture: Path, resolution: int) -> np.ndarray:
    path = picture.parent / MATTES / picture.name
    if not path.is_file():
        return np.full((resolution, resolution), 255, np.uint8)
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((resolution, resolution), Image.Resampling.BOX))


@dataclass
class Variation:
    """Probabilities, in [0, 1], of the changes that are part of the data."""

    backdrop: float = 0.3  # another backdrop: a place, blurred or not, or a plain colour
    plain: float = 0.35  # of those, plain
    light: float = 0.5  # exposure, contrast, temperature
    side_light: float = 0.15  # brighter on one side
    soft: float = 0.05  # slightly out of focus


class PeopleStream:
    """Endless batches of `People`, drawn and changed on the device without synchronising."""

    def __init__(self, people: People, variation: Variation | None = None) -> None:
        self.people = people
        self.variation = Variation() if variation is None else variation
        self._ends = people.weights.cumsum(0)
        self._kernels: dict[float, Tensor] = {}
        device = people.pictures.device
        for sigma in (0.8, 4.0):
            radius = round(2.5 * sigma)
            taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=device) / sigma) ** 2)
            self._kernels[sigma] = taps / taps.sum()

    def __len__(self) -> int:
        return len(self.people)

    def draw(self, count: int) -> Tensor:
        """Pictures (count, 3, R, R), float32 in [-1, 1], half of them mirrored."""
        return self.draw_with_mattes(count)[0]

    def draw_with_mattes(self, count: int) -> tuple[Tensor, Tensor]:
        """The same, and their mattes (count, 1, R, R), float32 in [0, 1]."""
        index = self.rows(count)
        pictures, mattes = self._changed(index), self.people.mattes[index].float() / 255
        mirror = self._chance(count, 0.5)
        pictures = torch.where(mirror, pictures.flip(3), pictures).clamp(-1, 1)
        return pictures, torch.where(mirror, mattes.flip(3), mattes)

    def rows(self, count: int) -> Tensor:
        """Indices (count,) of random pictures, each as often as its weight says."""
        drawn = torch.rand(count, device=self.people.pictures.device) * self._ends[-1]
        return torch.searchsorted(self._ends, drawn).clamp_(max=len(self.people) - 1)

    def at(self, index: Tensor, mirrored: Tensor) -> Tensor:
        """These pictures (N, 3, R, R), changed at random, in [-1, 1]; those of `mirrored` (N,) are mirror images."""
        pictures = self._changed(index)
        return torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures).clamp(-1, 1)

    def _changed(self, index: Tensor) -> Tensor:
        people, count = self.people, len(index)
        pictures = _unit(people.pictures[index])
        # The first pictures of a batch, which are random ones anyway: only they have to be computed.
        changed = round(count * self.variation.backdrop) if len(people.backdrops) else 0
        if changed:
            mattes = people.mattes[index[:changed]].float() / 255
            pictures[:changed] = self._before_backdrops(pictures[:changed], mattes)
        pictures = self._lit(pictures)
        soft = round(count * self.variation.soft)
        if soft:
            pictures[-soft:] = self._blurred(pictures[-soft:], 0.8)
        return pictures

    def _chance(self, count: int, p: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, device=self.people.pictures.device) < p

    def _uniform(self, count: int, low: float, high: float, channels: int = 1) -> Tensor:
        return torch.rand(count, channels, 1, 1, device=self.people.pictures.device) * (high - low) + low

    def _blurred(self, x: Tensor, sigma: float) -> Tensor:
        taps, c = self._kernels[sigma].to(x.dtype), x.shape[1]
        radius = len(taps) // 2
        x = F.pad(x, (radius, radius, radius, radius), mode="reflect")
        x = F.conv2d(x, taps.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
        return F.conv2d(x, taps.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)

    def _before_backdrops(self, pictures: Tensor, mattes: Tensor) -> Tensor:
        n = len(pictures)
        places = _unit(self.people.backdrops[torch.randint(len(self.people.backdrops), (n,), device=pictures.device)])
        sharp = self._chance(n, 0.25)  # the others are out of focus
        places = torch.where(sharp, places, self._blurred(places, 4.0))
        flat = self._uniform(n, -0.9, 0.9) + self._uniform(n, -0.2, 0.2, 3)
        ramp = torch.linspace(-1, 1, pictures.shape[2], device=pictures.device).view(1, 1, -1, 1)
        flat = (flat + ramp * self._uniform(n, -0.2, 0.2)).expand_as(places)
        backdrop = torch.where(self._chance(n, self.variation.plain), flat, places)
        person = foreground(pictures, mattes, lambda x: self._blurred(x, 4.0))
        return backdrop + (person - backdrop) * mattes

    def _lit(self, pictures: Tensor) -> Tensor:
        n, v = len(pictures), self.variation
        x = (pictures * 0.5 + 0.5).clamp(0, 1)
        gamma = torch.exp2(self._uniform(n, -0.4, 0.4))
        warm = self._uniform(n, -0.1, 0.1)
        gain = torch.cat([1 + warm, 1 + self._uniform(n, -0.03, 0.03), 1 - warm], 1)
        contrast = self._uniform(n, 0.85, 1.15)
        lit = (x.clamp_min(1e-4) ** gamma * gain - 0.5) * contrast + 0.5
        x = torch.where(self._chance(n, v.light), lit, x)
        across = torch.linspace(-1, 1, x.shape[3], device=x.device).view(1, 1, 1, -1)
        side = torch.exp2(across * self._uniform(n, -0.9, 0.9))
        x = torch.where(self._chance(n, v.side_light), x * side, x)
        return x.clamp(0, 1) * 2 - 1


def foreground(pictures: Tensor, mattes: Tensor, blur: Callable[[Tensor], Tensor]) -> Tensor:
    """The person's colours without the old backdrop, also where it shines through hair (Forte 2021, blur fusion, one
    pass).

    Args:
        pictures: (N, 3, H, W). mattes: (N, 1, H, W) in [0, 1]. blur: maps (N, C, H, W) to the same, smoothed.

    Returns:
        (N, 3, H, W) in [-1, 1].
    """
    inside = blur(mattes)
    person = blur(pictures * mattes) / (inside + 1e-4)
    behind = blur(pictures * (1 - mattes)) / (1 - inside + 1e-4)
    return (person + mattes * (pictures - mattes * person - (1 - mattes) * behind)).clamp(-1, 1)


def _unit(pictures: Tensor) -> Tensor:
    return pictures.float().mul_(2 / 255).sub_(1)
