"""How fast a live camera is edited, by the browser alone or by the server: `python -m gan_core.benchmarks.live`.

Opens /live/ in a headless Chromium whose camera shows a film of a moving face (640 x 480), made from an example
picture. Measured are the seconds to load the page with its models, for a still photo, for a slider and from the start
of the camera to the first edited frame, and a second's edited frames and inverted faces; the camera gives 30 frames a
second, so the same frame is also given again and again, as fast as it is edited. With --webgpu the browser is given
the GPU: by Vulkan, or emulated by the processor. The page is the app's, or a static site of `gan-studio static`
(--site), which needs neither the app's packages nor Playwright, so that it runs on a bare machine with a GPU.

With --server it is "Live camera, by this server" of the tab: seconds to the first frame, frames a second, and the share
that was dropped of the camera's. Prints a line a run, with the machine's load before, as other work on it slows
everything down.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from gan_core.benchmarks.devtools import Chromium
from gan_core.benchmarks.page import EXAMPLE, server, wait_until_warm
from gan_core.benchmarks.sites import site
from gan_core.benchmarks.timer import clock
from gan_core.errors import StudioError

_FLAGS = ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking"]
_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WEBGPU = {
    "off": [],
    "vulkan": [
        "--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-angle=vulkan", "--disable-vulkan-surface",
        "--ignore-gpu-blocklist",
    ],
    "emulated": ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
}  # fmt: skip
"""Flags of a Chromium by how it gets WebGPU. Headless and on Linux it offers none by itself."""
_EDITS = 5  # of a photo, by its slider
_PATIENCE = 180.0  # seconds
_ADAPTER = """(async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    const { vendor = "none", architecture = "", description = "" } = adapter?.info ?? {};
    return `${vendor} ${architecture} ${description}`.trim();
})()"""
_INVERSIONS = """(async () => {
    const took = [];
    for (let i = 0; i < 3; i++) {
        const began = performance.now();
        await live.worker.call("choose", [0]);
        took.push(performance.now() - began);
    }
    return took.sort((a, b) => a - b)[1] / 1000;
})()"""
_UNHELD = """(async () => {
    const frame = await createImageBitmap(document.querySelector("#video")), seconds = 3;
    const sliders = [...document.querySelectorAll("#sliders input")];
    const values = Object.fromEntries(sliders.map(one => [one.name, Number(one.value)]));
    document.querySelector("#start").click();
    let count = 0, spent = 0;
    for (const began = performance.now(); spent < seconds; spent = (performance.now() - began) / 1000, count++) {
        const copy = await createImageBitmap(frame);
        await live.worker.call("frame", [copy, performance.now() / 1000, values], [copy]);
    }
    return count / spent;
})()"""
_SLIDER = "document.querySelector('#sliders input')"
_NUMBERS = "document.querySelector('#numbers').dataset"


def film(path: Path, frames: int = 120) -> None:
    """A face that moves over a plain backdrop, as a Chromium's camera shows it (JPEGs after each other)."""
    with Image.open(EXAMPLE) as example, path.open("wb") as file:
        face = example.convert("RGB").resize((340, 340), Image.Resampling.LANCZOS)
        for frame in range(frames):
            angle, picture = 2 * math.pi * frame / frames, Image.new("RGB", (640, 480), (120, 130, 140))
            picture.paste(face, (150 + round(70 * math.sin(angle)), 70 + round(25 * math.sin(2 * angle))))
            picture.save(file, "JPEG", quality=92)


