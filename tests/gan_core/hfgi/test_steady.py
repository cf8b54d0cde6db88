"""Editing the frames of a video steadily: on a stand-in for the pipeline, whose codes are what it sees."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.errors import BadValue
from gan_core.hfgi.steady import RunningFace, SteadyEditor
from gan_core.images import to_tensor


class Pipeline:
    """Its codes are the face's mean brightness; it draws pictures of the brightness of the codes plus the strengths."""

    device = torch.device("cpu")

    def __init__(self):
        self.inverted = []

    def codes_of(self, face):
        return face.mean().expand(1, 14, 8).clone()

    def inversion_of(self, face, codes):
        self.inverted.append((face, float(codes.mean())))
        return SimpleNamespace(codes=codes, restored=codes.mean().clamp(-1, 1).expand(1, 3, 64, 64))

    def edit(self, inversion, strengths, offset=None):
        more = 0 if offset is None else float(offset.mean())
        return (inversion.restored + sum(strengths.values()) + more).clamp(-1, 1)


def crop(level):
    return Image.new("RGB", (64, 64), (round(level),) * 3)


def edited(levels, rate=25, ahead=None):
    """The brightness of the codes of each frame, read as far ahead as the editor wants."""
    pipeline, editor = Pipeline(), SteadyEditor({"light": 0.2})
    times = [i / rate for i in range(len(levels))]
    behind = 0
    for i, level in enumerate(levels):
        editor.read(pipeline, 0, crop(level), times[i])
        while times[i] - times[behind] >= editor.ahead:
            editor.edit(pipeline, 0, times[behind])
            behind += 1
    for time in times[behind:]:
        editor.edit(pipeline, 0, time)
    return 127.5 * (np.array([codes for _, codes in pipeline.inverted]) + 1)


def test_codes_of_a_still_face_do_not_tremble():
    levels = 120 + np.random.default_rng(0).normal(0, 6, 40)
    assert np.diff(edited(levels)).std() < 0.2 * np.diff(levels).std()


def test_codes_of_a_face_that_changes_follow_without_lag():
    levels = 120 + 60 * np.sin(2 * np.pi * np.arange(40) / 40)
    assert np.abs(edited(levels) - levels)[5:-5].max() < 4


def test_what_is_edited_and_what_is_not():
    pipeline = Pipeline()
    editor = SteadyEditor({"light": 0.4}, offset=torch.full((1, 14, 8), 0.2))
    editor.read(pipeline, 0, crop(100), 0.0)
    picture, unchanged = editor.edit(pipeline, 0, 0.0)
    assert np.asarray(unchanged)[9, 9, 0] == 100
    assert abs(int(np.asarray(picture)[9, 9, 0]) - (100 + 0.6 * 127.5)) < 2
    for track, time in ((0, 0.0), (0, 1.0), (1, 0.0)):  # edited already, or never read
        with pytest.raises(BadValue, match="no frame"):
            editor.edit(pipeline, track, time)


def test_tracks_are_apart():
    pipeline, editor = Pipeline(), SteadyEditor({})
    for i in range(8):
        for track, level in enumerate((40, 200)):
            editor.read(pipeline, track, crop(level), i / 25)
    for track, level in enumerate((40, 200)):
        assert abs(np.asarray(editor.edit(pipeline, track, 0.12)[1])[9, 9, 0] - level) < 2


def textured(shift=0.0, seed=0):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :128]
    picture = 128 + 60 * np.sin((x - shift) / 9) + 40 * np.cos(y / 7) + 20 * np.sin((x - shift + y) / 5)
    return to_tensor(Image.fromarray(np.clip(picture[..., None] + random.normal(0, 5, (128, 128, 3)), 0, 255)
                                     .astype(np.uint8)))  # fmt: skip


def test_the_running_mean_has_less_noise_and_moves_along():
    running, clean = RunningFace(), 127.5 * (textured(20 * 0.8, seed=99) + 1)
    for i in range(21):
        mean = running.add(textured(0.8 * i, seed=i), i / 25)
    noise = (127.5 * (mean + 1) - clean).abs()[..., 20:-20, 20:-20].mean()
    alone = (127.5 * (textured(0.8 * 20, seed=20) + 1) - clean).abs()[..., 20:-20, 20:-20].mean()
    assert noise < 0.85 * alone


def test_the_running_mean_takes_what_is_new_as_it_is():
    running = RunningFace()
    for i in range(6):
        running.add(textured(seed=i), i / 25)
    other = to_tensor(Image.new("RGB", (128, 128), (250, 20, 20)))
    assert (running.add(other, 0.24) - other).abs().max() < 0.02
