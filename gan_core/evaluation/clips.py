"""Short clips of a face whose true movement is known: a photo that is moved, and a face of the generator that turns.

Each frame has sensor noise and a light that changes slowly, and is there without the noise as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from gan_core.faces.alignment import warp_affine
from gan_core.faces.finder import FaceFinder
from gan_core.faces.geometry import apply_affine, ffhq_quad, invert_affine, similarity_between
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.images import to_pil

CROP = 256  # side, pixels, of the aligned face
RATE = 25  # frames a second
_CORNERS = np.array([[0, 0], [0, CROP], [CROP, CROP], [CROP, 0]], np.float64)
_LIGHT, _LIGHT_HERTZ = 0.04, 0.7  # how much it changes, and how often
_SOFT = 0.05  # border over which a cut-out face fades into the backdrop, a share of its side


@dataclass(frozen=True)
class Clip:
    """frames: as a camera would give them. clean: the same without noise. places: for each frame the 2x3 map from the
    aligned face's pixels (CROP a side) to the frame's."""

    frames: list[Image.Image]
    clean: list[Image.Image]
    places: list[np.ndarray]


def moved_photo(
    face: Image.Image, finder: FaceFinder, *, count: int, still: bool, size: tuple[int, int] = (640, 480),
    noise: float = 2.0, seed: int = 0,
) -> Clip:  # fmt: skip
    """An aligned face on a plain backdrop that swings to the sides, nods, tilts and comes nearer; or keeps still.

    noise: standard deviation, grey levels.
    """
    scene = _before_backdrop(face.convert("RGB").resize((512, 512)), (900, 700), (194, 94))
    found = finder.find(scene)[0]
    unit = size[1] / 480

    def place(time: float) -> np.ndarray:
        turn = 2 * np.pi * time * (0 if still else 1)
        middle = size[0] / 2 + 70 * unit * np.sin(0.5 * turn), size[1] / 2 + 25 * unit * np.sin(0.8 * turn)
        angle, scale = 0.12 * np.sin(0.6 * turn), unit * (0.68 + 0.07 * np.sin(0.4 * turn))
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
        return np.concatenate([linear, (np.array(middle) - linear @ np.array([450.0, 350.0]))[:, None]], 1)

    def picture(time: float) -> Image.Image:
        to_scene = invert_affine(place(time))
        large = warp_affine(scene, to_scene * np.array([[0.5, 0.5, 1], [0.5, 0.5, 1]]), (2 * size[0], 2 * size[1]))
        return large.reduce(2)

    quad = ffhq_quad(found)
    places = [similarity_between(_CORNERS, apply_affine(place(i / RATE), quad)) for i in range(count)]
    return _filmed(picture, places, noise, seed)


def turning_face(
    pipeline: HFGIPipeline, *, count: int, size: tuple[int, int] = (640, 480), noise: float = 2.0, seed: int = 3
) -> Clip:
    """A face of the generator that looks to one side and to the other, along the direction "pose"."""
    codes, direction = pipeline.random_codes(seed), pipeline.attributes["pose"].direction.to(pipeline.device)
    side = round(0.75 * size[1])
    corner = (size[0] - side) // 2, (size[1] - side) // 2

    @torch.inference_mode()
    def picture(time: float) -> Image.Image:
        face = to_pil(pipeline.decode(codes - 2.5 * np.cos(np.pi * time) * direction))
        return _before_backdrop(face.resize((side, side), Image.Resampling.BICUBIC), size, corner)

    scale = side / CROP
    return _filmed(picture, [np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])] * count, noise, seed)


def _filmed(picture: Callable[[float], Image.Image], places: list[np.ndarray], noise: float, seed: int) -> Clip:
    random = np.random.default_rng(seed)
    frames: list[Image.Image] = []
    clean: list[Image.Image] = []
    for i in range(len(places)):
        light = 1 + _LIGHT * np.sin(2 * np.pi * _LIGHT_HERTZ * i / RATE)
        pixels = np.asarray(picture(i / RATE), np.float32) * light
        for shown, result in ((pixels, clean), (pixels + random.normal(0, noise, pixels.shape), frames)):
            result.append(Image.fromarray(np.clip(np.rint(shown), 0, 255).astype(np.uint8)))
    return Clip(frames, clean, places)


def _before_backdrop(face: Image.Image, size: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
    """A square face before the colour of its upper border."""
    colour = np.asarray(face)[:8].reshape(-1, 3).mean(0)
    inside = np.minimum(np.arange(face.width), np.arange(face.width)[::-1]) / (_SOFT * face.width)
    mask = Image.fromarray((255 * np.clip(np.minimum.outer(inside, inside), 0, 1)).astype(np.uint8))
    scene = Image.new("RGB", size, tuple(int(v) for v in colour))
    scene.paste(face, corner, mask)
    return scene
