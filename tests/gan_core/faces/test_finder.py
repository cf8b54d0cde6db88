"""The finder's parts, and the shipped weights on generated faces (nobody real)."""

import time

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, BadValue, FaceTooSmall, NoFaceFound, WeightsMissing
from gan_core.faces import align, find_faces
from gan_core.faces import facexlib_backend as facexlib_faces
from gan_core.faces.finder import WEIGHTS, FaceFinder, embedded_finder, fuse
from gan_core.faces.geometry import face_from_five
from gan_core.faces.networks import (
    LANDMARKS,
    MIRROR,
    LandmarkRefiner,
    five_from_landmarks,
)
from gan_core.stylegan2 import Generator

GENERATOR = WEIGHTS.parents[1] / "portraits_face" / "generator.safetensors"


@pytest.fixture(scope="module")
def portraits():
    """Six generated faces at 256 pixels, aligned as FFHQ."""
    generator = build_from_file(Generator, GENERATOR, "generator")[0].eval()
    z = torch.randn(6, generator.config["z_dim"], generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        images = generator(z, psi=0.6, noise="const")
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(p) for p in pixels]


def wall(width=1280, height=720):
    """A face-free backdrop."""
    random = np.random.default_rng(1)
    colours = random.integers(60, 200, (5, 8, 3), np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)


def test_mirroring_pairs_left_with_right():
    assert sorted(MIRROR) == list(range(len(LANDMARKS)))
    assert all(MIRROR[MIRROR[i]] == i for i in range(len(LANDMARKS)))
    assert MIRROR[LANDMARKS.index(61)] == LANDMARKS.index(291)
    assert MIRROR[LANDMARKS.index(33)] == LANDMARKS.index(263)


def test_folding_normalisation_changes_nothing():
    refiner = LandmarkRefiner(8)
    with torch.no_grad():
        refiner(torch.randn(8, 3, 128, 128))  # running statistics off their start
    refiner.eval()
    x = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        before = refiner(x)[0]
        assert torch.allclose(fuse(refiner)(x)[0], before, atol=1e-5)


def test_five_points_from_landmarks():
    points = torch.rand(1, len(LANDMARKS), 2)
    five = five_from_landmarks(points)
    assert torch.allclose(five[0, 0], points[0, :6].mean(0))
    assert torch.equal(five[0, 3], points[0, LANDMARKS.index(61)])


@pytest.mark.parametrize("side", [75, 180, 400, 700])
def test_finds_a_generated_face_at_any_size(portraits, side):
    """From a face of about 40 pixels to one as high as the picture; the points give the square back."""
    for i, portrait in enumerate(portraits[:3]):
        photo = wall()
        at = (100 + 150 * i, min(30 + 40 * i, 720 - side))
        photo.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), at)
        faces = find_faces(photo, backend="embedded")
        assert len(faces) == 1
        quad = align(photo, faces[0], 256).quad
        wanted = np.array([[0, 0], [0, side], [side, side], [side, 0]]) + at
        assert np.hypot(*(quad - wanted).T).mean() < 0.08 * side


def test_finds_several_faces_largest_first(portraits):
    photo = wall()
    for portrait, side, at in zip(portraits, (150, 320, 90), ((60, 80), (500, 200), (1000, 100)), strict=False):
        photo.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), at)
    faces = find_faces(photo, backend="embedded")
    assert len(faces) == 3
    sizes = [face.size for face in faces]
    assert sizes == sorted(sizes, reverse=True)
    assert 500 < faces[0].points[0, 0] < 820


def test_an_aligned_crop_is_its_own_alignment(portraits):
    for portrait in portraits:
        quad = align(portrait, find_faces(portrait, backend="embedded")[0], 256).quad
        corners = np.array([[0, 0], [0, 256], [256, 256], [256, 0]])
        assert np.hypot(*(quad - corners).T).mean() < 0.07 * 256


def test_turned_faces_come_out_upright(portraits):
    photo = wall()
    turned = portraits[0].resize((360, 360)).rotate(30, expand=True, fillcolor=(120, 120, 120))
    photo.paste(turned, (300, 100))
    face = find_faces(photo, backend="embedded")[0]
    eyes = face.points[1] - face.points[0]
    assert abs(np.degrees(np.arctan2(-eyes[1], eyes[0])) - 30) < 6


