"""The one timer of all benchmarks: runs of some work on any device, as a `torch.utils.benchmark` measurement.

`torch.utils.benchmark.Timer` runs the work many times for each number. Work measured here takes from a millisecond to
minutes, and the spread of single runs is of interest. Therefore single runs are timed here, with torch's benchmark
clock (which waits for the GPU first) or with CUDA events, and returned as its `Measurement`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.benchmark import Measurement, TaskSpec
from torch.utils.benchmark.utils.timer import timer

Work = Callable[[], object]


def clock(device: torch.device | str) -> float:
    """The clock in seconds, read after all work of the device has finished."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return timer()


def measure(
    work: Work, device: torch.device | str, *, repeats: int, warm_up: int = 3, events: bool = False
) -> Measurement:
    """Seconds of each of `repeats` runs (`raw_times`), after `warm_up` runs that are not counted.

    events: on a GPU, measure the time between CUDA events, without the host's work after the last launch.
    """
    device = torch.device(device)
    for _ in range(warm_up):
        work()
    seconds = _by_events if events and device.type == "cuda" else _by_clock
    times = [seconds(work, device) for _ in range(repeats)]
    return Measurement(number_per_run=1, raw_times=times, task_spec=TaskSpec(stmt="work()", setup="pass"))


def _by_clock(work: Work, device: torch.device) -> float:
    begin = clock(device)
    work()
    return clock(device) - begin


def _by_events(work: Work, device: torch.device) -> float:
    with torch.cuda.device(device):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000


def spread(measurement: Measurement, parts: int = 1) -> str:
    """Median, fastest and slowest run in milliseconds, divided by the number of parts (pictures) of a run."""
    fast, slow = min(measurement.raw_times), max(measurement.raw_times)
    median, fast, slow = (1000 * seconds / parts for seconds in (measurement.median, fast, slow))
    return f"median {median:.2f} ms ({fast:.2f} to {slow:.2f})"


def place(device: torch.device | str) -> str:
    """Name of the device for a person."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads"
