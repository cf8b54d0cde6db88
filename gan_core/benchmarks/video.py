"""How fast a video is edited: `gan-studio bench video --device cuda`.

A clip of 1280 x 720 with a face of some 600 pixels that moves is edited as the page edits videos: finding and following
the face, inverting every frame steadily, editing, pasting, and writing H.264. Prints frames a second of all of it, and
the seconds of its parts, some of which are done at the same time in several threads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from gan_core.benchmarks.page import EXAMPLE
from gan_core.benchmarks.timer import clock, place
from gan_core.evaluation.clips import RATE, moved_photo
from gan_core.faces.finder import embedded_finder
from gan_core.faces.video import edit_video
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.hfgi.steady import SteadyEditor
from gan_core.threads import available_cores, use_available_cores
from gan_core.video.loops import write_loop

T = TypeVar("T")
STRENGTHS = {"smile": 2.0, "age": 1.0}
_WARM_UP = 12  # frames


class _Stopwatch:
    """Seconds in all that some work has taken, on a device."""

    def __init__(self, device: str) -> None:
        self.seconds, self._device = 0.0, device

    def timed(self, work: Callable[[], T]) -> T:
        begun = clock(self._device)
        result = work()
        self.seconds += clock(self._device) - begun
        return result


def edit(pipeline: HFGIPipeline, source: Path, target: Path, device: str) -> dict[str, float]:
    """Seconds by part: "all", "finding" the face, the "networks"."""
    editor, networks, found = SteadyEditor(STRENGTHS), _Stopwatch(device), [0.0]
    begun = time.perf_counter()

    def told(_share: float, what: str) -> None:
        if what == "Looking for faces":
            found[0] = time.perf_counter() - begun

    edit_video(
        source, target,
        lambda _crop, shot: networks.timed(lambda: editor.edit(pipeline, shot.track, shot.time)),
        read=lambda crop, shot: networks.timed(lambda: editor.read(pipeline, shot.track, crop, shot.time)),
        ahead=editor.ahead, progress=told,
    )  # fmt: skip
    return {"all": time.perf_counter() - begun, "finding": found[0], "networks": networks.seconds}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="gan-studio bench video", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    options = parser.parse_args(arguments)
    use_available_cores()
    pipeline, size = load_embedded(options.weights, device=options.device), tuple(options.size)
    sys.stdout.write(f"{place(options.device)}, {available_cores()} cores, {size[0]} x {size[1]} pixels\n")
    with tempfile.TemporaryDirectory() as folder, Image.open(EXAMPLE) as face:
        source, target = Path(folder) / "clip.mp4", Path(folder) / "edited.mp4"
        clip = moved_photo(face, embedded_finder(), count=options.frames, still=False, size=size)
        write_loop(clip.frames[:_WARM_UP], source, rate=RATE, note="a clip for measuring")
        edit(pipeline, source, target, options.device)
        write_loop(clip.frames, source, rate=RATE, note="a clip for measuring")
        for _ in range(options.runs):
            seconds = edit(pipeline, source, target, options.device)
            parts = ", ".join(f"{name} {1000 * value / options.frames:.0f}" for name, value in seconds.items())
            sys.stdout.write(f"{options.frames / seconds['all']:.1f} frames a second; milliseconds a frame: {parts}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
