"""Answers a second with and without batching: `gan-studio bench batching`, or `python -m gan_core.benchmarks.batching`.

Each of sixteen visitors has a face of their own and moves a slider of "Edit a face" again and again; what each asks for
stands in the app's line and is computed by the app's executor. No page is started: beside this project only PyTorch,
safetensors, NumPy and Pillow are needed, and what a page does with a picture (putting the face back, encoding the file)
is not timed. One picture at a time and together are measured in turn, in one process with one model. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageChops

from demo import gpu, turns
from demo.executors import LocalExecutor
from demo.hfgi import tasks
from demo.turn_admission import Limits
from gan_core.benchmarks.timer import clock, place
from gan_core.hfgi.models import EMBEDDED, embedded_sliders
from gan_core.images import to_pil
from gan_core.model_spec import Load
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry, ModelSpec

PUBLISHED = "published size, random weights"
_PATIENT = Limits(requests=1 << 30, each=1 << 30, patience=float("inf"))


@dataclass
class SliderRun:
    """What so many visitors got in a time."""

    seconds: float
    times: list[float] = field(default_factory=list)
    """Seconds of each answer, as its visitor waited for it."""
    batches: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    line: turns.Line
    executor: LocalExecutor

    @classmethod
    def of(cls, registry: ModelRegistry, together: int) -> Side:
        """Over the same registry; the line is as the app makes it."""
        side = cls(turns.Line(limits=_PATIENT), LocalExecutor(registry, together=together))
        side.line.company = together
        side.executor.registries()
        return side

    def use(self) -> None:
        """What is computed from now on is computed here."""
        gpu.use(self.executor)
        turns.use(self.line)

    def answer(self, visitor: int, call: gpu.Call[Any]) -> Any:
        """As a page's handler does."""
        with self.line.join(f"visitor {visitor}", "slider") as request, request.turn(), turns.current(request):
            return gpu.run(call)

    def run(self, calls: Sequence[Callable[[int], gpu.Call[Any]]], seconds: float) -> SliderRun:
        """One visitor for each of `calls`, which make the call of each turn."""
        self.use()
        begin, run, lock = threading.Barrier(len(calls)), SliderRun(seconds), threading.Lock()
        collector = self.executor.collectors[0]
        before = Counter(collector.batches) if collector else Counter()

        def visit(number: int) -> None:
            begin.wait()
            end, turn = time.monotonic() + seconds, 0
            while (now := time.monotonic()) < end:
                turn += 1
                self.answer(number, calls[number](turn))
                done = time.monotonic()
                with lock:
                    if done <= end:
                        run.times.append(done - now)

        threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run.batches = Counter(collector.batches) - before if collector else Counter()
        return run


def published(load: Load) -> Any:
    """HFGI with networks of the published sizes, 1024 x 1024; the time does not depend on the weights."""
    from gan_core.benchmarks.overview import published_generator
    from gan_core.e4e.networks import Encoder4Editing
    from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
    from gan_core.hfgi.pipeline import EditDirection, HFGIPipeline

    generator = published_generator(torch.device("cpu"))
    attributes = {s.name: EditDirection(s.name, s.label, torch.randn(18, 512) / 20) for s in embedded_sliders()}
    modules = Encoder4Editing(), DistortionAlignment(), ConsultationEncoder()
    return HFGIPipeline(generator, *modules, torch.zeros(18, 512), attributes)


def random_picture(seed: int, size: int) -> Image.Image:
    """Smooth colours."""
    grid = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return to_pil(torch.nn.functional.interpolate(grid, (size, size), mode="bicubic").clamp(-1, 1))