@pytest.mark.parametrize(
    "picture",
    [
        wall(),
        Image.new("RGB", (1280, 720), (200, 160, 140)),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (40, 3000)),
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)),
    ],
)
def test_no_face_where_there_is_none(picture):
    with pytest.raises(NoFaceFound, match="Try another one.$"):  # not every caller lets a face be marked
        find_faces(picture, backend="embedded")


def test_a_tiny_face_is_named_too_small(portraits, monkeypatch):
    tiny = face_from_five(np.array([[10, 10], [17, 10], [13, 14], [11, 17], [16, 17.0]]), 0.9)
    monkeypatch.setattr(FaceFinder, "find", lambda self, image: [tiny])
    with pytest.raises(FaceTooSmall):
        find_faces(wall(), backend="embedded")


def test_a_large_photo_and_other_modes(portraits):
    photo = wall(4000, 3000)
    photo.paste(portraits[0].resize((1500, 1500)), (1200, 700))
    assert len(find_faces(photo, backend="embedded")) == 1
    assert len(find_faces(portraits[0].convert("L"), backend="embedded")) == 1


def test_reads_a_webcam_photo_in_time(portraits):
    """Issue 2, point 5: under 0.3 s on two cores; the bound is doubled for a busy machine."""
    photo = wall()
    photo.paste(portraits[0].resize((360, 360)), (400, 200))
    finder = embedded_finder()
    finder.find(photo)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        finder.find(photo)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.6


def test_weights_are_small():
    assert WEIGHTS.stat().st_size < 4_000_000


def test_unknown_backend_and_missing_or_damaged_weights(tmp_path):
    with pytest.raises(BadValue):
        find_faces(wall(), backend="magic")
    with pytest.raises(WeightsMissing):
        FaceFinder.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing like it")
    with pytest.raises(BadCheckpoint):
        FaceFinder.load(tmp_path / "bad.safetensors")


def test_facexlib_is_used_where_its_weights_are(tmp_path, monkeypatch):
    """With stand-in weights: the network loads strictly; nonsense in their place is named."""
    from facexlib.detection import retinaface

    monkeypatch.setenv("STUDIO_WEIGHTS", str(tmp_path))
    network = retinaface.RetinaFace(network_name="mobile0.25", device=torch.device("cpu"))
    path = tmp_path / "detection_mobilenet0.25_Final.pth"
    torch.save({"module." + key: value for key, value in network.state_dict().items()}, path)
    assert facexlib_faces.weights_present(tmp_path) == ("mobile0.25", path)
    finder = facexlib_faces.FacexlibFinder("mobile0.25", path)
    assert isinstance(finder.find(wall(320, 200)), list)
    path.write_bytes(b"nonsense")
    facexlib_faces.facexlib_finder.cache_clear()
    with pytest.raises(BadCheckpoint):
        find_faces(wall(320, 200), backend="facexlib", weights=tmp_path)


def test_facexlib_asked_for_and_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(facexlib_faces, "weights_present", lambda folder=None: None)
    with pytest.raises(WeightsMissing):
        find_faces(wall(), backend="facexlib", weights=tmp_path)


def test_a_film_of_a_generated_face(portraits, tmp_path):
    """The whole way with the real finder: every frame edited, the square steady while the face moves."""
    from gan_core.faces.video import edit_video
    from tests.gan_core.faces.clips import write_clip

    frames = []
    for i in range(12):
        frame = wall(480, 360)
        frame.paste(portraits[1].resize((220, 220), Image.Resampling.LANCZOS), (60 + 6 * i, 80))
        frames.append(frame)
    crops = []

    def keep(crop, number):
        crops.append(np.asarray(crop, float))
        return crop

    result = edit_video(write_clip(tmp_path / "in.mp4", frames), tmp_path / "out.mp4", keep, size=128)
    assert result.edited == len(crops) == 12
    assert np.abs(np.diff(np.stack(crops), axis=0))[:, 40:110, 30:98].mean() < 6
