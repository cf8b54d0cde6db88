"""Measuring flicker: the clips move as they say, and what flickers or lags is seen as such."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.benchmarks import video as bench
from gan_core.evaluation.clips import moved_photo
from gan_core.evaluation.flicker import error, flicker, measure
from gan_core.faces.finder import embedded_finder

EXAMPLE = "demo/assets/examples/person_1003.jpg"


@pytest.fixture(scope="module")
def clip():
    with Image.open(EXAMPLE) as photo:
        return moved_photo(photo, embedded_finder(), count=6, still=False, size=(320, 240), noise=3.0)


def brighter(pictures, levels):
    return [Image.fromarray(np.clip(np.asarray(one, int) + level, 0, 255).astype(np.uint8))
            for one, level in zip(pictures, levels, strict=True)]  # fmt: skip


def test_places_are_where_the_face_is(clip):
    still = SimpleNamespace(places=[clip.places[0]] * 6)
    assert flicker(clip.clean, clip) < 0.3 * flicker(clip.clean, still)
    assert error(clip.frames, clip.clean, clip) > 1
    assert error(clip.clean, clip.clean, clip) == 0


def test_flicker_and_lag_are_seen(clip):
    steady, trembling = brighter(clip.clean, [5] * 6), brighter(clip.clean, [0, 8] * 3)
    assert abs(flicker(steady, clip) - flicker(clip.clean, clip)) < 0.1
    assert flicker(trembling, clip) > flicker(clip.clean, clip) + 4
    late = [clip.clean[0], *clip.clean[:-1]]
    assert error(late, clip.clean, clip) > 2


class Pipeline:
    """Makes faces lighter or darker, by codes that tremble."""

    device, resolution = torch.device("cpu"), 256

    def __init__(self):
        self.random = np.random.default_rng(0)

    def codes_of(self, _face):
        return torch.tensor(self.random.normal(0, 0.08, (1, 1, 1)), dtype=torch.float32)

    def inversion_of(self, face, codes):
        return SimpleNamespace(restored=face, codes=codes)

    def invert(self, face):
        return self.inversion_of(face, self.codes_of(face))

    def edit(self, inversion, strengths, offset=None):
        return (inversion.restored + sum(strengths.values()) + inversion.codes.mean()).clamp(-1, 1)


def test_both_ways_are_measured(clip, tmp_path):
    numbers = measure(Pipeline(), clip, {"light": 0.0}, tmp_path)
    added = {way: numbers[way] - numbers["written again"] for way in ("frame by frame", "steady")}
    assert added["frame by frame"] > 1 and added["steady"] < 0.7 * added["frame by frame"]
    assert set(numbers) == {"input", "written again", "frame by frame", "frame by frame, error", "steady",
                            "steady, error"}  # fmt: skip


def test_the_benchmark_of_videos_runs(monkeypatch, capsys):
    monkeypatch.setattr(bench, "load_embedded", lambda *_arguments, **_named: Pipeline())
    monkeypatch.setattr(bench, "_WARM_UP", 2)
    assert bench.main(["--frames", "4", "--runs", "1", "--size", "320", "240"]) == 0
    written = capsys.readouterr().out
    assert "320 x 240" in written and "frames a second" in written and "networks" in written
