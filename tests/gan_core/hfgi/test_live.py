"""Editing a live camera's face: on stand-ins for the pipeline and the finder."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.faces.following import FaceFollower
from gan_core.faces.geometry import face_from_five
from gan_core.hfgi.live import EVERY, LiveFaceEditor, LiveSliders
from tests.gan_core.faces.clips import cartoon_face

SMILE, NOTHING = LiveSliders({"smile": 0.3}), LiveSliders({})


class Inversion(SimpleNamespace):
    def to(self, _device):
        return self


class Pipeline:
    """Makes the face lighter by the strengths."""

    device, resolution = torch.device("cpu"), 128

    def __init__(self):
        self.encoded = self.edits = 0

    def codes_of(self, face):
        self.encoded += 1
        return face.mean().expand(1, 14, 8).clone()

    def inversion_of(self, face, codes):
        return Inversion(restored=face, codes=codes)

    def edit(self, inversion, strengths, offset=None):
        self.edits += 1
        return (inversion.restored + sum(strengths.values())).clamp(-1, 1)


class Finder:
    """Knows where the drawn faces are."""

    def __init__(self):
        self.faces = []

    def find(self, _image):
        return [face_from_five(points, 0.9) for points in self.faces]

    def follow(self, _image, points):
        near = [one for one in self.faces if np.hypot(*(one.mean(0) - points.mean(0))) < 40]
        return face_from_five(near[0], 0.9) if near else None


class Camera:
    """A camera of 20 frames a second, its finder, and a pipeline on a machine where a step takes `seconds`."""

    def __init__(self, seconds=0.0):
        self.pipeline, self.finder, self.time, self.now = Pipeline(), Finder(), 100.0, 0.0
        self.seconds = seconds
        self.editor = LiveFaceEditor(clock=self.clock)

    def clock(self):
        self.now += self.seconds
        return self.now

    def frame(self, sliders=SMILE, centre=(160.0, 120.0), there=True):
        picture, points = cartoon_face(centre=centre)
        self.finder.faces = [points] if there else []
        if not there:
            picture = Image.new("RGB", picture.size, (70, 90, 120))
        self.time += 0.05
        done = self.editor.frame(self.pipeline, self.finder, picture, self.time, sliders)
        change = np.asarray(done.picture, int).mean(-1) - np.asarray(picture, int).mean(-1)
        return done, change


def settled(camera, count=20, **options):
    for _ in range(count):
        done, change = camera.frame(**options)
    return done, change


def test_the_edit_is_where_the_face_is_and_moves_with_it():
    camera = Camera()
    _, change = settled(camera)
    assert change[120, 160] > 25 and abs(change[10, 10]) < 1
    encoded = camera.pipeline.encoded
    _, moved = camera.frame(centre=(160.5, 120.0))  # too little for inverting again
    assert camera.pipeline.encoded == encoded
    assert abs(moved - change).mean() < 1
    for step in range(8):
        _, moved = camera.frame(centre=(160 + 6.0 * step, 120))
    assert moved[120, 202] > 25 and moved[120, 120] < 15


def test_a_still_face_is_inverted_every_n_frames_and_a_slider_alone_only_edited():
    camera = Camera()
    for _ in range(EVERY * 3 + 1):
        camera.frame()
    assert camera.pipeline.encoded == 4
    edits = camera.pipeline.edits
    camera.frame(LiveSliders({"smile": 0.1}))
    assert camera.pipeline.encoded == 4 and camera.pipeline.edits == edits + 1
    done, change = settled(camera, 40, sliders=NOTHING)
    assert not done.edited and abs(change).max() == 0


def test_steps_that_take_long_are_spread_over_frames():
    slow = Camera(seconds=0.11)  # more than a frame's budget
    assert not any(slow.frame()[0].edited for _ in range(3))
    assert slow.frame()[0].edited, "encode, invert, edit, compare: a step a frame"
    quick = Camera()
    assert quick.frame()[0].edited


def test_no_face_then_it_comes_back_and_another_one():
    camera = Camera()
    settled(camera)
    for _ in range(10):
        done, change = camera.frame(there=False)
    assert (done.faces, done.edited) == (0, False) and abs(change).max() == 0
    inversions = done.inversions
    for _ in range(12):  # it is looked for twice a second
        done, _ = camera.frame()
    assert done.faces == 1 and done.edited
    for _ in range(12):
        done, _ = camera.frame(centre=(60.0, 120.0))  # somebody else, elsewhere
    assert done.inversions > inversions + 1 and done.edited


def test_a_face_that_is_too_small_is_said():
    camera = Camera()
    picture, points = cartoon_face()
    camera.finder.faces = [points * 0.1 + 100]
    done = camera.editor.frame(camera.pipeline, camera.finder, picture, 1.0, SMILE)
    assert "too small" in done.trouble and done.picture is picture


def test_it_can_be_sent_between_two_frames():
    camera = Camera()
    camera.editor = LiveFaceEditor()
    _, change = settled(camera, 6)
    camera.editor = pickle.loads(pickle.dumps(camera.editor))
    _, again = camera.frame()
    assert abs(again - change).mean() < 1 and camera.pipeline.encoded == 1


@pytest.mark.parametrize("time", [-5.0, 0.0, 1e12])
def test_a_clock_that_jumps_does_no_harm(time):
    camera = Camera()
    settled(camera, 5)
    camera.time = time
    done, _ = settled(camera, 30)
    assert done.edited


def test_a_following_that_trembles_is_steadied():
    random, follower, finder = np.random.default_rng(0), FaceFollower(), Finder()
    picture, points = cartoon_face()
    seen = []
    for i in range(40):
        finder.faces = [points + random.normal(0, 0.6, (5, 2))]
        seen.append(follower.feed(finder, picture, i / 25).points)
    assert np.diff(np.stack(seen[5:]), axis=0).std() < 0.5 * 0.6 * np.sqrt(2)


def test_sliders_are_compared_with_their_offset():
    offset = torch.ones(1, 14, 8)
    assert LiveSliders({"smile": 1.0}, offset).are(LiveSliders({"smile": 1.0}, offset.clone()))
    assert not LiveSliders({"smile": 1.0}, offset).are(LiveSliders({"smile": 1.0}))
    assert not LiveSliders({"smile": 1.0}).are(LiveSliders({"smile": 2.0}))
    assert not LiveSliders({}).are(None)
