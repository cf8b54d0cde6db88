"""Training pictures for the finder, composed in batches during training from portraits with known landmarks.

Points of a portrait are given in its FFHQ frame: coordinates 0..1 of the aligned square, in which all faces have their
eyes and mouths at about the same places. A layer places that frame at random (scale, shift, rotation, shear), turns the
head a little in depth (the face is approximated by an ellipsoid) and blends it over clutter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.networks import (
    LANDMARKS,
    MIRROR,
    REFINER_DROP,
    REFINER_SIZE,
    REFINER_ZOOM,
    five_from_landmarks,
)
from gan_core.training.faces.clutter import clutter, paint_shapes, pixel_grid, sample, shuffled
from gan_core.training.faces.photometric import camera, chance, per_picture, uniform
from gan_core.training.faces.placing import (
    HEAD_CENTRE,
    affine,
    compose,
    frame_of,
    head_turn,
    inverse,
    placement,
    turn_points,
    unturn,
)

EYES = ((0.38, 0.475), (0.62, 0.475))


@dataclass
class Bank:
    """All portraits on the device.

    pictures: (N, 3, 256, 256) uint8. to_source: (N, 2, 3) from FFHQ frame (0..1) to the picture (0..1).
    landmarks: (N, P, 2) in the frame. small: the same pictures at 128 and 64 pixels. textures: uint8 or None.
    """

    pictures: Tensor
    to_source: Tensor
    landmarks: Tensor
    textures: Tensor | None = None

    def __post_init__(self) -> None:
        self.small = {256: self.pictures}
        for side in (128, 64):
            parts = [
                F.interpolate(p.float(), size=(side, side), mode="area").round().byte()
                for p in self.pictures.split(256)
            ]
            self.small[side] = torch.cat(parts)

    def clutter(self, n: int, size: int) -> Tensor:
        """Face-free pictures (n, 3, size, size)."""
        device = self.pictures.device
        some = torch.randint(self.pictures.shape[0], (min(n, 64),), device=device)
        textures = None if self.textures is None else self.textures.float() / 255
        return clutter(n, size, self.small[128][some].float() / 255, textures)


@dataclass
class Pose:
    """Portraits ready to be placed: mirrored (N,), turned in depth (N, 3, 3), landmarks in the frame."""

    index: Tensor
    flip: Tensor
    turn: Tensor
    landmarks: Tensor

    def place(self, square_to_pixels: Tensor) -> Tensor:
        """Map from frame to pixels that places the turned face's own FFHQ square as `square_to_pixels` does."""
        centre, side, angle = frame_of(five_from_landmarks(self.landmarks))
        return compose(square_to_pixels, inverse(placement(centre, side, angle)))


def pose(bank: Bank, index: Tensor, spread: float = 0.3) -> Pose:
    """Mirror half of the portraits and turn the heads by about `spread` radians."""
    n, device = index.shape[0], index.device
    flip, turn = chance(n, 0.5, device), head_turn(n, device, spread)
    points = bank.landmarks[index]
    swapped = points[:, list(MIRROR)] * points.new_tensor([-1, 1]) + points.new_tensor([1, 0])
    points = torch.where(flip.view(-1, 1, 1) > 0, swapped, points)
    return Pose(index, flip, turn, turn_points(points, turn))


@dataclass
class Layer:
    """One portrait placed in each picture: its pixels, its opacity, its landmarks (pixels)."""

    picture: Tensor
    alpha: Tensor
    landmarks: Tensor
    to_frame: Tensor
    mask: tuple[Tensor, Tensor, Tensor, Tensor]


