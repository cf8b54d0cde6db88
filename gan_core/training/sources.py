"""Where a training that grows gets its pictures from, at each of its resolutions: a folder of pictures,
collections of people, or places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from gan_core.training.data import PictureStream, load_pictures
from gan_core.training.people import PeopleStream, Variation, read_people
from gan_core.training.places import Places, PlacesStream, fixed_views

HELD_OUT_VIEWS = 64
Stream = PictureStream | PeopleStream | PlacesStream


class Source(Protocol):
    """Pictures to train on, and others that are not."""

    def stream(self, side: int, device: torch.device) -> Stream:
        """Endless batches of pictures of that side, on the device."""
        ...

    def held_out(self, side: int) -> Tensor:
        """Pictures that are not trained on, uint8 (N, 3, side, side), on the CPU; the same in every call."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """Picture files."""

    paths: list[Path]
    unseen: list[Path]

    def stream(self, side: int, device: torch.device) -> PictureStream:
        """See `Source`."""
        return PictureStream(load_pictures(self.paths, side).to(device))

    def held_out(self, side: int) -> Tensor:
        """See `Source`."""
        return load_pictures(self.unseen, side)


@dataclass(frozen=True)
class PeopleSource:
    """Collections of people (see people.py), some of them before another backdrop and in other light."""

    folder: Path
    shares: dict[str, float]
    variation: Variation

    def stream(self, side: int, device: torch.device) -> PeopleStream:
        """See `Source`. Raises BadImage."""
        return PeopleStream(read_people(self.folder, side, self.shares).to(device), self.variation)

    def held_out(self, side: int) -> Tensor:
        """See `Source`; of each collection about as many as its share says. Raises BadImage."""
        people = read_people(self.folder, side, self.shares, held_out=True)
        count = min(HELD_OUT_VIEWS, len(people))
        rows = torch.multinomial(people.weights, count, generator=torch.Generator().manual_seed(0))
        return people.pictures[rows]


@dataclass(frozen=True)
class PlacesSource:
    """Views of cube maps; the folder is read again for the held-out ones."""

    folder: Path
    places: Places  # on the training device

    def stream(self, side: int, device: torch.device) -> PlacesStream:
        """See `Source`."""
        return PlacesStream(self.places.to(device), side)

    def held_out(self, side: int) -> Tensor:
        """See `Source`."""
        return fixed_views(self.folder, side, HELD_OUT_VIEWS)
