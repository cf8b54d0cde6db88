"""How fast a live camera is edited, by the browser alone or by the server: `python -m gan_core.benchmarks.live`.

Starts the app and opens /live/ in a headless Chromium whose camera shows a film of a moving face (640 x 480), made from
an example picture. Measured are the seconds to load the page with its models, for a still photo, for a slider and from
the start of the camera to the first edited frame, and a second's edited frames and inverted faces. With --server it is
"Live camera, by this server" of the tab: seconds to the first frame, frames a second, and the share that was dropped of
the camera's. Prints a line a run, with the machine's load before, as other work on it slows everything down.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gan_core.benchmarks.page import EXAMPLE, server, wait_until_warm
from gan_core.benchmarks.timer import clock

_FLAGS = ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking"]
_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
_NUMBER = "name => Number(document.querySelector('#numbers').dataset[name] || 0)"


def film(path: Path, frames: int = 120) -> None:
    """A face that moves over a plain backdrop, as a Chromium's camera shows it (JPEGs after each other)."""
    with Image.open(EXAMPLE) as example, path.open("wb") as file:
        face = example.convert("RGB").resize((340, 340), Image.Resampling.LANCZOS)
        for frame in range(frames):
            angle, picture = 2 * math.pi * frame / frames, Image.new("RGB", (640, 480), (120, 130, 140))
            picture.paste(face, (150 + round(70 * math.sin(angle)), 70 + round(25 * math.sin(2 * angle))))
            picture.save(file, "JPEG", quality=92)


def measure(page: Any, url: str, seconds: float) -> dict[str, float]:
    """The numbers by name, of a page that has seen nothing yet."""
    result = {"load": os.getloadavg()[0]}
    started = clock("cpu")
    page.goto(url)
    page.wait_for_selector("body[data-state=ready]")
    result["page and models loaded, s"] = clock("cpu") - started
    for what, value in (("a photo to its first edit, s", 2.0), ("a slider to the new picture, s", -2.0)):
        page.evaluate("document.querySelector('#numbers').dataset.edits = 0")
        page.evaluate("value => { document.querySelector('#sliders input').value = value; }", value)
        started = clock("cpu")
        if value > 0:
            page.set_input_files("#file", str(EXAMPLE))
        else:
            page.evaluate("document.querySelector('#sliders input').oninput()")
        page.wait_for_selector("#numbers[data-edits='1']")
        result[what] = clock("cpu") - started
    page.click("#start")
    page.wait_for_selector("body[data-state=live][data-edited=yes]")
    page.wait_for_timeout(1000 * seconds)
    result["camera to the first edited frame, s"] = page.evaluate(_NUMBER, "first")
    result["edited frames a second"] = page.evaluate(_NUMBER, "rate") * page.evaluate(_NUMBER, "edited")
    result["faces inverted a second"] = page.evaluate(_NUMBER, "inversions")
    return result


def measure_server(page: Any, url: str, seconds: float) -> dict[str, float]:
    """The same of the camera that the server edits."""
    result = {"load": os.getloadavg()[0]}
    page.goto(url)
    page.click("#hfgi-live-switch input")
    page.wait_for_selector("#hfgi-live-start:enabled")
    page.focus("#hfgi-named-0 input[type=range]")
    page.keyboard.press("End")
    started = clock("cpu")
    page.click("#hfgi-live-start")
    page.wait_for_selector("#hfgi-live-view img:not([hidden])")
    result["camera to the first frame, s"] = clock("cpu") - started
    page.wait_for_timeout(1000 * seconds)
    numbers = page.evaluate("({ ...document.querySelector('#hfgi-live-view .camera-numbers').dataset })")
    result["frames a second"] = float(numbers["rate"])
    result["dropped of the camera's"] = float(numbers["dropped"]) / max(1.0, float(numbers["came"]))
    result["faces inverted a second"] = float(numbers["inversions"])
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.benchmarks.live", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of camera before the rates are read (over 10 s)")
    parser.add_argument("--threads", type=int, default=0, help="of WebAssembly; 0 for what the page chooses")
    parser.add_argument("--server", action="store_true", help="the camera that the server edits, instead of /live/")
    parser.add_argument("--device", default="auto", help="of the server")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="path of a Chromium")
    options = parser.parse_args(arguments)
    from playwright.sync_api import sync_playwright

    flags = ["--device", options.device] if options.server else ["--no-preload"]
    with tempfile.TemporaryDirectory() as name, server(Path(name), 2 if options.server else 1, flags) as (url, _, _):
        if options.server:
            wait_until_warm(Path(name) / "server.log")
        shown = Path(name) / "film.mjpeg"
        film(shown)
        arguments_of_browser = [*_FLAGS, *_CAMERA, f"--use-file-for-fake-video-capture={shown}"]
        with sync_playwright() as playwright:
            for _ in range(options.runs):
                chromium = playwright.chromium.launch(executable_path=options.browser, args=arguments_of_browser)
                page = chromium.new_page()
                page.set_default_timeout(180_000)
                if options.server:
                    numbers = measure_server(page, url, options.seconds)
                else:
                    numbers = measure(page, f"{url}/live/?threads={options.threads}", options.seconds)
                sys.stdout.write(", ".join(f"{what} {value:.2f}" for what, value in numbers.items()) + "\n")
                sys.stdout.flush()
                chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
