"""The project's own face finder: a locator over a pyramid, then a refiner on each face, twice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.faces.alignment import warp_affine
from gan_core.faces.geometry import (
    Face,
    apply_affine,
    face_from_five,
    ffhq_frame,
    similarity_between,
)
from gan_core.faces.networks import (
    REFINER_DROP,
    REFINER_SIZE,
    REFINER_ZOOM,
    STRIDE,
    FaceLocator,
    LandmarkRefiner,
    five_from_landmarks,
)

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "finder" / "finder.safetensors"
LONGEST = 640  # the finest pyramid level's longer side: a 40-pixel face of a 1280-pixel photo is 20 here
CANDIDATE = 0.15  # least locator probability of a peak that is refined
ACCEPT = 0.6  # least final score of a face
MOST = 24  # candidates that are refined at most


def fuse(network: nn.Module) -> nn.Module:
    """Fold each batch normalisation into the convolution before it (inference only, in place)."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i], module[i + 1] = fuse_conv_bn_eval(module[i], module[i + 1]), nn.Identity()
    return network


class FaceFinder:
    """Finds all faces of a photo and five points of each. Safe to share between threads."""

    def __init__(self, locator: FaceLocator, refiner: LandmarkRefiner, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.locator = fuse(locator.eval()).to(self.device).requires_grad_(False)
        self.refiner = fuse(refiner.eval()).to(self.device).requires_grad_(False)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One photo at a time, without gradients and on one CPU thread.

        With networks this small a second thread saves 0.03 s on an idle machine; where its core is busy, waiting for it
        at every layer takes several times as long as all of the work.
        """
        with self._lock, torch.inference_mode():
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                yield
            finally:
                torch.set_num_threads(threads)

    @classmethod
    def load(cls, path: Path = WEIGHTS, device: str | torch.device = "cpu") -> FaceFinder:
        """Read weights/finder/finder.safetensors. Raises WeightsMissing or BadCheckpoint."""
        tensors, config = store.read(path)
        try:
            locator = FaceLocator(config["locator"]["width"], tuple(config["locator"]["dilations"]))
            refiner = LandmarkRefiner(**config["refiner"])
            networks: dict[str, nn.Module] = {"locator": locator, "refiner": refiner}
            for name, network in networks.items():
                state = {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}
                missing, unexpected = network.load_state_dict(state, strict=False)
                if unexpected or any(not key.endswith("num_batches_tracked") for key in missing):
                    raise BadCheckpoint("The face finder's weights file does not fit this version of the program.")
        except (KeyError, TypeError, RuntimeError) as error:
            raise BadCheckpoint("The face finder's weights file does not fit this version of the program.") from error
        return cls(locator, refiner, device)

    def find(self, image: Image.Image, *, accept: float = ACCEPT) -> list[Face]:
        """All faces, largest first, as points in the photo's pixels; an empty list where there is none.

        Faces from about 40 pixels (at 1280 x 720) to larger than the photo. accept: least score, 0..1.
        """
        photo = image if image.mode == "RGB" else image.convert("RGB")
        if min(photo.size) < 16:
            return []
        with self._alone():
            levels = _pyramid(photo)
            guesses = self._locate(levels)
            faces = self._refine(photo, levels, guesses, accept) if guesses else []
        return sorted(faces, key=lambda face: -face.size)

    def refine(self, image: Image.Image, faces: list[Face]) -> list[Face]:
        """The same faces with the refiner's points; a face that the refiner rejects keeps its own."""
        photo = image if image.mode == "RGB" else image.convert("RGB")
        with self._alone():
            levels = _pyramid(photo)
            better = [self._refine(photo, levels, [(1.0, face.points)], ACCEPT) for face in faces]
        return [new[0] if new else old for new, old in zip(better, faces, strict=True)]

    def follow(self, image: Image.Image, points: np.ndarray) -> Face | None:
        """The face near five points of the previous frame of a video, or None if there is none."""
        photo = image if image.mode == "RGB" else image.convert("RGB")
        with self._alone():
            faces = self._refine(photo, _pyramid(photo), [(1.0, points)], ACCEPT)
        return faces[0] if faces else None

    def _locate(self, levels: list[tuple[Image.Image, float]]) -> list[tuple[float, np.ndarray]]:
        """Peaks of the centre map over all levels: (probability, five points in photo pixels), best first."""
        found: list[tuple[float, np.ndarray]] = []
        for picture, scale in levels:
            heat, log_size, points = self.locator(_framed(_to_tensor(picture, self.device)))
            heat, log_size = heat.sigmoid()[0, 0], log_size[0, 0]
            peaks = (F.max_pool2d(heat[None], 3, 1, 1)[0] == heat) & (heat > CANDIDATE)
            at = peaks.nonzero()
            at = at[heat[at[:, 0], at[:, 1]].argsort(descending=True)][:MOST]
            for y, x in at.tolist():
                side = 64 * 2 ** float(log_size[y, x])
                cell = np.array([(x + 0.5) * STRIDE, (y + 0.5) * STRIDE])
                five = (points[0, :, :, y, x].cpu().numpy().astype(np.float64) * side + cell) / scale
                found.append((float(heat[y, x]), five))
        found.sort(key=lambda guess: -guess[0])
        return _without_doubles(found)[:MOST]

    def _refine(
        self,
        photo: Image.Image,
        levels: list[tuple[Image.Image, float]],
        guesses: list[tuple[float, np.ndarray]],
        accept: float,
    ) -> list[Face]:
        """Landmarks on the upright crop of each guess, twice; then what still looks like a face."""
        candidates = guesses
        for turn in range(2):
            usable, crops, maps = [], [], []
            for score, five in candidates:
                to_photo = _refiner_square(five)
                if to_photo is None:
                    continue
                usable.append(score)
                maps.append(to_photo)
                crops.append(_cut(photo, levels, to_photo))
            if not crops:
                return []
            points, _, face = self.refiner(torch.cat([_to_tensor(c, self.device) for c in crops]))
            fives = five_from_landmarks(points).double().cpu().numpy() * REFINER_SIZE
            # The locator sees the surroundings and the refiner the details, so both scores count. After the first
            # pass only clear misses are dropped.
            sure = face.sigmoid().tolist()
            scored = [
                (guess, apply_affine(m, five), s)
                for guess, five, m, s in zip(usable, fives, maps, sure, strict=True)
                if s > 0.1
            ]
            if turn == 0:
                candidates = [(guess, five) for guess, five, _ in scored]
        faces = [(float(np.sqrt(min(guess * 1.5, 1.0) * s)), five) for guess, five, s in scored]
        faces = [f for f in faces if f[0] >= accept and _plausible(f[1])]
        faces.sort(key=lambda f: -f[0])
        return [face_from_five(five, score) for score, five in _without_doubles(faces)]


def _pyramid(photo: Image.Image) -> list[tuple[Image.Image, float]]:
    """Reduced pictures with their scale: longer side 640 (or the photo's own), then halves to about 80."""
    longest = max(photo.size)
    side: float = min(longest, LONGEST)
    levels: list[tuple[Image.Image, float]] = []
    source = photo
    while side >= 64 or not levels:
        scale = side / longest
        size = (max(8, round(photo.width * scale)), max(8, round(photo.height * scale)))
        if size != source.size:
            source = source.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        levels.append((source, scale))
        side /= 2
    return levels


def _to_tensor(picture: Image.Image, device: torch.device) -> Tensor:
    """(1, 3, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(np.array(picture)).to(device)
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def _framed(tensor: Tensor) -> Tensor:
    """Pad with grey at the right and below, to multiples of the stride and at least to the size in training."""
    height, width = tensor.shape[-2:]
    grow = [max(160, -(-side // STRIDE) * STRIDE) - side for side in (width, height)]
    return F.pad(tensor, (0, grow[0], 0, grow[1]))


def _refiner_square(five: np.ndarray) -> np.ndarray | None:
    """2x3 map from the refiner's input pixels to the photo, or None where the points make no sense."""
    try:
        centre, x = ffhq_frame(five[0], five[1], (five[3] + five[4]) / 2)
    except BadValue:
        return None
    y = np.array([-x[1], x[0]])
    middle = centre + y * (2 * REFINER_DROP)
    corners = np.stack([middle + REFINER_ZOOM * (a * x + b * y) for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))])
    size = REFINER_SIZE
    return similarity_between(np.array([[0, 0], [0, size], [size, size], [size, 0]]), corners)


