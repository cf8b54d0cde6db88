"""Visitors who move sliders of "Edit a face", without a page.

Each has a face of their own and asks again as soon as they are answered; what each asks for stands in the app's line
and is computed by the app's executor. Beside this project only PyTorch, safetensors, NumPy and Pillow are needed, and
what a page does with a picture (putting the face back, encoding the file) is not timed.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from demo import gpu, turns
from demo.executors import LocalExecutor
from demo.hfgi import tasks
from gan_core.hfgi.models import EMBEDDED, embedded_sliders
from gan_core.images import to_pil

Turns = Callable[[int], gpu.Call[Any]]
"""A visitor: the call of each of their turns, a different one at each."""


@dataclass
class SliderRun:
    """What so many visitors got in a time."""

    seconds: float
    times: list[float] = field(default_factory=list)
    """Seconds of each answer, as its visitor waited for it."""
    batches: Counter[int] | None = None
    """How many of how many pieces; None where that is not known: in other processes."""
    wrong: list[str] = field(default_factory=list)
    """What was said instead of an answer."""


@dataclass(frozen=True)
class Side:
    """One of those that are compared."""

    line: turns.Line
    executor: gpu.Executor

    def use(self) -> None:
        """What is computed from now on is computed here."""
        gpu.use(self.executor)
        turns.use(self.line)

    def answer(self, visitor: int, call: gpu.Call[Any]) -> Any:
        """As a page's handler does."""
        with self.line.join(f"visitor {visitor}", "slider") as request, request.turn(), turns.current(request):
            return gpu.run(call)

    def run(
        self, calls: Sequence[Turns], seconds: float, in_the_middle: Callable[[], object] | None = None
    ) -> SliderRun:
        """One visitor for each of `calls`."""
        self.use()
        begin, run, lock = threading.Barrier(len(calls) + 1), SliderRun(seconds), threading.Lock()
        before = self._batches()

        def visit(number: int) -> None:
            begin.wait()
            end, turn = time.monotonic() + seconds, 0
            while (now := time.monotonic()) < end:
                turn += 1
                wrong = None
                try:
                    self.answer(number, calls[number](turn))
                except Exception as error:  # any: it is counted
                    wrong = f"{type(error).__name__}: {error}"
                    time.sleep(0.1)
                done = time.monotonic()
                with lock:
                    if wrong:
                        run.wrong.append(wrong)
                    elif done <= end:
                        run.times.append(done - now)

        threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(len(calls))]
        for thread in threads:
            thread.start()
        begin.wait()
        if in_the_middle:
            time.sleep(seconds / 2)
            in_the_middle()
        for thread in threads:
            thread.join()
        if isinstance(self.executor, LocalExecutor):
            run.batches = self._batches() - before
        return run

    def _batches(self) -> Counter[int]:
        collectors = self.executor.collectors if isinstance(self.executor, LocalExecutor) else ()
        return sum((collector.batches for collector in collectors if collector), Counter())


def random_picture(seed: int, size: int) -> Image.Image:
    """Smooth colours."""
    grid = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return to_pil(torch.nn.functional.interpolate(grid, (size, size), mode="bicubic").clamp(-1, 1))


def visitors(model: str, count: int, size: int) -> list[Turns]:
    """For each visitor what makes the call of a turn: each has one of the sliders, with another value at each turn."""
    if model == EMBEDDED:
        faces = [picture for _, picture in gpu.run(tasks.random_faces(model, range(count)))]
    else:
        faces = [random_picture(seed, size) for seed in range(count)]
    names = [slider.name for slider in embedded_sliders()]

    def calls(number: int, face: Image.Image) -> Turns:
        inversion = gpu.run(tasks.invert(model, face)).inversion
        name = names[number % len(names)]
        return lambda turn: tasks.edit(model, inversion, {name: 0.1 + 2.8 * ((turn * 37 + number * 11) % 97) / 97})

    return [calls(number, face) for number, face in enumerate(faces)]


def figures(runs: Sequence[SliderRun]) -> dict[str, Any]:
    """Of all runs of one side."""
    times = sorted(time for run in runs for time in run.times)
    wrong = [text for run in runs for text in run.wrong]
    if not times:
        raise RuntimeError(f"nobody was answered: {wrong[:1] or 'the time was too short'}")
    found: dict[str, Any] = {
        "answers a second": round(len(times) / sum(run.seconds for run in runs), 2),
        "in each run": [round(len(run.times) / run.seconds, 2) for run in runs],
        "milliseconds, median": round(1000 * statistics.median(times), 1),
        "milliseconds, 95 % within": round(1000 * times[math.ceil(0.95 * len(times)) - 1], 1),
        "failed": len(wrong),
    }
    if wrong:
        found["what was said"] = sorted(set(wrong))
    known = [run.batches for run in runs if run.batches is not None]
    if known:
        batches: Counter[int] = sum(known, Counter())
        pieces = sum(size * count for size, count in batches.items())
        found["mean batch"] = round(pieces / batches.total(), 2) if batches else 1.0
        found["batches"] = dict(sorted(batches.items()))
    return found
