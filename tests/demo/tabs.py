"""Opening a tab or an accordion of the page in a browser."""

import time
from collections.abc import Callable

_MOUNTED = """([before, until]) => {
    const { asked, came, last } = window.singleFrames, now = performance.now();
    return (asked > before || Date.now() > until) && asked === came && now - last > 200;
}"""


def mounted_by(page, act: Callable[[], object], seconds: float = 2) -> None:
    """Do what shows components that were hidden until now, and wait until Gradio has mounted them.

    Gradio 6.31 waits for a frame after mounting and then sets them to their first values: what a test, quicker than any
    person, did before that is undone. Which frames it waits for `conftest.FEWER_FRAMES` counts. seconds: how long it
    may take to ask for one; components that have been shown before ask for none.
    """
    before = page.evaluate("singleFrames.asked")
    act()
    page.wait_for_function(_MOUNTED, arg=[before, 1000 * (time.time() + seconds)], polling=50)


def unfold(page, label: str) -> None:
    """Open an accordion for the first time."""
    mounted_by(page, page.locator("button.label-wrap", has_text=label).click, seconds=60)


def click_tab(page, label: str, seconds: float = 60) -> None:
    """Click a tab, where it is: a narrow page moves those that do not fit into a menu once it has measured itself,
    which can be while one looks for them."""
    mounted_by(page, lambda: _click_tab(page, label, seconds))


def _click_tab(page, label: str, seconds: float) -> None:
    from playwright.sync_api import TimeoutError as TooSlow

    until = time.monotonic() + seconds
    while True:
        try:
            tab = page.get_by_role("tab", name=label)
            if tab.count():
                return tab.first.click(timeout=3000)
            page.locator(".overflow-menu > button").first.click(timeout=3000)
            return page.locator(".overflow-dropdown button", has_text=label).first.click(timeout=3000)
        except TooSlow:
            if time.monotonic() > until:
                raise