def measure(page: Chromium, url: str, seconds: float, pictures: Path | None = None) -> dict[str, float | str]:
    """The numbers by name, of a browser that has seen nothing yet.

    pictures: folder for edited.png (the photo with its first edit) and camera.png (the page at the end), or None.
    """
    result: dict[str, float | str] = {"load": os.getloadavg()[0]}
    started = clock("cpu")
    page.open(url)
    page.wait_for("body[data-state=ready]")
    result["page and models loaded, s"] = clock("cpu") - started
    loaded = page.evaluate(f"({{ ...{_NUMBERS} }})")
    result["computed by"] = loaded["device"]
    result["threads of WebAssembly"] = float(loaded["threads"])
    result["adapter"] = page.evaluate(_ADAPTER)
    result["weights and graphs, MB"] = float(loaded["bytes"]) / 1e6
    page.evaluate(f"{_SLIDER}.value = 2; {_NUMBERS}.edits = 0")
    started = clock("cpu")
    page.choose_file("#file", EXAMPLE)
    page.wait_for("#numbers[data-edits='1']")
    result["a photo to its first edit, s"] = clock("cpu") - started
    if pictures:
        shown = page.evaluate("document.querySelector('#canvas').toDataURL()")
        (pictures / "edited.png").write_bytes(base64.b64decode(shown.partition(",")[2]))
    result["of a photo, the inversion alone, s"] = page.evaluate(_INVERSIONS, _PATIENCE)
    took = []
    for edit in range(_EDITS):
        started = clock("cpu")
        page.evaluate(f"{_SLIDER}.value = {-1 - 0.25 * edit}; {_SLIDER}.oninput()")
        page.wait_for(f"#numbers[data-edits='{2 + edit}']")
        took.append(clock("cpu") - started)
    result["a slider to the new picture, s"] = statistics.median(took)
    page.evaluate("document.querySelector('#start').click()")
    page.wait_for("body[data-state=live][data-edited=yes]")
    time.sleep(seconds)
    numbers = page.evaluate(f"({{ ...{_NUMBERS} }})")
    result["camera to the first edited frame, s"] = float(numbers["first"])
    result["edited frames a second"] = float(numbers["rate"]) * float(numbers["edited"])
    result["faces inverted a second"] = float(numbers["inversions"])
    result["computed by, at the end"] = page.evaluate(
        "live.worker.call('device')"
    )  # another one where the GPU was lost
    if pictures:
        (pictures / "camera.png").write_bytes(page.screenshot())
    result["frames a second that wait for no camera"] = page.evaluate(_UNHELD, _PATIENCE)
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


def _measure_server(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """The server's numbers, of run after run."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, server(Path(name), 2, ["--device", options.device]) as (url, _, _):
        wait_until_warm(Path(name) / "server.log")
        shown = Path(name) / "film.mjpeg"
        film(shown)
        arguments = [*_FLAGS, *_CAMERA, f"--use-file-for-fake-video-capture={shown}"]
        with sync_playwright() as playwright:
            for _ in range(options.runs):
                chromium = playwright.chromium.launch(executable_path=options.browser, args=arguments)
                page = chromium.new_page()
                page.set_default_timeout(180_000)
                yield measure_server(page, url, options.seconds)
                chromium.close()


@contextmanager
def _live_page(folder: Path, static: Path | None) -> Iterator[str]:
    """The address of the live page: a static site's, or the app's, which logs into `folder`."""
    if static is not None:
        with site(static) as url:
            yield url
        return
    with server(folder, 1, ["--no-preload"]) as (url, _, _):
        yield f"{url}/live/"


def _measure_browser(options: argparse.Namespace) -> Iterator[dict[str, float | str]]:
    """The browser's numbers, of run after run."""
    with tempfile.TemporaryDirectory() as name, _live_page(Path(name), options.site) as url:
        shown = Path(name) / "film.mjpeg"
        film(shown)
        flags = [*_CAMERA, f"--use-file-for-fake-video-capture={shown}", *WEBGPU[options.webgpu], *options.flag]
        gpu = "emulated" if options.webgpu == "emulated" else "on"
        asked = f"{url}?gpu={gpu}&threads={options.threads}"
        for _ in range(options.runs):
            with Chromium(options.browser, flags, options.log) as page:
                yield measure(page, asked, options.seconds, options.pictures)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.benchmarks.live", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of camera before the rates are read (over 10 s)")
    parser.add_argument("--threads", type=int, default=0, help="of WebAssembly; 0 for what the page chooses")
    parser.add_argument("--server", action="store_true", help="the camera that the server edits, instead of /live/")
    parser.add_argument("--device", default="auto", help="of the server")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="path of a Chromium")
    parser.add_argument("--webgpu", choices=list(WEBGPU), default="off", help="give the browser the GPU (default: off)")
    parser.add_argument("--flag", action="append", default=[], help="one more of the browser's, as --flag=--use-gl=egl")
    parser.add_argument("--site", type=Path, help="folder of a static site to measure, instead of the app")
    parser.add_argument("--pictures", type=Path, help="folder for the edited photo and a picture of the page")
    parser.add_argument("--log", type=Path, help="file for the browser's own messages")
    parser.add_argument("--json", type=Path, help="file for the numbers of all runs")
    options = parser.parse_args(arguments)
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    runs = []
    try:
        for numbers in _measure_server(options) if options.server else _measure_browser(options):
            runs.append(numbers)
            words = (f"{what} {value if isinstance(value, str) else f'{value:.2f}'}" for what, value in numbers.items())
            sys.stdout.write(", ".join(words) + "\n")
            sys.stdout.flush()
    except StudioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        options.json.write_text(json.dumps(runs, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
