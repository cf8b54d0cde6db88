"""Drawings as by a mouse: each is a drawing of its own, and what a portrait keeps of its lines is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_core.comodgan.drawings import drawing_of
from gan_core.evaluation.comodgan.doodles import COUNT, doodle, lines_missing, person


def test_each_is_another_one_and_the_same_again() -> None:
    pictures = [np.asarray(doodle(number)) for number in range(COUNT)]
    assert all(np.array_equal(pictures[n], np.asarray(doodle(n))) for n in (0, 7))
    assert len({picture.tobytes() for picture in pictures}) == COUNT
    assert {person(number).hair for number in range(COUNT)} == {"short", "long", "bald", "curls", "fringe", "bun"}
    for picture in pictures:  # lines, and not a picture of which the page would take the edges
        assert 0.01 < (picture < 128).mean() < 0.15


def test_lines_missing() -> None:
    drawing = torch.nn.functional.interpolate(drawing_of(doodle(6))[None], (256, 256), mode="area")[0]
    followed = (0.6 - 1.2 * drawing).expand(3, -1, -1)
    empty = torch.full((3, 256, 256), 0.6)
    assert lines_missing(followed, drawing) < 0.2
    assert lines_missing(empty, drawing) == pytest.approx(1, abs=1e-3)
    assert lines_missing(followed.roll(60, 1), drawing) > 0.4, "lines elsewhere do not count"
