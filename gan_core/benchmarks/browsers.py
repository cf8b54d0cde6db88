"""Visitors in real browsers, for `gan_core.benchmarks.load`: each opens the page in a headless Chromium and uses it.

One uploads a photo and moves a slider in "Edit a face", and fills the hole of the example that "Fill a hole" opens
with, again and again, a moment between any two. What is timed is what a person sees: from the click to the new picture.
All share one Chromium and one thread, each with cookies of their own. Needs Playwright (requirements-dev.txt).
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import statistics
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_core.errors import NotInstalled

BUSY = re.compile(r"busy, about (\d+) s|go on in (\d+) s|requests are waiting")
"""Of a sentence that says when to come back."""
_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_WAIT = 300_000  # milliseconds: a line may be long; beyond this it is broken
_PICTURE = "([...document.querySelectorAll('#hfgi-compare img')].map(one => one.src).pop() || '')"
_READY = "document.querySelector('#hfgi-message').innerText.includes('Move a slider')"
_REMOVE = "#hfgi-photo button[aria-label='Clear'], #hfgi-photo button[aria-label='Remove Image']"
_RESULTS = "[...document.querySelectorAll('#comodgan-gallery .grid-container img')].map(one => one.src).join(' ')"
_SAID = "[...document.querySelectorAll('.toast-body.error')].map(one => one.innerText).join(' ')"


def spread(times: list[float]) -> str:
    """Seconds in words."""
    if not times:
        return "none"
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"median {statistics.median(ordered):.2f} s, 95 % within {late:.2f} s, worst {ordered[-1]:.2f} s"


@dataclass
class Seen:
    """What happened in all browsers."""

    times: dict[str, list[float]] = field(default_factory=dict)
    """Seconds by what was waited for."""
    refused: Counter[str] = field(default_factory=Counter)
    """Sentences that say when to come back; numbers are left out."""
    broken: list[str] = field(default_factory=list)

    def took(self, what: str, seconds: float) -> None:
        """Something was seen after so long."""
        self.times.setdefault(what, []).append(seconds)

    def figures(self) -> dict[str, Any]:
        """For the report of a load test."""
        figures: dict[str, Any] = {
            f"in browsers, {what}": f"{len(times)} times, {spread(times)}" for what, times in self.times.items()
        }
        figures["in browsers, refusals read"] = [f"{count} x {text}" for text, count in self.refused.most_common(3)]
        figures["in browsers, broken"] = len(self.broken)
        if self.broken:
            counts = Counter(self.broken).most_common(5)
            figures["what broke in browsers"] = [f"{count} x {text}" for text, count in counts]
        return figures


def chromium(wanted: str | None = None) -> str | None:
    """Path of a Chromium: the one that was named, or the system's; None for Playwright's own."""
    return wanted or os.environ.get("STUDIO_BROWSER") or shutil.which("chromium")


class Browsers:
    """So many visitors with a browser each, until `stop`. Raises NotInstalled without Playwright.

    photos: with a face each. browser: path of a Chromium; None: the system's, or Playwright's own.
    """

    def __init__(self, count: int, photos: Sequence[Path], stop: threading.Event, browser: str | None = None) -> None:
        try:
            from playwright import async_api
        except ImportError as error:
            raise NotInstalled("--browsers needs Playwright and a Chromium: pip install playwright.") from error
        self._playwright, self._errors = async_api.async_playwright, async_api.Error
        self._count, self._photos, self._stop = count, [str(path) for path in photos], stop
        self._path = chromium(browser)
        self.seen = Seen()

    def live(self, url: str) -> None:
        """All visits of the page there; to be run in a thread."""
        asyncio.run(self._live(url))

    async def _live(self, url: str) -> None:
        async with self._playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self._path, args=_FLAGS)
            await asyncio.gather(*(self._visit(browser, url, number) for number in range(self._count)))
            await browser.close()

    async def _visit(self, browser: Any, url: str, number: int) -> None:
        dice = random.Random(number)
        while not self._stop.is_set():
            context = await browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
            try:
                page = await context.new_page()
                page.on("pageerror", lambda error: self.seen.broken.append(f"page error: {error}"))
                await _Visit(page, self._photos, self.seen, dice).all(url, self._stop)
            except self._errors as error:
                if not self._stop.is_set():  # else it was left in the middle
                    self.seen.broken.append(f"browser: {str(error).splitlines()[0][:160]}")
            finally:
                await context.close()


class _Visit:
    """One page that is open."""

    def __init__(self, page: Any, photos: Sequence[str], seen: Seen, dice: random.Random) -> None:
        self._page, self._photos, self._seen, self._dice = page, photos, seen, dice
        page.set_default_timeout(_WAIT)

    async def all(self, url: str, stop: threading.Event) -> None:
        """Open the page and use it."""
        begun = time.monotonic()
        await self._page.goto(url)
        await self._page.wait_for_selector("body[data-listening]")
        self._seen.took("until the page listens", time.monotonic() - begun)
        first = await self._page.evaluate("performance.getEntriesByType('navigation')[0].responseStart")
        self._seen.took("page's first byte", first / 1000)
        steps: list[Callable[[], Awaitable[bool]]] = [self._upload, self._move_slider, self._fill_hole]
        while not stop.is_set():
            for step in steps:
                if not stop.is_set() and not await step():
                    break  # refused: from the beginning
                await asyncio.sleep(self._dice.uniform(0.5, 2.0))

    async def _upload(self) -> bool:
        await self._tab("Edit a face")
        remove = self._page.locator(_REMOVE)
        if await remove.count():
            await remove.first.click()
            await self._page.wait_for_function(f"!{_PICTURE} && !{_READY}")

        async def upload() -> None:
            await self._page.set_input_files("#hfgi-photo input[type=file]", self._dice.choice(self._photos))

        return await self._see("photo to picture", upload, f"{_PICTURE} && {_READY}", "")

    async def _move_slider(self) -> bool:
        slider = self._page.locator("#hfgi-named-0 input[type=range]")
        high = await slider.evaluate("one => Number(one.value) > 0")
        before = await self._page.evaluate(_PICTURE)

        async def press() -> None:
            await slider.press("Home" if high else "End")

        return await self._see("slider to picture", press, f"{_PICTURE} !== before && {_PICTURE}", before)

    async def _fill_hole(self) -> bool:
        await self._tab("Fill a hole")
        await self._page.wait_for_function(
            "document.querySelector('#comodgan-message')?.innerText.includes('A mask is ready')"
        )
        await self._page.wait_for_selector("#comodgan-start:enabled")
        before = await self._page.evaluate(_RESULTS)
        done = f"{_RESULTS} !== before && document.querySelector('#comodgan-state').innerText.includes('results.')"
        return await self._see("hole to its results", self._page.locator("#comodgan-start").click, done, before)

    async def _tab(self, label: str) -> None:
        await self._page.get_by_role("tab", name=label, exact=True).first.click()

    async def _see(self, what: str, act: Callable[[], Awaitable[Any]], shown: str, before: str) -> bool:
        """Do something and wait until `shown`; whether it was, and not a refusal."""
        begun = time.monotonic()
        await act()
        found = await self._page.wait_for_function(
            f"before => {_SAID} || (({shown}) ? 'shown' : '')", arg=before, polling=100
        )
        said = await found.json_value()
        if said == "shown":
            self._seen.took(what, time.monotonic() - begun)
            return True
        if wait := BUSY.search(said):
            self._seen.refused[re.sub(r"\d+", "N", " ".join(said.split()))] += 1
            await asyncio.sleep(min(10.0, float(wait[1] or wait[2] or 5)))
        else:
            self._seen.broken.append(f"{what}: {said}")
        for close in await self._page.locator(".toast-close").all():
            await close.click()
        return False
