"""Times that a visitor of the page waits: `python -m gan_core.benchmarks.page`.

Starts the app with two threads and controls its page in a headless Chromium. Measured are the seconds from the start
command to the first answer of the page, from the upload of a new 1-megapixel photo to its first result, from the
release of a slider to the new picture, and the server's peak memory. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from gan_core.benchmarks.timer import clock

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "demo" / "assets" / "examples" / "portrait_110.jpg"
_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_SIZE = (1152, 896)  # about one megapixel
_READY = "() => document.querySelector('#hfgi-message').innerText.includes('Move a slider')"
_SHOWN = "() => [...document.querySelectorAll('#hfgi-compare img')].map(image => image.src).pop() || ''"


@contextmanager
def server(folder: Path, threads: int, flags: Sequence[str] = ()) -> Iterator[tuple[str, int, float]]:
    """The app as it is, with `flags`: its address, process id and seconds to the first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TMPDIR": str(folder)}
    started = clock("cpu")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *flags],
            cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield url, process.pid, _wait(lambda: urllib.request.urlopen(url, timeout=5).read(), started)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_warm(log: Path, patience: float = 120.0) -> None:
    """Wait until the server has logged that its models are loaded and have run once."""
    deadline = clock("cpu") + patience
    while "demo.context: ready" not in log.read_text():
        if clock("cpu") > deadline:
            raise TimeoutError(f"the server is not warm after {patience:.0f} s")
        time.sleep(0.2)


def _wait(ask: Callable[[], Any], started: float) -> float:
    while True:
        try:
            ask()
            return clock("cpu") - started
        except OSError:
            if clock("cpu") - started > 120:
                raise
            time.sleep(0.05)


def _photo(example: Path, path: Path, shift: int) -> Path:
    """A new photo of one megapixel: the example picture on a plain background."""
    canvas = Image.new("RGB", _SIZE, (96, 104, 112 + shift))
    with Image.open(example) as face:
        canvas.paste(face.convert("RGB").resize((640, 640), Image.Resampling.LANCZOS), (200 + shift, 120))
    canvas.save(path, quality=95)
    return path


def _peak_memory(process: int) -> float:
    """Peak memory of a process in megabytes, as the kernel counts it."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(runs: int, threads: int, browser: str | None) -> dict[str, float]:
    """The numbers by name. Needs the embedded weights, example pictures, and a Chromium."""
    from playwright.sync_api import sync_playwright

    example = EXAMPLE
    with tempfile.TemporaryDirectory() as name, server(Path(name), threads) as (url, process, answered):
        uploads, slides = [], []
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=_FLAGS)
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            wait_until_warm(Path(name) / "server.log")
            for run in range(runs + 1):  # the first one, during which the app still warms up, does not count
                photo = _photo(example, Path(name) / f"photo{run}.jpg", run)
                before = page.evaluate(_SHOWN)
                started = clock("cpu")
                page.set_input_files("#hfgi-photo input[type=file]", str(photo))
                page.wait_for_function(f"before => ({_SHOWN})() !== before && ({_READY})()", arg=before)
                uploads.append(clock("cpu") - started)
                slider = page.locator("#hfgi-named-0 input[type=range]")
                for key in ("End", "Home"):
                    before = page.evaluate(_SHOWN)
                    started = clock("cpu")
                    slider.press(key)
                    page.wait_for_function(f"before => ({_SHOWN})() !== before", arg=before)
                    slides.append(clock("cpu") - started)
                page.locator("#hfgi-photo button[aria-label='Remove Image']").click()
                page.wait_for_function("() => !document.querySelector('#hfgi-photo img')")
            chromium.close()
        return {
            "page answers after the start command, s": answered,
            "very first photo, right after start-up, s": uploads[0],
            "new 1-megapixel photo, upload to result, s": statistics.median(uploads[1:]),
            "slider let go to new picture, s": statistics.median(slides[2:]),
            "server's peak memory, MB": _peak_memory(process),
        }


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.benchmarks.page", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="photos to measure (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    for name, value in measure(options.runs, options.threads, options.browser).items():
        sys.stdout.write(f"{name:48} {value:8.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