def visitors(model: str, count: int, size: int) -> list[Callable[[int], gpu.Call[Any]]]:
    """For each visitor what makes the call of a turn: each has one of the sliders, with another value at each turn."""
    if model == EMBEDDED:
        faces = [picture for _, picture in gpu.run(tasks.random_faces(model, range(count)))]
    else:
        faces = [random_picture(seed, size) for seed in range(count)]
    names = [slider.name for slider in embedded_sliders()]

    def calls(number: int, face: Image.Image) -> Callable[[int], gpu.Call[Any]]:
        inversion = gpu.run(tasks.invert(model, face)).inversion
        name = names[number % len(names)]
        return lambda turn: tasks.edit(model, inversion, {name: 0.1 + 2.8 * ((turn * 37 + number * 11) % 97) / 97})

    return [calls(number, face) for number, face in enumerate(faces)]


def differences(alone: Side, together: Side, calls: Sequence[Callable[[int], gpu.Call[Any]]]) -> int:
    """Largest difference, in grey levels, between pictures drawn in a batch and drawn alone."""
    found: dict[int, Image.Image] = {}
    together.use()
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: together.answer(i, calls[i](1)).consulted}))
        for i in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone.use()
    single = [alone.answer(i, make(1)).consulted for i, make in enumerate(calls)]
    return max(int(np.asarray(ImageChops.difference(one, found[i])).max()) for i, one in enumerate(single))


def figures(runs: Sequence[SliderRun]) -> dict[str, Any]:
    """Of all runs of one side."""
    times = sorted(time for run in runs for time in run.times)
    batches: Counter[int] = sum((run.batches for run in runs), Counter())
    pieces = sum(size * count for size, count in batches.items())
    return {
        "answers a second": round(len(times) / sum(run.seconds for run in runs), 2),
        "in each run": [round(len(run.times) / run.seconds, 2) for run in runs],
        "milliseconds, median": round(1000 * statistics.median(times), 1),
        "milliseconds, 95 % within": round(1000 * times[int(0.95 * (len(times) - 1))], 1),
        "mean batch": round(pieces / batches.total(), 2) if batches else 1.0,
        "batches": dict(sorted(batches.items())),
    }


def measure(device: str, count: int, seconds: float, rounds: int, together: int, size: int) -> dict[str, Any]:
    """All figures by name."""
    registry = ModelRegistry((device,))
    declare_models(registry, Path("nowhere"))
    registry.declare(ModelSpec(PUBLISHED, published, 1024, "none"))
    model = EMBEDDED if size == 256 else PUBLISHED
    begun = clock(device)
    sides = alone, many = Side.of(registry, 1), Side.of(registry, together)
    alone.use()
    calls = visitors(model, count, size)
    many.use()
    inversion = calls[0](1).args[1]
    gpu.run(tasks.warm_batches(model, inversion, {embedded_sliders()[0].name: 1.0}))
    for side in sides:
        side.run(calls, min(1.0, seconds))
    prepared = clock(device) - begun
    runs: list[list[SliderRun]] = [[], []]
    for _ in range(rounds):
        for side, mine in zip(sides, runs, strict=True):
            mine.append(side.run(calls, seconds))
    one, all_of_them = map(figures, runs)
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.startswith("cuda") else None
    return {
        "where": place(device), "torch": torch.__version__, "model": model, "pixels": size, "visitors": count,
        "one at a time": one, "together": {"at most": together, **all_of_them},
        "ratio": round(all_of_them["answers a second"] / one["answers a second"], 2),
        "largest difference, grey levels of 255": differences(alone, many, calls),
        "seconds to prepare": round(prepared, 1), "memory of the device, GB": memory and round(memory, 2),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--visitors", type=int, default=16)
    parser.add_argument("--together", type=int, default=16, help="pictures of a batch at most")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each")
    parser.add_argument("--size", type=int, choices=(256, 1024), default=256, help="256: the embedded weights")
    parser.add_argument("--threads", type=int, default=2, help="on a CPU")
    options = parser.parse_args(arguments)
    device = "cuda:0" if options.device == "cuda" else options.device
    if device == "cpu":
        torch.set_num_threads(options.threads)
    found = measure(device, options.visitors, options.seconds, options.rounds, options.together, options.size)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
