"""Every published model at full size, with random weights in the published layout, through the path of a real file.

    python -m tests.published_sizes [NAME ...] [--device cpu] [--update]
    python -m tests.published_sizes --device cuda,cpu --threads 2 --jobs 8 --results FILE --limit 170
    python -m tests.published_sizes --merge FILE

For each model a stand-in checkpoint (`tests/published_stand_ins.py`) is installed as the Models page installs it and
used as the app does. What one use took, and the most memory, are written to --results; --update writes them to
weights/tried.json, which docs/weights.md quotes, and --merge joins another machine's results with those. A model that
fails is noted with its reason, and the next one is run. On a CPU each model has a process of its own, whose memory is
the most that it held; on a GPU one process runs all, and memory is the most that a model had allocated.
Without --jobs one model is on the disk at a time; with it all are, and that many are made, or run on the CPU, at once.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from gan_core.checkpoints.library import install
from tests.published_stand_ins import CASES

TRIED = Path(__file__).resolve().parents[1] / "weights" / "tried.json"
PATIENCE = 300.0  # seconds that one model may take
_WARM, _TIMED = 2, 3  # uses on a GPU before those that are timed, whose median counts, and how many those are
_FORK = multiprocessing.get_context("fork")  # children have torch imported; this process never computes with it


def put(name: str, root: Path) -> float:
    """Install a stand-in; the seconds that the conversion took."""
    case = CASES[name]
    path = root / f"stand_in_{name.replace('/', '_')}.bin"
    torch.save(case.make(), path)
    begin = time.monotonic()
    install(path, case.place, root)
    seconds = time.monotonic() - begin
    path.unlink()
    for file, value in case.beside().items():
        torch.save(value, case.place.folder(root) / file)
    return round(seconds, 1)


def measure(name: str, root: Path, device: str) -> dict[str, Any]:
    """Load an installed model and use it. Seconds and bytes."""
    on_gpu = device != "cpu"
    before = 0
    if on_gpu:
        torch.zeros(1, device=device)  # so that starting CUDA is not counted
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    times = []
    begin = time.monotonic()
    with CASES[name].opened(root, device) as pipeline, torch.inference_mode():
        loaded = time.monotonic() - begin
        for _ in range(_WARM + _TIMED if on_gpu else 2):
            begin = time.monotonic()
            result = CASES[name].use(pipeline)
            if on_gpu:
                torch.cuda.synchronize()
            times.append(time.monotonic() - begin)
    if not bool(torch.isfinite(result).all()):
        raise ArithmeticError("its picture has numbers that are not finite")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if on_gpu:
        memory = torch.cuda.max_memory_allocated() - before
    seconds = statistics.median(times[_WARM if on_gpu else 1 :])
    return {"load": round(loaded, 1), "seconds": round(seconds, 3), "memory": memory, "machine": _machine(device)}


def _machine(device: str) -> str:
    if device != "cpu":
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


# ---------------------------------------------------------------- in other processes


def _measure_each(names: Sequence[str], root: Path, device: str, threads: int, results: Connection) -> None:
    torch.set_num_threads(threads or torch.get_num_threads())
    for name in names:
        results.send(("begun", name))
        try:
            facts = measure(name, root, device)
        except Exception as error:
            facts = {"failed": _reason(error)}
        results.send((name, facts))


def measured(names: Sequence[str], root: Path, device: str, threads: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The facts of each installed model, from another process; from a new one after a model that ended it."""
    left = list(names)
    while left:
        ours, theirs = _FORK.Pipe(duplex=False)
        child = _FORK.Process(target=_measure_each, args=(left, root, device, threads, theirs))
        child.start()
        theirs.close()
        why = ""
        while left and not why:
            try:
                if not ours.poll(PATIENCE):
                    why = f"it took longer than {PATIENCE:.0f} s"
                    break
                name, facts = ours.recv()
            except EOFError:
                child.join()
                why = f"its process ended with {child.exitcode}"
                break
            if name != "begun":
                left.remove(name)
                yield name, facts
        if child.is_alive():
            child.kill() if why else None
        child.join()
        ours.close()
        if why:
            yield left.pop(0), {"failed": why}


