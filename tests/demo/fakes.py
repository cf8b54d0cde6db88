"""A face editor without weights: fast, deterministic, and true to the contracts. For tests only."""

from __future__ import annotations

import contextlib
import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from demo import computing, gpu
from demo.executors import LocalExecutor
from gan_core.errors import BadValue, NoFaceFound, UnknownName
from gan_core.faces.geometry import face_from_points
from gan_core.hfgi.models import HFGIModel, Slider
from gan_core.hfgi.pipeline import EditDirection, Inversion
from gan_core.hfgi.refine import Refinement
from gan_core.registry import ModelRegistry, ModelSpec

SLIDERS = (
    Slider("smile", "Smile", note="corners of the mouth"),
    Slider("age", "Age"),
    Slider("pose", "Pose"),
    Slider("light", "Light from the side", kind="principal"),
)
MODEL = "fake/hfgi"
EDITORS = {"portraits": HFGIModel("portraits", "portraits (embedded)", MODEL, SLIDERS, 256, "CC0-1.0")}
REFINEMENT = 12
"""Steps of the fake refinement."""
SKIN = (224, 172, 105)


class FakePipeline(torch.nn.Module):
    """Edits brightness: by a tenth of the sum of strengths, consulted 0.02 lighter than plain."""

    resolution, pictures_at_once = 256, 16
    seconds = 0.1
    """For a step of refinement, so that it can be stopped."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((64,), 0.1))
        self.device = torch.device("cpu")
        self.attributes = {s.name: EditDirection(s.name, s.label, torch.zeros(14, 256)) for s in SLIDERS}
        self.inversions = self.edits = self.refinements = 0
        self.batches = []
        """How many edits were asked for at once, each time."""

    def invert(self, face):
        return self.inversion_of(face, self.codes_of(face))

    def inversion_of(self, face, codes):
        self.inversions += 1
        nothing = torch.zeros(1, 3, 256, 256)
        return Inversion(torch.zeros(1, 14, 256), face * 0.9, nothing, face, face, nothing[:, :2])

    def codes_of(self, face):
        """The face's mean colour, in each code."""
        return face.mean().expand(1, 14, 256).clone()

    def random_codes(self, seed):
        return torch.full((1, 14, 256), seed / 10)

    def decode(self, codes):
        return codes.mean().clamp(-1, 1).expand(1, 3, 256, 256)

    def refine(self, inversion):
        """Brings the plain inversion to the face in REFINEMENT steps, and doubles what edits do."""
        self.refinements += 1
        yield Refinement(0, REFINEMENT, 1.0, inversion)
        for step in range(1, REFINEMENT + 1):
            time.sleep(self.seconds)
            done = step / REFINEMENT
            found = None
            if step % 4 == 0:
                image = inversion.face * (0.9 + 0.1 * done)
                found = replace(inversion, image=image, tuned={"gain": torch.tensor(1 + done)}, refined=step)
            yield Refinement(step, REFINEMENT, 1 - done, found)

    def edit(self, inversion, strengths, *, consult=True, offset=None):
        self.edits += 1
        for name, strength in strengths.items():
            if name not in self.attributes:
                raise UnknownName(f"There is no attribute {name!r}.")
            if not -3 <= strength <= 3:
                raise BadValue("The strength is out of range.")
        base = inversion.face if consult else inversion.image
        gain = 0.1 * float(inversion.tuned.get("gain", 1.0))
        own = 0.0 if offset is None else float(offset.mean())
        return (base + gain * sum(strengths.values()) + own).clamp(-1, 1)

    def edit_together(self, edits):
        self.batches.append(len(edits))
        return [self.edit(e.inversion, e.strengths, consult=e.consult, offset=e.offset) for e in edits]


def specs():
    return [ModelSpec(MODEL, lambda load: FakePipeline(), 256, "CC0-1.0", title="the fake editor")]


def declare(registry, specs):
    for spec in specs:
        registry.declare(spec)
    return registry


def registry_of(specs):
    """A registry of these models, on the CPU."""
    return declare(ModelRegistry(lambda: ("cpu",)), specs)


