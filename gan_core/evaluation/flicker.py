"""Measures how much an edited video flickers: `gan-studio evaluate flicker [--picture FILE ...]`.

Clips with known movement (`gan_core.evaluation.clips`) are written as H.264, edited as videos are, and read again. Each
frame is then warped to where the face truly is, so that a perfect clip would stand still, and in the face are measured

- flicker: the mean difference of consecutive frames, grey levels, after a slight blur (what is finer is noise), of the
  input and of the result. An edit that adds none has that of the input, written once more without any edit;
- error: the mean difference from the edit, frame by frame, of the clip without noise and with the true alignment. It
  grows with trembling and with lag alike.

Each edit is made frame by frame and steadily (`gan_core.hfgi.steady`). Without --picture the photos are two of the
app's examples, which the generator drew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan_core.evaluation.clips import CROP, RATE, Clip, moved_photo, turning_face
from gan_core.faces.alignment import AlignedFace, warp_affine
from gan_core.faces.finder import embedded_finder
from gan_core.faces.geometry import apply_affine, invert_affine
from gan_core.faces.paste import paste_back
from gan_core.faces.reference import reference_for
from gan_core.faces.video import edit_video
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.hfgi.regions import region_mask
from gan_core.hfgi.steady import SteadyEditor
from gan_core.images import to_pil, to_tensor
from gan_core.video.loops import write_loop

EDITS: tuple[dict[str, float], ...] = ({"smile": 2.0}, {"age": 2.5, "pose": 1.5}, {"mouth_open": 2.0})
_EXAMPLES = Path("demo/assets/examples")
_BLUR = 1.5  # standard deviation, pixels of the aligned face

Pictures = Sequence[Image.Image]


def flicker(frames: Pictures, clip: Clip) -> float:
    """Mean difference of consecutive frames in the face, grey levels."""
    faces = [
        gaussian_filter(_in_place(one, at), (_BLUR, _BLUR, 0)) for one, at in zip(frames, clip.places, strict=True)
    ]
    return float(np.mean([_mean(b - a) for a, b in zip(faces, faces[1:], strict=False)]))


def error(frames: Pictures, wanted: Pictures, clip: Clip) -> float:
    """Mean difference from the wanted frames in the face, grey levels."""
    pairs = zip(frames, wanted, clip.places, strict=True)
    return float(np.mean([_mean(_in_place(a, at) - _in_place(b, at)) for a, b, at in pairs]))


def _in_place(frame: Image.Image, place: np.ndarray) -> np.ndarray:
    return np.asarray(warp_affine(frame, place, (CROP, CROP)), np.float32)


def _mean(difference: np.ndarray) -> float:
    head = region_mask("head", CROP).numpy()
    return float((np.abs(difference).mean(-1) * head).sum() / head.sum())


def wanted(pipeline: HFGIPipeline, clip: Clip, strengths: Mapping[str, float]) -> list[Image.Image]:
    """The edit of each frame by itself, of the clip without noise and with the true alignment."""
    result = []
    for frame, place in zip(clip.clean, clip.places, strict=True):
        crop = warp_affine(frame, place, (CROP, CROP))
        edited, unchanged = _by_itself(pipeline, crop, strengths)
        quad = apply_affine(place, np.array([[0, 0], [0, CROP], [CROP, CROP], [CROP, 0]], float))
        aligned = AlignedFace(crop, quad, invert_affine(place), frame.size)
        result.append(paste_back(frame, aligned, edited, reference=reference_for(crop, unchanged, edited)))
    return result


def _by_itself(
    pipeline: HFGIPipeline, crop: Image.Image, strengths: Mapping[str, float]
) -> tuple[Image.Image, Image.Image]:
    inversion = pipeline.invert(to_tensor(crop))
    return to_pil(pipeline.edit(inversion, strengths)), to_pil(inversion.restored)


def edited(
    pipeline: HFGIPipeline, source: Path, target: Path, strengths: Mapping[str, float], *, steadily: bool
) -> list[Image.Image]:
    """The frames of an edited video."""
    if steadily:
        editor = SteadyEditor(strengths)
        edit_video(
            source, target, lambda crop, shot: editor.edit(pipeline, shot.track, shot.time),
            read=lambda crop, shot: editor.read(pipeline, shot.track, crop, shot.time), ahead=editor.ahead,
        )  # fmt: skip
    else:
        edit_video(source, target, lambda crop, _shot: _by_itself(pipeline, crop, strengths))
    return read_frames(target)


def read_frames(path: Path) -> list[Image.Image]:
    """All pictures of a video."""
    with av.open(str(path)) as container:
        return [frame.to_image(threads=1) for frame in container.decode(video=0)]


def clips(pipeline: HFGIPipeline, photos: Sequence[Path], count: int, noise: float) -> Iterator[tuple[str, Clip]]:
    """The clips by name: of each photo one that keeps still and one that moves, and the turning face."""
    finder = embedded_finder()
    for number, path in enumerate(photos, 1):
        for still in (True, False):
            with Image.open(path) as photo:
                kind = "still" if still else "moving"
                yield f"photo {number}, {kind}", moved_photo(photo, finder, count=count, still=still, noise=noise)
    yield "generated face, turning", turning_face(pipeline, count=count, noise=noise)


def measure(pipeline: HFGIPipeline, clip: Clip, strengths: Mapping[str, float], folder: Path) -> dict[str, float]:
    """Flicker of the input, of that written again, and of both ways to edit it; and the errors of these."""
    source, target = folder / "clip.mp4", folder / "edited.mp4"
    write_loop(clip.frames, source, rate=RATE, note="a clip for measuring")
    ideal = wanted(pipeline, clip, strengths)
    edit_video(source, target, lambda crop, _shot: crop)
    numbers = {"input": flicker(read_frames(source), clip), "written again": flicker(read_frames(target), clip)}
    for steadily, name in ((False, "frame by frame"), (True, "steady")):
        frames = edited(pipeline, source, target, strengths, steadily=steadily)
        numbers[name] = flicker(frames, clip)
        numbers[f"{name}, error"] = error(frames, ideal, clip)
    return numbers


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: a line of JSON for each clip and edit."""
    parser = argparse.ArgumentParser(prog="gan-studio evaluate flicker", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument(
        "--picture", type=Path, nargs="+", default=[_EXAMPLES / f"person_{i}.jpg" for i in (1003, 1059)]
    )
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--noise", type=float, default=2.0, help="grey levels")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    pipeline = load_embedded(options.weights, device=options.device)
    with tempfile.TemporaryDirectory() as folder:
        for name, clip in clips(pipeline, options.picture, options.frames, options.noise):
            for strengths in EDITS:
                numbers = measure(pipeline, clip, strengths, Path(folder))
                line = {"clip": name, "edit": strengths, **{key: round(value, 3) for key, value in numbers.items()}}
                print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