def installed(names: Sequence[str], root: Path, jobs: int) -> Iterator[tuple[str, float | str]]:
    """Put stand-ins of all the models, `jobs` at a time; the seconds that each conversion took, or why it failed."""
    with ProcessPoolExecutor(jobs, mp_context=_FORK, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = {pool.submit(put, name, root): name for name in names}
        for done in as_completed(waiting):
            error = done.exception()
            yield waiting[done], done.result() if error is None else _reason(error)


Result = tuple[str, str, dict[str, Any]]  # model, device, facts


def run(names: Sequence[str], root: Path, devices: Sequence[str], jobs: int, threads: int) -> Iterator[Result]:
    """Install and measure. With jobs of 0 one model after another, each removed before the next one."""
    shared = {other for case in CASES.values() for other in case.others}
    parts = {other for name in names for other in CASES[name].others}
    for i, group in enumerate([list(names)] if jobs else [[name] for name in names]):
        converted: dict[str, float] = {}
        for name, took in installed([*group, *(parts - set(group) if i == 0 else ())], root, max(1, jobs)):
            if isinstance(took, float):
                converted[name] = took
            else:
                yield from ((name, device, {"failed": took}) for device in devices)
        here = [name for name in group if name in converted]
        for device in devices:
            for name, facts in _on(device, here, root, jobs, threads):
                yield name, device, facts if "failed" in facts else {**facts, "convert": converted[name]}
        if not jobs:
            for name in set(group) - shared:
                shutil.rmtree(CASES[name].place.folder(root), ignore_errors=True)


def _on(device: str, names: Sequence[str], root: Path, jobs: int, threads: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if device != "cpu":
        yield from measured(names, root, device, threads)
        return
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        waiting = [pool.submit(lambda name=name: list(measured([name], root, device, threads))) for name in names]
        try:
            for done in as_completed(waiting):
                yield from done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


# ---------------------------------------------------------------- command line

Found = dict[str, dict[str, dict[str, Any]]]


def read(path: Path) -> Found:
    """What was found before; nothing if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def merged(found: Found, more: Found) -> Found:
    """Both, the later result of a model on a kind of device in place of the earlier, in the order of the cases."""
    both = {name: {**found.get(name, {}), **more.get(name, {})} for name in (*CASES, *found, *more)}
    return {name: kinds for name, kinds in both.items() if kinds}


def write(path: Path, found: Found) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit status 1 if a model failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(CASES)}; all by default")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or several with commas between")
    parser.add_argument("--threads", type=int, default=0, help="of one model on the CPU")
    parser.add_argument("--jobs", type=int, default=0, help="models made, or run on the CPU, at a time")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which the rest is left out")
    parser.add_argument("--results", type=Path, help="where results are written")
    parser.add_argument("--update", action="store_true", help="write them to weights/tried.json")
    parser.add_argument("--merge", type=Path, help="join the results of a file with weights/tried.json, and do no more")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    if options.merge:
        write(TRIED, merged(read(TRIED), read(options.merge)))
        return 0
    path = TRIED if options.update else options.results
    begin, failed = time.monotonic(), False
    with tempfile.TemporaryDirectory() as folder:
        names, devices = options.names or list(CASES), options.device.split(",")
        results = run(names, Path(folder), devices, options.jobs, options.threads)
        for name, device, facts in results:
            passed = time.monotonic() - begin
            print(f"{passed:6.1f} s  {device}  {name}  {facts}", flush=True)  # noqa: T201
            failed = failed or "failed" in facts
            if path:
                write(path, merged(read(path), {name: {device.partition(":")[0]: facts}}))
            if passed > options.limit:
                print("The time is over; the rest was left out.", flush=True)  # noqa: T201
                results.close()
                break
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
