"""Photographs of places without end: perspective views of cube maps, drawn on the training device.

A folder of places, made by `python -m gan_core.training.prepare_places`:

    FOLDER/NAME/{px,nx,py,ny,pz,nz}.webp   the faces of a cube map (JPEG and PNG are read too)
    FOLDER/places.csv                      name, family, and labels such as place, time, season (optional)

Places of one family (the same square by day and by night) are held out together and share their weight. A view has a
random direction, field of view, exposure and white balance, as a photographer's pictures do. Where a map has too few
texels for a sharp picture of the resolution, narrow fields of view are not drawn.
"""

from __future__ import annotations

import csv
import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from gan_core.errors import BadImage
from gan_core.training.cube_maps import CUBE, CubeMaps
from gan_core.training.data import SUFFIXES
from gan_core.training.focus import defocus, random_radii

TABLE = "places.csv"
HELD_OUT_PERCENT = 18
_FINER = 2  # samples a pixel, each way


@dataclass(frozen=True)
class Views:
    """How views are drawn. Angles in degrees."""

    narrowest: float = 30.0  # field of view of a side
    widest: float = 100.0
    magnified: float = 1.25  # most pixels a texel, each way, in the middle of a face; narrower views are not drawn
    pitch: float = 6.0  # standard deviation of most views
    steep: float = 0.2  # share of views that look up or down by up to `steepest`
    steepest: float = 30.0
    lowest: float = -70.0  # no view shows what is below this: tripods and patches
    roll: float = 1.2  # standard deviation
    exposure: float = 0.3  # standard deviation, in stops
    balance: float = 0.05  # standard deviation of the logarithm of the gains of red against blue, and of green
    soft: float = 0.0  # share of views out of focus (`focus.py`), which may be closer: blur hides that texels are few
    soft_narrowest: float = 12.0
    soft_magnified: float = 4.0
    softest: float = 10.0  # largest radius, in pixels of a picture of 256


@dataclass
class Places:
    """Cube maps with what is known of them, on one device.

    weights: float32 (N,), share of a place in every batch, sum 1. labels: the table's row of each place.
    """

    maps: CubeMaps
    weights: Tensor
    names: list[str]
    labels: list[dict[str, str]] = field(default_factory=list)

    def to(self, device: torch.device | str) -> Places:
        """The same on another device."""
        return Places(self.maps.to(device), self.weights.to(device), self.names, self.labels)

    def __len__(self) -> int:
        return len(self.names)


def is_held_out(family: str) -> bool:
    """Whether the places of a family are kept out of all training: about one in six, always the same."""
    return zlib.crc32(family.encode()) % 100 < HELD_OUT_PERCENT


def family_weights(families: list[str]) -> Tensor:
    """Shares (N,) of places: equal, but n places of one family count as the square root of n."""
    weights = torch.tensor([1 / math.sqrt(families.count(family)) for family in families])
    return weights / weights.sum()


def read_places(folder: Path, *, held_out: bool | None = False) -> Places:
    """Read the places to train on, those held out, or (None) all, on the CPU.

    Raises:
        BadImage: there are none, or a face is missing, not square or of another size than the place's other faces.
    """
    rows = [row for row in _table(folder) if held_out is None or is_held_out(row["family"]) == held_out]
    if not rows:
        raise BadImage(f"There are no places to use in {folder}: each is a folder of six faces, px to nz.")
    with ThreadPoolExecutor(8) as pool:
        maps = list(pool.map(lambda row: _read_map(folder / row["name"]), rows))
    weights = family_weights([row["family"] for row in rows])
    return Places(CubeMaps.pack(maps), weights, [row["name"] for row in rows], rows)


def _table(folder: Path) -> list[dict[str, str]]:
    """A row for each place, sorted by name; without a table each place is a family of its own."""
    named = {}
    if (folder / TABLE).is_file():
        with (folder / TABLE).open(newline="") as file:
            named = {row["name"]: row for row in csv.DictReader(file)}
    found = sorted(path.name for path in folder.glob("*/") if any(path.glob("px.*")))
    rows = [{"name": name, "family": name} | named.get(name, {}) for name in found]
    return [row for row in rows if not named or row["name"] in named]


