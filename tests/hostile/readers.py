"""Each case through the project's own readers, as the app calls them.

A reader returns a word on what it read, after checking that it is sound, or raises. `fuzz.py` and `child.py` use these.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from demo.comodgan.mask import sent_mask, transparent
from demo.parts.painting import painted, painted_strength
from demo.parts.uploads import MAX_PIXELS
from gan_core.checkpoints import converted, library, store
from gan_core.checkpoints.formats import MODULES
from gan_core.checkpoints.places import describe
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import StudioError
from gan_core.faces.geometry import face_from_points
from gan_core.faces.video import edit_video
from gan_core.images import MAX_SIDE, open_image
from gan_core.video.container import frames, opened, stated_length, upright
from tests.hostile.masks import PICTURE
from weights.published import published

_SECONDS = 20.0


class Middle:
    """Finds one face in the middle of every picture."""

    def find(self, image: Image.Image) -> list[Any]:
        """One face."""
        x, y, r = image.width / 2, image.height / 2, min(image.size) * 0.35
        return [face_from_points((x - r / 2, y - r / 3), (x + r / 2, y - r / 3), (x, y + r / 2))]

    def follow(self, image: Image.Image, points: Any) -> Any:
        """The same."""
        return self.find(image)[0]


def read_image(path: Path) -> str:
    """Open a picture as every tab does, from its bytes and from its path."""
    data = path.read_bytes()
    picture = open_image(data, max_pixels=MAX_PIXELS)
    width, height = picture.size
    assert picture.mode == "RGB" and picture.info == {} and not picture.getexif()
    assert min(picture.size) >= 32 and max(picture.size) <= MAX_SIDE and width * height <= MAX_PIXELS
    if len(data) < 4000:  # the same twice; large ones once
        assert open_image(path, max_pixels=MAX_PIXELS).tobytes() == picture.tobytes()
        clear = transparent(data, picture)
        assert clear is None or (clear.shape == (height, width) and clear.any())
    return f"{width} x {height}"


def read_mask(path: Path) -> str:
    """Read a mask that is sent with a picture."""
    marked = sent_mask(path.read_bytes(), PICTURE)
    assert marked.shape == PICTURE[::-1] and marked.dtype == bool and marked.any()
    return f"{marked.mean():.0%} marked"


def read_layer(path: Path) -> str:
    """Read what was painted in the image editor, as a mask and as its strength."""
    strength = painted_strength([str(path)], PICTURE)
    assert strength.shape == PICTURE[::-1] and 0 <= strength.min() <= strength.max() <= 1
    mask = painted([str(path)], PICTURE)
    assert mask is None or (mask.shape == PICTURE[::-1] and mask.dtype == bool and mask.any())
    return f"{strength.mean():.0%} painted"


def read_frames(path: Path) -> str:
    """Read every picture of a video."""
    count = 0
    with opened(path) as container:
        stated_length(container, _SECONDS)
        for frame in frames(container, _SECONDS):
            picture = upright(frame)
            assert picture.mode == "RGB" and max(picture.size) <= 4096
            count += 1
    return f"{count} frames"


def edit(path: Path) -> str:
    """Read every picture of a video and edit it; the result exists when it is complete, or not at all."""
    read_frames(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        target = Path(name) / "edited.mp4"
        try:
            result = edit_video(path, target, lambda crop, number: crop, size=32, finder=Middle())
        except StudioError:
            assert list(target.parent.iterdir()) == []
            raise
        assert [one.name for one in target.parent.iterdir()] == ["edited.mp4"]
        again = read_frames(target)
        assert int(again.split()[0]) == result.frames, f"{again} of {result.frames}"
    return again


def _check_tree(value: Any, depth: int = 0) -> None:
    """Only tensors and plain values, as deep as the reader promises. Each object once would do, but trees are small."""
    if isinstance(value, torch.Tensor):
        assert type(value) is torch.Tensor and value.device.type == "cpu"
        if value.numel():
            value.reshape(-1)[-1].item()  # its memory is there
    elif isinstance(value, Mapping) and depth < 12:
        for item in list(value.values())[:200]:
            _check_tree(item, depth + 1)
    elif isinstance(value, list) and depth < 12:
        for item in value[:2]:
            _check_tree(item, depth + 1)
    else:
        plain = (str, int, float, bool, bytes, bytearray, dict, list, type(None))
        assert isinstance(value, plain), type(value)


def read_checkpoint(path: Path) -> str:
    """Read a file as a published checkpoint: tell what it is, build it, convert it. First read it as an own one."""
    refusals = []
    for reader in (store.read, _read_converted):
        try:
            reader(path)
        except StudioError as error:
            refusals.append(error)
    assert isinstance(describe(path), dict)
    tree = read_tensors(path)
    _check_tree(tree)
    found = library.recognise_tensors(tree, path, path.name)
    built = library.build_for_use(tree)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        target = Path(name) / "model.safetensors"
        try:
            converted.write(built, target)
        except StudioError:
            assert list(target.parent.iterdir()) == []
            raise
        assert [one.name for one in target.parent.iterdir()] == [target.name]
        converted.read(target, MODULES[built.format])
    return found.what


def _read_converted(path: Path) -> None:
    kind = describe(path).get("format", "")
    converted.read(path, MODULES[kind if isinstance(kind, str) and kind in MODULES else "nvidia_stylegan2"])


def read_archive(path: Path) -> str:
    """Unpack the archive of a published model; nothing is left but what was installed, or the archive as it came."""
    model = published("swapping_models")
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        root = Path(name) / "weights"
        (root / model.name).mkdir(parents=True)
        (root / model.name / model.files[0].file).write_bytes(path.read_bytes())
        try:
            library.unpack(model.name, root)
        finally:
            left = [one for one in Path(name).rglob("*") if one.is_file()]
            assert not [one for one in left if one.name != model.files[0].file and "model" not in one.name], left
    return "unpacked"


READERS: dict[str, Callable[[Path], str]] = {
    "image": read_image,
    "mask": read_mask,
    "layer": read_layer,
    "video": read_frames,
    "video to edit": edit,
    "checkpoint": read_checkpoint,
    "archive": read_archive,
}
"""By the kind of a case."""

MEMORY = {
    "image": 900,
    "mask": 900,
    "layer": 900,
    "video": 1200,
    "video to edit": 1200,
    "checkpoint": 400,
    "archive": 400,
}
"""Megabytes beyond what the process has before: the largest picture that is allowed takes most of them."""
