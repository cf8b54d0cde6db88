"""The whole corpus, made anew whenever it is asked for."""

from __future__ import annotations

import functools
from typing import Any

import torch

from tests.hostile import checkpoints, compressed, found, masks, pickles, rasters, videos
from tests.hostile.cases import Case

PARTS = {
    rasters: {"image"},
    compressed: {"image"},
    masks: {"mask", "layer"},
    videos: {"video", "video to edit"},
    pickles: {"checkpoint"},
    checkpoints: {"checkpoint", "archive"},
    found: {"image", "video to edit", "checkpoint"},
}
"""Which kinds of cases each module makes."""


def of_kind(*kinds: str) -> list[Case]:
    """The cases of some kinds; only what makes them is asked."""
    cases = [case for part, makes in PARTS.items() if makes & set(kinds) for case in _cases(part)]
    return [case for case in cases if case.kind in kinds]


def corpus() -> list[Case]:
    """Every case, always in the same order and with the same bytes."""
    return [case for part in PARTS for case in _cases(part)]


@functools.cache
def _cases(part: Any) -> list[Case]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return part.cases()
