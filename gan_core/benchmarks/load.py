"""Many people at once: `python -m gan_core.benchmarks.load`, or `gan-studio bench load`.

Starts the app (or takes a running one, --url) and has simulated people use all its endpoints at the same time through
the real API, each asking for one thing after another, while the page's first byte and the server's memory are watched.
With --browsers N so many more visit the page itself, in Chromium (`gan_core.benchmarks.browsers`).
Who is refused waits as long as the refusal says (not beyond the end), or half a second to two with --impatient.
Prints a table.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotYet
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_core.benchmarks.browsers import BUSY, Browsers, spread
from gan_core.benchmarks.page import ROOT, server, wait_until_warm
from gan_core.errors import NotInstalled

EXAMPLES = sorted((ROOT / "demo" / "assets" / "examples").glob("portrait_*.jpg"))
SHORT = ("hfgi_edit", "self_conditioned_edit", "comodgan_inpaint", "autoencoder_swap")
LONG = ("insetgan_compose",)
_PROMISE = re.compile(r"at most (\d+) s")
_LATE = 3.0  # seconds beyond a promise that still count as kept: progress is asked for twice a second


@dataclass
class Answers:
    """What happened to everybody's requests. Seconds are the visitor's own."""

    answered: dict[str, list[float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    promises: int = 0
    late: list[float] = field(default_factory=list)
    """Seconds beyond "at most N s"."""
    first_byte: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, megabytes)"""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> int:
        """Answers of all kinds."""
        return sum(map(len, self.answered.values()))


@dataclass
class Visitor:
    """Asks for one thing after another until `stop`."""

    url: str
    number: int
    answers: Answers
    stop: threading.Event
    impatient: bool
    patience: float
    steps: int

    def live(self) -> None:
        """The whole visit."""
        from gradio_client import Client

        dice = random.Random(self.number)
        client: Client | None = None
        while not self.stop.is_set():
            try:
                client = client or Client(self.url, verbose=False)
            except Exception as error:  # any: a page that does not load is what is counted here
                self._broken("page", error)
                self.stop.wait(1)
                continue
            endpoint = dice.choice((*SHORT, *LONG))
            wait = self._ask(client, endpoint, self._arguments(endpoint, dice))
            self.stop.wait(dice.uniform(0.5, 2.0) if self.impatient else min(wait, self.patience) + dice.uniform(0, 1))

    def _ask(self, client: Any, endpoint: str, arguments: tuple[Any, ...]) -> float:
        """Seconds to wait before the next request."""
        begun = time.monotonic()
        try:
            job = client.submit(*arguments, api_name=f"/{endpoint}")
            self._follow(job)
            result = job.result()
        except Exception as error:  # any, for the same reason
            if found := BUSY.search(str(error)):
                with self.answers.lock:
                    self.answers.refused[endpoint] += 1
                return float(found[1] or found[2] or 5)
            self._broken(endpoint, error)
            return 1.0
        paths = result if isinstance(result, (list, tuple)) else [result]
        good = all(Path(p["image"] if isinstance(p, dict) else p).stat().st_size > 5000 for p in paths)
        with self.answers.lock:
            if good:
                self.answers.answered.setdefault(endpoint, []).append(time.monotonic() - begun)
            else:
                self.answers.broken.append(f"{endpoint}: a picture is empty")
        return 0.0

    def _follow(self, job: Any) -> None:
        """Until the job is done: was it told "at most N s" and not begun by then?"""
        deadline = None
        while not job.done():
            units = job.status().progress_data or []
            text = str(units[-1].desc or "") if units else ""
            now = time.monotonic()
            if found := _PROMISE.search(text):
                if deadline is None:
                    deadline = now + float(found[1])
                    with self.answers.lock:
                        self.answers.promises += 1
                elif now > deadline + _LATE:
                    with self.answers.lock:
                        self.answers.late.append(now - deadline)
                    deadline = float("inf")
            try:
                job.result(timeout=0.5)
            except NotYet:
                continue
            except Exception:  # `_ask` looks at it
                return

    def _arguments(self, endpoint: str, dice: random.Random) -> tuple[Any, ...]:
        from gradio_client import handle_file

        def photo() -> Any:
            return handle_file(str(dice.choice(EXAMPLES)))

        seed = dice.randrange(1000)
        return {
            "hfgi_edit": lambda: (photo(), dice.choice(("smile", "age", "pose")), 2.0, True, "portraits"),
            "self_conditioned_edit": lambda: (None, seed, dice.choice(("smile", "age")), 0.9, "portraits", None),
            "comodgan_inpaint": lambda: (photo(), handle_file(str(_mask())), seed, 2, "portraits"),
            "autoencoder_swap": lambda: (photo(), photo(), 1.0, "portraits"),
            "insetgan_compose": lambda: (None, seed, seed + 1, self.steps, "portraits"),
        }[endpoint]()

    def _broken(self, what: str, error: Exception) -> None:
        with self.answers.lock:
            self.answers.broken.append(f"{what}: {type(error).__name__}: {str(error)[:160]}")