def make_registry():
    return registry_of(specs())


class SentAway(LocalExecutor):
    """Runs calls here, but pickles each call and each of its steps, as an executor of other processes would."""

    def stream(self, call, progress):
        with contextlib.closing(super().stream(pickle.loads(pickle.dumps(call)), progress)) as steps:
            for step in steps:
                yield pickle.loads(pickle.dumps(step))


def run_here(monkeypatch, registry):
    """Have GPU tasks run over this registry, until the test is over."""
    monkeypatch.setattr(gpu, "_executor", SentAway(registry))


def draw_photo(size=(640, 480), faces=((320, 240, 90),)):
    """A photo with cartoon faces (x, y, radius), which `find_faces` below knows how to find."""
    width, height = size
    ramp = np.linspace(40, 120, width, dtype=np.uint8)
    picture = Image.fromarray(np.stack([np.tile(ramp, (height, 1))] * 3, -1))
    pen = ImageDraw.Draw(picture)
    for x, y, r in faces:
        pen.ellipse((x - r, y - 1.25 * r, x + r, y + 1.25 * r), fill=SKIN)
        for side in (-1, 1):
            eye_x, eye_y = x + side * 0.4 * r, y - 0.3 * r
            pen.ellipse((eye_x - r / 10, eye_y - r / 10, eye_x + r / 10, eye_y + r / 10), fill="black")
        pen.line((x - r / 3, y + r / 2, x + r / 3, y + r / 2), fill=(150, 30, 30), width=max(2, r // 15))
    return picture


def find_faces(image, **_options):
    """Faces of `draw_photo`, by the colour of their skin."""
    from scipy import ndimage

    mask = np.abs(np.asarray(image, np.int16) - SKIN).sum(-1) < 40
    labels, _ = ndimage.label(ndimage.binary_closing(mask, iterations=2))
    faces = []
    for rows, columns in ndimage.find_objects(labels):
        if rows.stop - rows.start < 40:
            continue
        x, r = (columns.start + columns.stop) / 2, (columns.stop - columns.start) / 2
        y = (rows.start + rows.stop) / 2
        faces.append(face_from_points((x - 0.4 * r, y - 0.3 * r), (x + 0.4 * r, y - 0.3 * r), (x, y + r / 2)))
    if not faces:
        raise NoFaceFound("No face was found in this picture. Try another one.")
    return sorted(faces, key=lambda face: -face.size)


class FakeFinder:
    """What a video asks of the finder."""

    def find(self, image):
        try:
            return find_faces(image)
        except NoFaceFound:
            return []

    def follow(self, image, points):
        return next(iter(self.find(image)), None)


def install(monkeypatch):
    """Put the fakes where the app looks for models and faces."""
    monkeypatch.setattr("gan_core.faces.finder.embedded_finder", lambda *_a, **_k: FakeFinder())
    monkeypatch.setattr("gan_core.faces.find_faces", find_faces)
    monkeypatch.setattr("demo.hfgi.tab.hfgi_models", lambda _folder: EDITORS)
    monkeypatch.setattr("demo.swapping_autoencoder.tab.swapping_autoencoder_models", lambda _folder: {})
    monkeypatch.setattr("demo.self_conditioned.tab.self_conditioned_models", lambda **_folders: {})
    monkeypatch.setattr("demo.comodgan.tab.comodgan_models", lambda _folder: {})
    monkeypatch.setattr("demo.insetgan.tab.insetgan_models", lambda _folder: {})
    monkeypatch.setattr("demo.computing.declare_models", lambda registry, _folder: declare(registry, specs()))


def install_beside(monkeypatch, more, name, models):
    """On top of `install`: declare `more` models, and have the function `name` give these choices of weights."""
    before = computing.declare_models

    def declare_all(registry, folder):
        before(registry, folder)
        declare(registry, more)

    monkeypatch.setattr(computing, "declare_models", declare_all)
    monkeypatch.setattr(name, lambda *_folders, **_named: models)


def save(picture, path, **options):
    """The picture as a file; its path as text."""
    picture.save(Path(path), **options)
    return str(path)
