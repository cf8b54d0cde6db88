"""Answers a second of the app's executors without a page: `gan-studio bench replicas --no-page`.

The local executor with one and with several devices, and Ray Serve with as many replicas, one after another in one
process, each as the app's own flags make it (`demo.computing`). Visitors move sliders (`gan_core.benchmarks.sliders`),
the same at each. Beside what that needs, only `ray[serve]` is.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from demo import computing, gpu, settings, turns
from demo.hfgi import tasks
from demo.ray_executor import RayExecutor
from gan_core.benchmarks.sliders import Side, Turns, figures, visitors
from gan_core.hfgi.models import EMBEDDED, embedded_sliders, one_of_each_region

_BEGIN = 120.0  # seconds that all replicas have for starting and loading the model
_MORE = 4  # calls for each replica at once, so that each gets some


def compare(
    counts: Sequence[int],
    people: int,
    seconds: float,
    rounds: int,
    cpus: float = 1.0,
    gpus: float = 0.0,
    kill: Callable[[], object] | None = None,
) -> Iterator[dict[str, Any]]:
    """Figures of each executor with each of `counts` devices or replicas, as soon as they are there.

    cpus, gpus: of each replica; without gpus the local executor computes on the CPU, too, as many calls at once as
    there are replicas, each with as many threads. rounds: runs of each, of `seconds`. kill: is done in the middle of
    one more run of the last replicas, three times as long.
    """
    calls: list[Turns] = []
    replicas = f"--replica-cpus={cpus} --replica-gpus={gpus} --executor=ray --replicas="
    for name in ("local", "ray"):
        first = 0.0
        for count in counts:
            devices = ",".join(f"cuda:{index}" if gpus else "cpu" for index in range(count))
            elsewhere = f"--device={'auto' if gpus else 'cpu'} {replicas}{count}"
            flags = f"--device={devices}" if name == "local" else elsewhere
            began = time.monotonic()
            side = as_the_app(flags.split(), None if gpus else max(1, round(cpus)))
            try:
                calls = calls or visitors(EMBEDDED, people, 256)
                prepare(side, calls, count, min(1.0, seconds))
                prepared = round(time.monotonic() - began, 1)
                found = figures([side.run(calls, seconds) for _ in range(rounds)])
                first = first or found["answers a second"]
                ratio = round(found["answers a second"] / first, 2)
                head = {"executor": name, "devices": count, "visitors": people, "seconds to prepare": prepared}
                yield {**head, **found, "times the first": ratio}
                if kill and name == "ray" and count == counts[-1]:
                    yield {**head, "a replica killed": figures([side.run(calls, 3 * seconds, kill)])}
            finally:
                if isinstance(side.executor, RayExecutor):
                    side.executor.close()


def as_the_app(flags: Sequence[str], threads: int | None) -> Side:
    """The line and the executor that the app has with these flags, but a line that refuses nobody. threads: of PyTorch
    here; None: as the app has it."""
    wanted = settings.read(flags, {})
    computing.use(dataclasses.replace(wanted, limits=turns.Limits(requests=1 << 30, each=1 << 30)))
    side = Side(turns.line, gpu.executor())
    side.executor.devices()  # the line gets its seats
    if threads:
        torch.set_num_threads(threads)
    return side


def prepare(side: Side, calls: Sequence[Turns], count: int, seconds: float) -> None:
    """Until each of so many devices or replicas has the model and has drawn batches of all sizes; then a run of
    `seconds`. Raises RuntimeError when a replica does not come."""
    edit = calls[0](1)
    batches = tasks.warm_batches(EMBEDDED, edit.args[1], one_of_each_region(embedded_sliders()))

    def once(_: object = None) -> None:
        gpu.run(edit)
        gpu.run(batches)

    side.executor.on_each_device(once)
    deadline = time.monotonic() + _BEGIN
    while isinstance(side.executor, RayExecutor):
        with ThreadPoolExecutor(_MORE * count) as pool:
            list(pool.map(once, range(_MORE * count)))
        info = next(info for info in side.executor.models() if info.name == EMBEDDED)
        if len((info.device or "").split(", ")) >= count:
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {info.device} of {count} replicas computes")
    side.run(calls, seconds)
