"""Answers a second with and without batching: `gan-studio bench batching`, or `python -m gan_core.benchmarks.batching`.

Sixteen visitors move sliders (`gan_core.benchmarks.sliders`); no page is started. One picture at a time and together
are measured in turn, in one process with one model. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageChops

from demo import gpu, turns
from demo.executors import LocalExecutor
from demo.hfgi import tasks
from demo.turn_admission import Limits
from gan_core.benchmarks.sliders import Side, SliderRun, Turns, figures, visitors
from gan_core.benchmarks.timer import clock, place
from gan_core.hfgi.models import EMBEDDED, embedded_sliders, one_of_each_region
from gan_core.model_spec import Load
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry, ModelSpec
from gan_core.threads import use_available_cores

PUBLISHED = "published size, random weights"
_PATIENT = Limits(requests=1 << 30, each=1 << 30, patience=float("inf"))


def side(registry: ModelRegistry, together: int) -> Side:
    """Over the registry; the line is as the app makes it."""
    executor, line = LocalExecutor(registry, together=together), turns.Line(limits=_PATIENT)
    line.company = together
    executor.registries()
    return Side(line, executor)


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


def differences(alone: Side, together: Side, calls: Sequence[Turns]) -> int:
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


def measure(device: str, count: int, seconds: float, rounds: int, together: int, size: int) -> dict[str, Any]:
    """All figures by name."""
    registry = ModelRegistry((device,))
    declare_models(registry, Path("nowhere"))
    registry.declare(ModelSpec(PUBLISHED, published, 1024, "none"))
    model = EMBEDDED if size == 256 else PUBLISHED
    begun = clock(device)
    sides = alone, many = side(registry, 1), side(registry, together)
    alone.use()
    calls = visitors(model, count, size)
    many.use()
    inversion = calls[0](1).args[1]
    gpu.run(tasks.warm_batches(model, inversion, one_of_each_region(embedded_sliders())))
    for one_side in sides:
        one_side.run(calls, min(1.0, seconds))
    prepared = clock(device) - begun
    runs: list[list[SliderRun]] = [[], []]
    for _ in range(rounds):
        for one_side, mine in zip(sides, runs, strict=True):
            mine.append(one_side.run(calls, seconds))
    one, all_of_them = map(figures, runs)
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.startswith("cuda") else None
    return {
        "where": place(device), "torch": torch.__version__, "threads": torch.get_num_threads(),
        "model": model, "pixels": size, "visitors": count,
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
    else:
        use_available_cores()  # as the app does: more threads than a container may run stop each other
    found = measure(device, options.visitors, options.seconds, options.rounds, options.together, options.size)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