def _mask(q: Tensor, mask: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Opacity at frame points q (N, ..., 2): a soft ellipse round the head, or a box."""
    centre, radius, softness, box = (m.view(m.shape[0], *[1] * (q.dim() - 2), -1) for m in mask)
    p = ((q - centre) / radius).abs()
    level = torch.where(box[..., 0] > 0, p.amax(-1), p.norm(dim=-1))
    return ((1 - level) * softness[..., 0]).sigmoid()


def render(
    bank: Bank,
    posed: Pose,
    to_pixels: Tensor,
    size: int,
    mip: int,
    *,
    whole: float = 0.5,
    broken: bool = False,
) -> Layer:
    """Draw posed portraits through to_pixels (N, 2, 3; frame -> pixels) on size x size pictures.

    mip: which stored resolution to sample (256, 128, 64). whole: probability that much of the portrait's own
    surroundings is shown. broken: shuffle the blocks of the face, so that it is no face.
    """
    n, device = posed.index.shape[0], posed.index.device
    to_frame = inverse(to_pixels)
    q = affine(pixel_grid(size, size, device).expand(n, -1, -1, -1), to_frame)
    still = unturn(q, posed.turn)
    x = torch.lerp(still[..., 0], 1 - still[..., 0], posed.flip.view(-1, 1, 1))
    where = affine(torch.stack([x, still[..., 1]], -1), bank.to_source[posed.index])
    source = bank.small[mip][posed.index].float() / 255
    picture = shuffled(source, where, 5) if broken else sample(source, where)
    inside = ((where > 0.004) & (where < 0.996)).all(-1)

    picture = _glasses_and_masks(picture, still)
    big = chance(n, whole, device)
    radius = torch.lerp(
        torch.rand(n, 2, device=device) * 0.16 + torch.tensor([0.3, 0.40], device=device),
        torch.rand(n, 2, device=device) * 1.0 + 0.5,
        big[:, None],
    )
    centre = torch.tensor(HEAD_CENTRE, device=device) + torch.randn(n, 2, device=device) * 0.03
    mask = (centre, radius, 10 ** uniform(n, 0.7, 2, device), torch.maximum(big, chance(n, 0.2, device)))
    alpha = _mask(q, mask) * inside
    return Layer(picture, alpha[:, None], affine(posed.landmarks, to_pixels), to_frame, mask)


def _glasses_and_masks(picture: Tensor, q: Tensor) -> Tensor:
    """At random, dark glasses or a cloth over nose and mouth, in frame coordinates q (N, h, w, 2)."""
    n, device = q.shape[0], q.device
    radius = torch.tensor([0.105, 0.08], device=device) * per_picture(uniform(n, 0.7, 1.1, device))
    lens = torch.stack([((q - q.new_tensor(e)) / radius).norm(dim=-1) for e in EYES]).amin(0)
    shade = ((1 - lens) * 12).sigmoid()[:, None] * per_picture(uniform(n, 0.4, 1, device) * chance(n, 0.1, device))
    picture = torch.lerp(picture, torch.rand(n, 3, 1, 1, device=device).mul(0.35).expand_as(picture), shade)
    p = ((q - q.new_tensor([0.5, 0.72])) / q.new_tensor([0.22, 0.19])).abs()
    cloth = ((1 - p.pow(4).sum(-1)) * 8).sigmoid()[:, None] * per_picture(chance(n, 0.04, device))
    return torch.lerp(picture, torch.rand(n, 3, 1, 1, device=device).expand_as(picture), cloth)


def occlude(picture: Tensor, to_frame: Tensor) -> Tensor:
    """Up to two soft ellipses of plain colour (a hand, a microphone, hair) on or beside each face."""
    n, _, h, w = picture.shape
    device = picture.device
    q = affine(pixel_grid(h, w, device).expand(n, -1, -1, -1), to_frame)
    for _ in range(2):
        angle = uniform(n, 0, 2 * math.pi, device)
        reach = uniform(n, 0.16, 0.42, device)
        centre = torch.stack([0.5 + angle.cos() * reach, 0.58 + angle.sin() * reach], -1).view(n, 1, 1, 2)
        radius = uniform(n, 0.04, 0.17, device).view(n, 1, 1, 1) * torch.exp(
            torch.randn(n, 1, 1, 2, device=device) * 0.3
        )
        level = ((q - centre) / radius).norm(dim=-1)
        alpha = ((1 - level) * 15).sigmoid()[:, None] * per_picture(chance(n, 0.15, device))
        picture = torch.lerp(picture, torch.rand(n, 3, 1, 1, device=device).expand_as(picture), alpha)
    return picture


@dataclass
class Scenes:
    """Pictures (N, 3, S, S) in [-1, 1]; five points (N, L, 5, 2) in pixels; state (N, L): 1 a face to find,
    0 nothing, -1 a face so covered that it is ignored."""

    pictures: Tensor
    five: Tensor
    state: Tensor


def locator_scenes(bank: Bank, n: int, size: int, sides: tuple[float, float], mip: int, layers: int = 3) -> Scenes:
    """Pictures with none to three faces of FFHQ sides (pixels) in `sides`, and broken faces, over clutter."""
    device = bank.pictures.device
    picture = bank.clutter(n, size)
    fives: list[Tensor] = []
    states: list[Tensor] = []
    used: list[Tensor] = []
    for layer in range(layers + 1):
        broken = layer == 0
        index = torch.randint(bank.pictures.shape[0], (n,), device=device)
        side = sides[0] * (sides[1] / sides[0]) ** torch.rand(n, device=device)
        angle = torch.where(
            chance(n, 0.6, device) > 0, torch.randn(n, device=device) * 0.2, uniform(n, -0.85, 0.85, device)
        )
        centre = torch.rand(n, 2, device=device) * size
        posed = pose(bank, index)
        drawn = render(
            bank,
            posed,
            posed.place(placement(centre, side, angle, squash=0.06)),
            size,
            mip,
            broken=broken,
            whole=0.0 if broken else 0.5,
        )
        active = chance(n, (0.3, 0.82, 0.4, 0.25)[layer], device)
        for other_centre, other_side in used:  # no two faces on top of each other
            active = active * ((centre - other_centre).norm(dim=-1) > 0.42 * (side + other_side)).float()
        drawn_picture = occlude(drawn.picture, drawn.to_frame)
        picture = torch.lerp(picture, drawn_picture, drawn.alpha * per_picture(active))
        for i in range(len(states)):  # faces that this layer paints over
            covered = _mask(affine(fives[i], drawn.to_frame), drawn.mask).mean(-1) * active
            states[i] = torch.where((covered > 0.25) & (states[i] > 0), -torch.ones_like(states[i]), states[i])
        if broken:
            continue
        five = five_from_landmarks(drawn.landmarks)
        seen = ((five > -0.02 * size) & (five < 1.02 * size)).all(-1).float().mean(-1)
        state = torch.where(seen >= 0.99, 1.0, torch.where(seen > 0.3, -1.0, 0.0)) * active
        fives.append(five)
        states.append(state)
        used.append((centre, torch.where(active > 0, side, torch.zeros_like(side))))
    picture = torch.where(per_picture(chance(n, 0.25, device)).bool(), paint_shapes(picture, 2, 0.02, 0.06), picture)
    picture, five, state = camera(picture) * 2 - 1, torch.stack(fives, 1), torch.stack(states, 1)
    # Coarse pyramid levels are smaller than a scene and padded with grey; some scenes are cut short to show this.
    short = chance(n, 0.2, device)[:, None]
    edge = torch.lerp(torch.ones(n, 2, device=device), uniform(n * 2, 0.35, 1, device).view(n, 2), short) * size
    grid = pixel_grid(size, size, device)
    picture = picture * (grid < edge.view(n, 1, 1, 2)).all(-1)[:, None]
    seen = (five < edge.view(n, 1, 1, 2) + 0.02 * size).all(-1).float().mean(-1)
    state = torch.where((seen < 0.99) & (state > 0), torch.where(seen > 0.3, -1.0, 0.0), state)
    return Scenes(picture, five, state)


@dataclass
class Crops:
    """Refiner inputs (N, 3, 128, 128) in [-1, 1], landmarks (N, P, 2) in 0..1 of them, face (N,) 0 or 1."""

    pictures: Tensor
    landmarks: Tensor
    face: Tensor


def refiner_crops(bank: Bank, n: int, *, rough: bool = True) -> Crops:
    """Crops around faces as the locator (rough) or the refiner would make them; a quarter shows no face."""
    device, size = bank.pictures.device, REFINER_SIZE
    index = torch.randint(bank.pictures.shape[0], (n,), device=device)
    wild = chance(n, 0.12 if rough else 0.0, device)
    shift = torch.randn(n, 2, device=device) * (0.045 + 0.06 * wild[:, None]) * (1.0 if rough else 0.3)
    log_scale = torch.randn(n, device=device) * (0.12 + 0.12 * wild) * (1.0 if rough else 0.3)
    angle = torch.randn(n, device=device) * (0.12 + 0.25 * wild) * (1.0 if rough else 0.3)
    # No face: a crop far beside it or of a wrong size, a shuffled face, or clutter.
    kind = torch.rand(n, device=device)
    beside = (kind < 0.06).float()
    direction = uniform(n, 0, 2 * math.pi, device)
    far = torch.stack([direction.cos(), direction.sin()], -1) * uniform(n, 0.4, 0.9, device)[:, None]
    shift = torch.lerp(shift, far, beside[:, None])
    wrong_size = ((kind >= 0.06) & (kind < 0.1)).float()
    log_scale = torch.lerp(log_scale, uniform(n, 0.9, 1.6, device) * (2 * chance(n, 0.5, device) - 1), wrong_size)
    side = size / REFINER_ZOOM * torch.exp(log_scale)
    centre = size * (0.5 + (shift - shift.new_tensor([0.0, REFINER_DROP])) / REFINER_ZOOM)
    square = placement(centre, side, angle, squash=0.07)

    clean = bank.clutter(n, size)
    posed = pose(bank, index)
    drawn = render(bank, posed, posed.place(square), size, 256)
    picture = torch.lerp(clean, occlude(drawn.picture, drawn.to_frame), drawn.alpha)
    wrong = render(bank, posed, posed.place(square), size, 128, broken=True, whole=0.0)
    broken = per_picture((kind >= 0.1) & (kind < 0.15))
    picture = torch.where(broken, torch.lerp(clean, wrong.picture, wrong.alpha), picture)
    picture = torch.where(per_picture((kind >= 0.15) & (kind < 0.27)), clean, picture)
    return Crops(camera(picture) * 2 - 1, drawn.landmarks / size, (kind >= 0.27).float())


def landmark_weights(device: torch.device) -> Tensor:
    """(P,) weights: eyes, nose tip and mouth corners decide the alignment and count most."""
    weights = torch.ones(len(LANDMARKS), device=device)
    for i, mesh in enumerate(LANDMARKS):
        if mesh in (33, 133, 362, 263, 61, 291, 160, 158, 153, 144, 387, 385, 380, 373):
            weights[i] = 2.0
        elif mesh in (172, 397, 234, 454, 132, 361, 152):
            weights[i] = 0.5  # the outline is only loosely defined under hair and beards
    return weights / weights.mean()
