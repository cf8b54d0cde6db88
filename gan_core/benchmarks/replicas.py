"""Answers a second with one and with several Ray Serve replicas: `python -m gan_core.benchmarks.replicas`.

Starts the app with `--executor ray` once for each number of replicas, and has simulated people move a slider of
"Edit at the edges" through the real API, each asking again as soon as they are answered. With --kill a
replica is killed (-9) in the middle of the last run: every request must still be answered.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan_core.benchmarks.page import server


def visits(url: str, people: int, seconds: float, in_the_middle: Callable[[], None] | None) -> tuple[int, list[str]]:
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


def ask(client: Any, number: int, turn: int) -> None:
    """A different request at each turn, so that nothing is taken from what is kept."""
    value = 0.05 + 0.9 * ((turn * 37 + number * 11) % 97) / 97
    client.predict(None, number, "age", value, "portraits", None, api_name="/self_conditioned_edit")


def kill_a_replica() -> None:
    """-9 to the first replica found on this machine."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text()
        except OSError:
            continue
        if "ServeReplica" in words:
            os.kill(int(entry.name), signal.SIGKILL)
            print(f"killed {words.strip(chr(0))}")  # noqa: T201
            return
    raise SystemExit("no replica was found on this machine")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cpus", default="1", help="of each replica")
    parser.add_argument("--gpus", default="0", help="of each replica")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--kill", action="store_true", help="kill a replica in the middle of the last run")
    args = parser.parse_args()
    first = 0.0
    for index, count in enumerate(args.replicas):
        flags = [
            "--executor",
            "ray",
            f"--replicas={count}",
            f"--replica-cpus={args.cpus}",
            f"--replica-gpus={args.gpus}",
        ]
        with tempfile.TemporaryDirectory() as folder, server(Path(folder), 1, [*flags, "--no-preload"]) as (url, _, _):
            kill = kill_a_replica if args.kill and index == len(args.replicas) - 1 else None
            answers, wrong = visits(url, args.people, args.seconds, kill)
        rate = answers / args.seconds
        first = first or rate
        print(f"{count} replicas: {rate:.2f} answers a second, {rate / first:.2f} times the first; {len(wrong)} failed")  # noqa: T201
        for text in sorted(set(wrong)):
            print(f"    {text}")  # noqa: T201


if __name__ == "__main__":
    main()