def _cut(photo: Image.Image, levels: list[tuple[Image.Image, float]], to_photo: np.ndarray) -> Image.Image:
    """The refiner's input, sampled from the coarsest picture that still has all the detail it can show."""
    ratio = float(np.hypot(to_photo[0, 0], to_photo[1, 0]))  # photo pixels per input pixel
    picture, scale = photo, 1.0
    for candidate, level_scale in levels:
        if ratio * level_scale >= 0.9:
            picture, scale = candidate, level_scale
    if ratio * scale > 2.2:  # between the photo and the first level: reduce just what is needed
        reach = np.abs(to_photo[:, :2]).sum(1) * REFINER_SIZE / 2
        middle = apply_affine(to_photo, np.array([REFINER_SIZE / 2, REFINER_SIZE / 2]))
        low, high = np.floor(middle - reach).astype(int), np.ceil(middle + reach).astype(int)
        factor = int(ratio * scale)
        region = photo.crop((int(low[0]), int(low[1]), int(high[0]), int(high[1]))).reduce(factor)
        shifted = np.concatenate([to_photo[:, :2], (to_photo[:, 2] - low)[:, None]], axis=1) / factor
        return warp_affine(region, shifted, (REFINER_SIZE, REFINER_SIZE))
    return warp_affine(picture, to_photo * scale, (REFINER_SIZE, REFINER_SIZE))


def _plausible(five: np.ndarray) -> bool:
    """Whether nose and mouth lie below the eyes and within reasonable bounds."""
    eyes = five[1] - five[0]
    length = np.hypot(*eyes)
    if not np.isfinite(five).all() or length < 3:
        return False
    down = (five[3] + five[4]) / 2 - (five[0] + five[1]) / 2
    depth = (eyes[0] * down[1] - eyes[1] * down[0]) / length**2
    return bool(0.35 < depth < 3.5 and np.hypot(*(five[4] - five[3])) < 2.5 * length)


def _without_doubles(guesses: list[tuple[float, np.ndarray]]) -> list[tuple[float, np.ndarray]]:
    """Non-maximum suppression: of guesses (best first) whose squares nearly coincide, keep the best."""
    kept: list[tuple[float, np.ndarray]] = []
    squares: list[tuple[np.ndarray, float]] = []
    for guess in guesses:
        five = guess[1]
        try:
            centre, x = ffhq_frame(five[0], five[1], (five[3] + five[4]) / 2)
        except BadValue:
            continue
        half = float(np.hypot(*x))
        if all(np.hypot(*(centre - c)) > 0.45 * max(half, h) for c, h in squares):
            kept.append(guess)
            squares.append((centre, half))
    return kept


@lru_cache(maxsize=2)
def embedded_finder(path: Path = WEIGHTS, device: str = "cpu") -> FaceFinder:
    """The shared finder, loaded on first use (a few milliseconds; 3 MB)."""
    return FaceFinder.load(path, device)
