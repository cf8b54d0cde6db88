"""Drawings of pictures as a hand makes them, for training: on the pictures' device and without waiting for it.

A third of the drawings are computed lines, a third are doodles, the others lie between. A hand
- moves lines: the whole drawing, its parts, and the pen itself trembles;
- leaves lines out: in whole regions, in the backdrop, and in gaps along a line;
- adds lines that are not in the picture (`strokes`);
- simplifies: long and strong lines only, each of one width and fully black, as a brush in the page draws them. These
  are the ridges (Steger 1998, "An unbiased detector of curvilinear structures", section 3) of how dark the picture is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.blur import gaussian_blur
from gan_core.comodgan.edges import PENS, Pen, darkness, inked, lines
from gan_core.training.comodgan.strokes import stroke_bank

# Lengths are in pixels of a picture 256 pixels wide.
COARSE = (Pen(1.9, 1.7), Pen(2.6, 3.0))  # what doodles are made of
SHIFT, GROWTH, PARTS, TREMOR = 4.0, 0.04, 7.0, 1.0
"""Farthest that a hand moves the whole; most that it enlarges it by; farthest that it moves parts; its tremor."""
MOST_MOVED = SHIFT + GROWTH * 128 + PARTS + TREMOR  # along either axis
_WIDTH = (1.6, 3.4)  # of lines by hand: the page's brush makes 2, and `drawings` leaves 1.5 to 4.4 as they are
_DARK = (0.45, 0.85)  # least darkness of a line that a careful hand and a doodle draw
_LONG = 6.0  # standard deviation of the blur that tells long lines from short ones
_ALONE = 2 / (math.sqrt(2 * math.pi) * _LONG)  # such a blur of a straight line 2 pixels wide
_ERASED, _BARE, _ADDED = 0.5, 0.6, 0.4  # shares of drawings with a hole, without backdrop, with stray strokes
_SHEETS = 512  # of stray strokes


@dataclass
class HandDrawn:
    """Drawings of a batch of pictures.

    lines: (N, 1, R, R) in [0, 1], 1 = line, those of the pictures by the first of `PENS`. drawing: of the same form,
    what was drawn of them. counted: of the same form, 0 where lines were left out, so that `lines` cannot be known.
    amount: (N, 1, 1, 1), from 0 (computed lines) to 1 (a doodle).
    """

    lines: Tensor
    drawing: Tensor
    counted: Tensor
    amount: Tensor


class Hand:
    """Draws pictures, the rows of a batch with one pen after the other.

    holes: (M, R, R) uint8 on the pictures' device, 1 = hole, the regions to leave out. seed: of the stray strokes.
    """

    def __init__(self, holes: Tensor, seed: int = 0) -> None:
        self.holes = holes
        self.strokes = torch.from_numpy(stroke_bank(_SHEETS, holes.shape[-1], seed)).to(holes.device)

    @torch.no_grad()
    def draw(self, pictures: Tensor, mattes: Tensor | None = None, amount: Tensor | None = None) -> HandDrawn:
        """Drawings of pictures (N, 3, R, R) in [-1, 1].

        mattes: (N, 1, R, R) in [0, 1], 1 where the person is; all 1 or None where unknown. amount: (N, 1, 1, 1) in
        [0, 1], see `HandDrawn`; random if None.
        """
        n, side = len(pictures), pictures.shape[-1]
        if amount is None:
            amount = (self._random(n) * 3 - 1).clamp(0, 1)
        dark = _by_turns(darkness, pictures, PENS)
        computed = _by_turns(inked, dark, PENS)
        width = self._random(n) * (_WIDTH[1] - _WIDTH[0]) + _WIDTH[0]
        least = _DARK[0] + (_DARK[1] - _DARK[0]) * amount
        dark = gaussian_blur(dark, 1.2 * side / 256)
        dark = torch.where(self._random(n) < amount, _by_turns(darkness, pictures, COARSE), dark)
        careful = self._random(n) < (1 - amount) / 2  # the computed lines, but by a hand
        by_hand = torch.where(careful, computed, ridges(dark, width, least, 8 + 6 * amount))
        kept = self._kept(mattes, n, side)
        by_hand = torch.maximum(by_hand * kept * self._unbroken(n, side), self._strokes(n))
        by_hand = moved(by_hand, displacement(0.3 + 0.7 * amount, side))
        by_hand = ((by_hand - 0.5) * 1.6 + 0.5).clamp(0, 1)  # moving has softened it
        drawing = torch.where(amount > 0, by_hand, computed * kept)
        return HandDrawn(lines(pictures), drawing, kept, amount)

    def _random(self, *shape: int) -> Tensor:
        """Random numbers in [0, 1), (N, 1, 1, 1) or (N, 1, H, W)."""
        rows, *sides = shape
        return torch.rand(rows, 1, *(sides or (1, 1)), device=self.holes.device)

    def _unbroken(self, n: int, side: int) -> Tensor:
        """1 where a hand's line goes on, (n, 1, R, R): half of the drawings have gaps, the valleys of noise."""
        coarse = max(side // 10, 2)
        noise = F.interpolate(self._random(n, coarse, coarse), (side, side), mode="bilinear", align_corners=False)
        return ((noise + 0.3 - 0.6 * self._random(n)) * 10 + 0.5).clamp(0, 1)

    def _strokes(self, n: int) -> Tensor:
        strokes = any_of(self.strokes, n) / 255
        return strokes * (self._random(n) < _ADDED)

    def _kept(self, mattes: Tensor | None, n: int, side: int) -> Tensor:
        """0 where all lines are left out, (n, 1, R, R): in holes of up to half of the picture, and in backdrops."""
        hole = any_of(self.holes, n)
        erased = (hole.mean([1, 2, 3], keepdim=True) < 0.5) & (self._random(n) < _ERASED)
        kept = 1 - hole * erased
        person = head_and_shoulders(side, self.holes.device)
        if mattes is not None:
            reach = 2 * round(5 * side / 256) + 1  # lines of the outline may lie on its other side
            near = F.max_pool2d(mattes, reach, 1, reach // 2)
            person = torch.where(mattes.mean([1, 2, 3], keepdim=True) > 0.99, person, near)
        return torch.where(self._random(n) < _BARE, kept * person, kept)


def _by_turns(function: Callable[[Tensor, Pen], Tensor], rows: Tensor, pens: Sequence[Pen]) -> Tensor:
    """`function` of rows (N, C, R, R), each with one of the pens, (N, 1, R, R)."""
    result, turns = torch.empty_like(rows[:, :1]), len(pens)
    for k, pen in enumerate(pens[: len(rows)]):
        result[k::turns] = function(rows[k::turns], pen)
    return result


def any_of(bank: Tensor, count: int) -> Tensor:
    """Random rows (count, 1, R, R), float32, of a bank (M, R, R), half of them mirrored."""
    rows = bank[torch.randint(len(bank), (count,), device=bank.device)][:, None].float()
    return torch.where(torch.rand(count, 1, 1, 1, device=bank.device) < 0.5, rows.flip(3), rows)


def ridges(dark: Tensor, width: Tensor, least: Tensor, length: Tensor) -> Tensor:
    """Lines of one width along the ridges of a smooth map (N, 1, H, W), of the same form, in [0, 1], 1 = line.

    width: (N, 1, 1, 1), of the lines. least: of the same form, height at which a ridge begins. length: of the same
    form, of the shortest line. Lengths are in pixels of a picture 256 pixels wide.
    """
    scale = max(dark.shape[-2:]) / 256
    p = F.pad(dark, (1, 1, 1, 1), mode="replicate")
    middle, left, right = p[..., 1:-1, 1:-1], p[..., 1:-1, :-2], p[..., 1:-1, 2:]
    above, below = p[..., :-2, 1:-1], p[..., 2:, 1:-1]
    dx, dy = (right - left) / 2, (below - above) / 2
    dxx, dyy = right - 2 * middle + left, below - 2 * middle + above
    dxy = (p[..., 2:, 2:] - p[..., 2:, :-2] - p[..., :-2, 2:] + p[..., :-2, :-2]) / 4
    # The second derivative across the line is the lesser eigenvalue of the Hessian; its eigenvector crosses the line.
    across = (dxx + dyy) / 2 - (((dxx - dyy) / 2).square() + dxy.square()).sqrt()
    angle = torch.atan2(2 * dxy, dxx - dyy) / 2
    slope = dy * torch.cos(angle) - dx * torch.sin(angle)
    distance = slope.abs() / (-across).clamp_min(1e-4)  # from the ridge, pixels
    high = ((dark - least) * 6 + 0.5).clamp(0, 1) * (across < -1e-3)
    thin = (1.5 - distance).clamp(0, 1) * high
    company = gaussian_blur(thin, _LONG * scale) * scale
    drawn = ((width * scale).clamp_min(1) / 2 + 0.5 - distance).clamp(0, 1)
    shortest = torch.erf(length / (2 * math.sqrt(2) * _LONG)) * _ALONE  # the company of a line's middle
    return drawn * high * ((company - shortest) * 50 + 0.5).clamp(0, 1)


def displacement(amount: Tensor, side: int) -> Tensor:
    """How far a hand moves each pixel, (N, 2, R, R) along x and y, in pixels; at most `MOST_MOVED` at 256 pixels.

    amount: (N, 1, 1, 1) in [0, 1], by which all of it is multiplied.
    """
    n, scale = len(amount), side / 256

    def noise(cells: int) -> Tensor:
        coarse = torch.rand(n, 2, cells, cells, device=amount.device) * 2 - 1
        return F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False).clamp(-1, 1)

    at = torch.linspace(-1, 1, side, device=amount.device) * (side / 2)
    places = torch.stack(torch.meshgrid(at, at, indexing="xy"))[None]
    random = torch.rand(3, n, 2, 1, 1, device=amount.device) * 2 - 1
    whole = random[0] * (SHIFT * scale) + places * (random[1] * GROWTH)
    return amount * (whole + noise(5) * (PARTS * scale) + noise(max(side // 12, 2)) * (TREMOR * scale))


def moved(drawing: Tensor, by: Tensor) -> Tensor:
    """Drawings (N, 1, R, R) with each pixel taken from where `by` (N, 2, R, R), in pixels, points; white outside."""
    side = drawing.shape[-1]
    at = (torch.arange(side, device=drawing.device) + 0.5) * (2 / side) - 1
    grid = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1) + by.permute(0, 2, 3, 1) * (2 / side)
    return F.grid_sample(drawing, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def head_and_shoulders(side: int, device: torch.device) -> Tensor:
    """1 where a person usually is in an aligned picture, with a soft border, (1, 1, R, R)."""
    at = (torch.arange(side, device=device) + 0.5) / side
    x, y = torch.meshgrid(at, at, indexing="xy")
    head = ((x - 0.5) / 0.4).square() + ((y - 0.5) / 0.5).square()
    shoulders = ((x - 0.5) / 0.6).square() + ((y - 1.15) / 0.35).square()
    return ((1 - torch.minimum(head, shoulders)) * 8 + 0.5).clamp(0, 1)[None, None]
