"""Opening a tab or an accordion of the page in a browser, and choosing files there."""

import contextlib
import time
from collections.abc import Callable

_MOUNTED = """([before, until]) => {
    const { asked, came, last, mounts } = window.singleFrames, now = performance.now();
    return (mounts > before || Date.now() > until) && asked === came && now - last > 200;
}"""
_SHOWN_BEFORE = """label => {
    const shown = window.shownTabs ??= new Set();
    for (const tab of document.querySelectorAll('[role=tab][aria-selected=true]')) shown.add(tab.innerText.trim());
    return shown.has(label) || !shown.add(label);
}"""
_QUIET = """ticks => {
    const all = pageChanges.count;
    quiet.ticks = all === quiet.since ? quiet.ticks + 1 : 0;
    quiet.since = all;
    return quiet.ticks > ticks;
}"""
_HAS_FILE = """([component, frames]) => {
    const signs = ".file-preview, video, button[aria-label='Clear'], button[aria-label='Remove Image']";
    const { asked, came, last } = window.singleFrames;
    return Boolean(document.querySelector(component)?.querySelector(signs))
        && (!frames || asked === came && performance.now() - last > 200);
}"""
_FILE_OR_INPUT = f"""component => ({_HAS_FILE})([component, false])
    || Boolean(document.querySelector(component + ' input[type=file]'))"""


def mounted_by(page, act: Callable[[], object], seconds: float = 60, then: str | None = None) -> None:
    """Do what shows components for the first time, and wait until Gradio has mounted them.

    Gradio 6.31 waits for a frame after mounting and then sets them to their first values: what a test, quicker than any
    person, did before that is undone. Which frames it waits for `conftest.FEWER_FRAMES` counts, apart from those in
    which it measures its tabs: on a slow machine they come first. seconds: how long it may take to ask for one;
    components that have been shown before ask for none. then: selector of something in there, to be in the document at
    the end.
    """
    before = page.evaluate("singleFrames.mounts")
    act()
    if then:
        page.wait_for_selector(then, state="attached")
    page.wait_for_function(_MOUNTED, arg=[before, 1000 * (time.time() + seconds)], polling=50)


def unfold(page, label: str, then: str | None = None) -> None:
    """Open an accordion for the first time. then: as for `mounted_by`."""
    mounted_by(page, page.locator("button.label-wrap", has_text=label).click, then=then)


def click_tab(page, label: str, seconds: float = 60, then: str | None = None) -> None:
    """Click a tab, where it is: a narrow page moves those that do not fit into a menu once it has measured itself,
    which can be while one looks for them. then: as for `mounted_by`."""
    mounting = 0.3 if page.evaluate(_SHOWN_BEFORE, label) else 60
    mounted_by(page, lambda: _click_tab(page, label, seconds), mounting, then)


def settle(page, milliseconds: int) -> None:
    """Wait until nothing has changed in the page for so long, by its own measure: where it is slow to run a script it
    takes longer. At most a minute more, where something changes all the time."""
    from playwright.sync_api import TimeoutError as TooSlow

    page.evaluate("window.quiet = { since: pageChanges.count, ticks: 0 }")
    with contextlib.suppress(TooSlow):
        page.wait_for_function(_QUIET, arg=milliseconds / 100, timeout=60_000 + milliseconds, polling=100)


def choose_file(page, component: str, *paths: object) -> None:
    """Choose files for a component without any, given by its selector, and wait until it has them.

    Where Gradio undoes it, as it mounts the component just now, they are chosen again: at most three times in all.
    Raises AssertionError when the component has none after that.
    """
    from playwright.sync_api import TimeoutError as TooSlow

    for _ in range(3):
        page.set_input_files(f"{component} input[type=file]", [str(path) for path in paths])
        try:
            return page.wait_for_function(_HAS_FILE, arg=[component, True], timeout=15_000, polling=100)
        except TooSlow:
            page.wait_for_function(_FILE_OR_INPUT, arg=component, polling=100)  # there is no input during an upload
            if page.evaluate(_HAS_FILE, [component, False]):
                return None
    raise AssertionError(f"{component} has no file")


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