def _read_map(folder: Path) -> Tensor:
    """Faces, uint8 (6, S, S, 3)."""
    faces = []
    for name in CUBE:
        path = next((folder / f"{name}{suffix}" for suffix in SUFFIXES if (folder / f"{name}{suffix}").is_file()), None)
        if path is None:
            raise BadImage(f"The place {folder.name} lacks its face {name}.")
        with Image.open(path) as image:
            faces.append(np.asarray(image.convert("RGB")))
    side = len(faces[0])
    if any(face.shape != (side, side, 3) for face in faces):
        raise BadImage(f"The faces of the place {folder.name} must be squares of one size.")
    return torch.from_numpy(np.stack(faces))


@dataclass
class Camera:
    """Views to be taken, (N,) each; angles in radians."""

    place: Tensor  # int64
    field: Tensor
    yaw: Tensor
    pitch: Tensor  # upwards
    roll: Tensor
    gains: Tensor  # (N, 3), of linear light
    mirror: Tensor  # bool


class PlacesStream:
    """Endless batches of views of `Places`, drawn on their device without synchronising."""

    def __init__(self, places: Places, resolution: int, views: Views | None = None) -> None:
        self.places, self.resolution = places, resolution
        self.views = Views() if views is None else views
        v = self.views
        self._ends = places.weights.cumsum(0)
        self._narrowest = self._sharp_from(v.magnified, v.narrowest)
        self._soft_narrowest = self._sharp_from(v.soft_magnified, v.soft_narrowest)

    def _sharp_from(self, magnified: float, narrowest: float) -> Tensor:
        """The narrowest field of view (N,) of each place, in radians, with at most `magnified` pixels a texel."""
        texels = self.places.maps.sides[:, 0].float()
        sharp = 2 * torch.atan(self.resolution / (magnified * texels))
        return sharp.clamp(math.radians(narrowest), math.radians(self.views.widest))

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Pictures (count, 3, R, R), float32 in [-1, 1]. generator: on the places' device; None for the default one.
        Views out of focus are drawn by the default one."""
        soft = round(count * self.views.soft)  # the first of a batch: all are random
        sharp = self.take(self.aim(count - soft, generator))
        if not soft:
            return sharp
        close = self.take(self.aim(soft, generator, narrowest=self._soft_narrowest))
        radii = random_radii(soft, self.resolution, self.views.softest, close.device)
        return torch.cat([defocus(close, radii), sharp])

    def aim(
        self,
        count: int,
        generator: torch.Generator | None = None,
        place: Tensor | None = None,
        narrowest: Tensor | None = None,
    ) -> Camera:
        """Random views, of random places or of those given (count,); narrowest: fields of view of all places (N,)."""
        v, device = self.views, self._ends.device

        def uniform() -> Tensor:
            return torch.rand(count, device=device, generator=generator)

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, device=device, generator=generator)

        if place is None:
            place = torch.searchsorted(self._ends, uniform() * self._ends[-1]).clamp_(max=len(self.places) - 1)
        # Uniform in the tangent, which is the scale of what is seen.
        low = torch.tan((self._narrowest if narrowest is None else narrowest)[place] / 2)
        high = math.tan(math.radians(v.widest) / 2)
        angle = 2 * torch.atan(low + (high - low) * uniform())
        level = normal() * v.pitch
        pitch = torch.where(uniform() < v.steep, (uniform() * 2 - 1) * v.steepest, level) * (math.pi / 180)
        pitch = torch.maximum(pitch, math.radians(v.lowest) + angle / 2)
        warm, green = (normal(1) * v.balance).clamp(-0.15, 0.15), (normal(1) * v.balance / 2).clamp(-0.08, 0.08)
        stops = (normal(1) * v.exposure).clamp(-0.8, 0.8) * math.log(2)
        gains = torch.exp(torch.cat([stops + warm, stops + green, stops - warm], 1))
        roll = normal() * (v.roll * math.pi / 180)
        return Camera(place, angle, uniform() * (2 * math.pi), pitch, roll, gains, uniform() < 0.5)

    def take(self, camera: Camera) -> Tensor:
        """The pictures (N, 3, R, R) of views, float32 in [-1, 1]."""
        rays, half, x, y = self._rays(camera, self.resolution * _FINER)
        colours = self.places.maps.look(camera.place, rays, self._level(camera, rays, half, x, y))
        pictures = F.avg_pool2d(colours.permute(0, 3, 1, 2), _FINER) / 255
        # Exposure and white balance act on light: sRGB is close to a gamma of 2.2.
        pictures = (pictures.clamp_min(1e-5) ** 2.2 * camera.gains[:, :, None, None]).clamp(0, 1) ** (1 / 2.2)
        pictures = torch.where(camera.mirror.view(-1, 1, 1, 1), pictures.flip(3), pictures)
        return pictures * 2 - 1

    def elevation(self, camera: Camera) -> Tensor:
        """How far above the horizon each pixel of the views looks: (N, R, R), radians, negative below it."""
        rays = self._rays(camera, self.resolution)[0]
        above = torch.asin(rays[..., 1] / rays.norm(dim=-1))
        return torch.where(camera.mirror.view(-1, 1, 1), above.flip(2), above)

    @staticmethod
    def _rays(camera: Camera, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Directions (N, side, side, 3) of the views' pixels; half of a side's length (N, 1, 1) and the pixels' places
        across (1, 1, side) and up (1, side, 1) from -1 to 1, all one length ahead of the camera."""
        half = torch.tan(camera.field / 2).view(-1, 1, 1)
        across = (torch.arange(side, device=half.device) + 0.5) * (2 / side) - 1
        x, y = across.view(1, 1, -1), -across.view(1, -1, 1)
        cos, sin = torch.cos(camera.roll).view(-1, 1, 1), torch.sin(camera.roll).view(-1, 1, 1)
        right, up = (cos * x - sin * y) * half, (sin * x + cos * y) * half
        cos, sin = torch.cos(camera.pitch).view(-1, 1, 1), torch.sin(camera.pitch).view(-1, 1, 1)
        up, ahead = cos * up + sin, cos - sin * up
        cos, sin = torch.cos(camera.yaw).view(-1, 1, 1), torch.sin(camera.yaw).view(-1, 1, 1)
        return torch.stack([cos * right + sin * ahead, up, cos * ahead - sin * right], -1), half, x, y

    def _level(self, camera: Camera, rays: Tensor, half: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Mip level (N, H, W) at which a texel is as large as a sample, by their solid angles."""
        texels = self.places.maps.sides[camera.place, 0].view(-1, 1, 1).float()
        largest = rays.abs().amax(-1)
        seen = 1 + (half * x) ** 2 + (half * y) ** 2  # squared length of the ray, of length 1 ahead
        on_face = rays.square().sum(-1) / largest.square()
        area = (half * texels / (self.resolution * _FINER)) ** 2 * (on_face / seen) ** 1.5
        return 0.5 * torch.log2(area)


def fixed_views(folder: Path, resolution: int, count: int, *, seed: int = 0, views: Views | None = None) -> Tensor:
    """Views of the held-out places of a folder, the same in every call: uint8 (count, 3, R, R) on the CPU, the places
    in turn. A folder so small that no place is held out gives views of its first ones. Raises BadImage.
    """
    try:
        places = read_places(folder, held_out=True)
    except BadImage:
        places = read_places(folder, held_out=None)
    stream, pictures = PlacesStream(places, resolution, views), []
    generator = torch.Generator().manual_seed(seed)
    turn = torch.arange(count) % len(places)
    for part in turn.split(8):
        taken = stream.take(stream.aim(len(part), generator, part))
        pictures.append(((taken + 1) * 127.5).round().to(torch.uint8))
    return torch.cat(pictures)