def measure(
    people: int,
    seconds: float,
    *,
    url: str | None,
    threads: int,
    flags: list[str],
    impatient: bool,
    steps: int,
    browsers: int = 0,
    browser: str | None = None,
) -> dict[str, Any]:
    """The figures by name. Without a url the app is started with `flags` and ended again. browsers: visitors of the
    page, in the Chromium at `browser`. Raises NotInstalled without what they need."""
    answers, stop = Answers(), threading.Event()
    visits = Browsers(browsers, EXAMPLES, stop, browser) if browsers else None
    with ExitStack() as stack:
        process = None
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url, process, _ = stack.enter_context(server(folder, threads, flags))
            wait_until_warm(folder / "server.log")
        begun = time.monotonic()
        crowd = [
            threading.Thread(target=Visitor(url, i, answers, stop, impatient, seconds, steps).live)
            for i in range(people)
        ]
        if visits:
            crowd.append(threading.Thread(target=visits.live, args=(url,)))
        watch = threading.Thread(target=_watch, args=(url, process, answers, stop, begun))
        for thread in (*crowd, watch):
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in (*crowd, watch):
            thread.join()
        figures = _figures(answers, people, seconds, time.monotonic() - begun)
        return figures | visits.seen.figures() if visits else figures


def _watch(url: str, process: int | None, answers: Answers, stop: threading.Event, begun: float) -> None:
    while not stop.wait(1.0):
        asked = time.monotonic()
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                response.read(1)
                answers.first_byte.append(time.monotonic() - asked)
        except OSError as error:
            with answers.lock:
                answers.broken.append(f"page: {error}")
        if process is not None:
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            answers.memory.append((time.monotonic() - begun, pages * 4096 / 1e6))


def _figures(answers: Answers, people: int, seconds: float, until_last: float) -> dict[str, Any]:
    minutes = until_last / 60

    def between(low: float, high: float) -> float | None:
        found = [size for at, size in answers.memory if low <= at < high]
        return statistics.mean(found) if found else None

    figures: dict[str, Any] = {
        "people": people,
        "seconds": round(seconds),
        "answers": answers.count(),
        "answers a minute": round(answers.count() / minutes, 1),
    }
    for endpoint in (*SHORT, *LONG):
        times = answers.answered.get(endpoint, [])
        figures[endpoint] = f"{len(times)} answers ({spread(times)}), {answers.refused[endpoint]} times busy"
    figures["busy"] = sum(answers.refused.values())
    figures["broken"] = len(answers.broken)
    late = f" ({spread(answers.late)} late)" if answers.late else ""
    figures["promises"] = f"{answers.promises}, of them {len(answers.late)} not kept{late}"
    figures["page's first byte"] = spread(answers.first_byte)
    second, last = between(60, 120), between(seconds - 60, seconds)
    if second and last:
        figures["memory, second and last minute"] = f"{second:.0f} and {last:.0f} MB ({last / second - 1:+.1%})"
    if answers.broken:
        figures["what broke"] = [f"{count} x {text}" for text, count in Counter(answers.broken).most_common(5)]
    return figures


def _mask() -> Path:
    """A picture of one white square on black, made once."""
    global _mask_file
    with _mask_lock:
        if _mask_file is None:
            from PIL import Image

            mask = Image.new("L", (256, 256))
            mask.paste(255, (96, 96, 176, 176))
            _mask_file = Path(tempfile.mkdtemp()) / "mask.png"
            mask.save(_mask_file)
    return _mask_file


_mask_file: Path | None = None
_mask_lock = threading.Lock()


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status: 1 when anything broke."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.benchmarks.load", description=__doc__)
    add: Callable[..., Any] = parser.add_argument
    add("--people", type=int, default=32)
    add("--seconds", type=float, default=300)
    add("--browsers", type=int, default=0, help="visitors of the page in headless Chromium, besides")
    add("--browser", help="path of a Chromium; default: the system's, or Playwright's own")
    add("--url", help="a running app; default: one is started")
    add("--threads", type=int, default=2, help="CPU threads of the app that is started")
    add("--impatient", action="store_true", help="ask again at once when refused")
    add("--steps", type=int, default=20, help="of a composition")
    add("--json", type=Path, help="write the figures there, too")
    add("flags", nargs="*", help="for the app, after --")
    options = parser.parse_args(arguments)
    try:
        figures = measure(
            options.people,
            options.seconds,
            url=options.url,
            threads=options.threads,
            flags=options.flags,
            impatient=options.impatient,
            steps=options.steps,
            browsers=options.browsers,
            browser=options.browser,
        )
    except NotInstalled as error:
        parser.error(str(error))
    for name, value in figures.items():
        sys.stdout.write(f"{name:32} {value}\n")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 1 if figures["broken"] or figures.get("in browsers, broken") else 0


if __name__ == "__main__":
    sys.exit(main())
