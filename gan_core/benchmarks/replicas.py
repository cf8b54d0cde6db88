"""Answers a second with one and with several Ray Serve replicas: `python -m gan_core.benchmarks.replicas`.

Starts the app with `--executor ray` once for each number of replicas, and has simulated people ask through the real
API, each again as soon as they are answered: move a slider of "Edit at the edges", or with --ask completions fill a
hole in eight ways, of which the computing is a larger share. The people, the page and the replicas share the machine's
cores. With --no-page there is neither page nor API, and the local executor is measured, too
(`gan_core.benchmarks.executors`). With --kill a replica is killed (-9) in the middle of the last run: every request
must still be answered.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from gan_core.benchmarks.page import server

Ask = Callable[[Any, int, int], None]
"""One request of a client: the person's number, the turn. A different one at each turn, so that none is kept."""


def visits(
    url: str, people: int, seconds: float, ask: Ask, in_the_middle: Callable[[], None] | None
) -> tuple[int, list[str]]:
    """(answers in that time, what went wrong) of so many people."""
    from gradio_client import Client

    answers, wrong, lock = [0], [], threading.Lock()
    end = [0.0]
    ready = threading.Barrier(people + 1)

    def visit(number: int) -> None:
        client = Client(url, verbose=False)
        ask(client, number, 0)  # its photo is read, the models are loaded
        ready.wait()
        turn = 0
        while time.monotonic() < end[0]:
            turn += 1
            try:
                ask(client, number, turn)
            except Exception as error:  # any: it is counted
                with lock:
                    wrong.append(str(error))
                continue
            with lock:
                answers[0] += time.monotonic() < end[0]

    threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(people)]
    for thread in threads:
        thread.start()
    end[0] = time.monotonic() + 1e9
    ready.wait()
    end[0] = time.monotonic() + seconds
    if in_the_middle:
        time.sleep(seconds / 2)
        in_the_middle()
    for thread in threads:
        thread.join()
    return answers[0], wrong


def move_slider(client: Any, number: int, turn: int) -> None:
    """An edit of a random face, which is kept after the first turn."""
    value = 0.05 + 0.9 * ((turn * 37 + number * 11) % 97) / 97
    client.predict(None, number, "age", value, "portraits", None, api_name="/self_conditioned_edit")


def fill_hole(client: Any, number: int, turn: int) -> None:
    """Eight completions of the middle of a picture."""
    from gradio_client import handle_file

    picture = Image.new("RGB", (256, 256), (40 * number % 256, 11 * turn % 256, 90))
    mask = Image.new("L", picture.size)
    mask.paste(255, (64, 64, 192, 192))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("picture.png", "mask.png")]
        for path, image in zip(paths, (picture, mask), strict=True):
            image.save(path)
        client.predict(*map(handle_file, paths), turn, 8, "places", api_name="/comodgan_inpaint")


KINDS: dict[str, Ask] = {"slider": move_slider, "completions": fill_hole}


def kill_a_replica() -> None:
    """-9 to the first replica found on this machine."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text()
        except OSError:
            continue
        if "ServeReplica" in words:
            os.kill(int(entry.name), signal.SIGKILL)
            print(f"killed {words.strip(chr(0))}", file=sys.stderr)  # noqa: T201
            return
    raise SystemExit("no replica was found on this machine")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cpus", type=float, default=1, help="of each replica")
    parser.add_argument("--gpus", type=float, default=0, help="of each replica")
    parser.add_argument("--ask", choices=KINDS, default="slider", help="what people ask for")
    parser.add_argument("--people", type=int, help="6; without a page 16")
    parser.add_argument("--seconds", type=float, help="of each run: 40; without a page 5")
    parser.add_argument("--kill", action="store_true", help="kill a replica in the middle of the last run")
    parser.add_argument("--no-page", action="store_true", help="only the executors, with sliders; local, too")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each, without a page")
    args = parser.parse_args()
    if args.no_page:
        without_page(args)
    else:
        through_the_page(args)


def without_page(args: argparse.Namespace) -> None:
    """Print a line of JSON for each executor, as soon as it is measured."""
    from gan_core.benchmarks import executors

    kill = kill_a_replica if args.kill else None
    people, seconds = args.people or 16, args.seconds or 5.0
    for found in executors.compare(args.replicas, people, seconds, args.rounds, args.cpus, args.gpus, kill):
        print(json.dumps(found), flush=True)  # noqa: T201


def through_the_page(args: argparse.Namespace) -> None:
    """Print a line for each number of replicas."""
    people, seconds = args.people or 6, args.seconds or 40.0
    first = 0.0
    for index, count in enumerate(args.replicas):
        flags = ["--executor=ray", f"--replicas={count}", f"--replica-cpus={args.cpus}", f"--replica-gpus={args.gpus}"]
        with tempfile.TemporaryDirectory() as folder, server(Path(folder), 1, [*flags, "--no-preload"]) as (url, _, _):
            kill = kill_a_replica if args.kill and index == len(args.replicas) - 1 else None
            answers, wrong = visits(url, people, seconds, KINDS[args.ask], kill)
        rate = answers / seconds
        first = first or rate
        print(f"{count} replicas: {rate:.2f} answers a second, {rate / first:.2f} times the first; {len(wrong)} failed")  # noqa: T201
        for text in sorted(set(wrong)):
            print(f"    {text}")  # noqa: T201


if __name__ == "__main__":
    main()
