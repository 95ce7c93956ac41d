"""The system's Chromium, which the tests of the status page look with."""

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["ARGUMENTS", "SIZES", "Look", "browser", "look"]

SIZES = {"phone": (390, 844), "desk": (1280, 800)}

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


# Of a module: as long as Playwright's own event loop runs, no other test of the process can run one.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("needs Chromium, which is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        except Error as error:
            missing(f"Chromium cannot be started: {error}")
        yield browser
        browser.close()


Look = Callable[..., "Page"]


@pytest.fixture
def look(browser: "Browser") -> Iterator[Look]:
    """Opens an address, at a size; a test fails for whatever the browser complains of."""
    complaints: list[str] = []
    pages: list[Page] = []

    def opened(
        address: str, size: str = "desk", *, may_complain: bool = False, **options: Any
    ) -> "Page":
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        page.set_default_timeout(15_000)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(f"{error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type in {"error", "warning"} and not may_complain
                else None
            ),
        )
        page.goto(address)
        page.wait_for_selector("#verdict:not(.unknown)")
        return page

    yield opened
    for page in pages:
        page.close()
    assert [each for each in complaints if "ERR_" not in each] == []
