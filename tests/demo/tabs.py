"""Opening a tab of the page in a browser."""

import time


def click_tab(page, label: str, seconds: float = 60) -> None:
    """Click a tab, where it is: a narrow page moves those that do not fit into a menu once it has measured itself,
    which can be while one looks for them."""
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
