"""The pictures of status pages in the README and in docs: ``python -m tests.browser.screenshot FOLDER``.

Runs the demo and looks at its worker's page with the system's Chromium; then, with two more workers of the
same group, at the page of `stream-app lag --serve`, at the size of a desk and of a phone. Takes six minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stream_app.local.ports import free_ports
from tests.chromium import ARGUMENTS, SIZES

SECONDS = 36.0
"""From the worker's start to the picture: the demo's events are through a little later."""
FLEET_SECONDS = 90.0
"""From the start of the other workers to the pictures of the group."""
A_SECOND = 150
"""Events that are sent meanwhile."""


def main(folder: Path) -> None:
    """Write the pictures."""
    command = [sys.executable, "-m", "demo", "--keep", "--events", "20000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            address, exports = None, {}
            for line in demo.stdout:
                if address is None and (found := re.search(r"http://\S+/$", line.rstrip())):
                    address = found[0]
                    time.sleep(SECONDS)
                    take(address, folder / "status-page.png")
                elif found := re.search(r"export (\w+)=(\S+)", line):
                    exports[found[1]] = found[2]
                elif "A browser shows" in line:
                    break
            assert exports, "the demo ended before it was through"
            fleet(os.environ | exports, folder)
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.stdout is not None
            demo.stdout.read()


def fleet(environment: dict[str, str], folder: Path) -> None:
    """Two more workers, records for all of them, and what is seen of the group from outside."""
    *ports, page = free_ports(3)
    serve = ["-m", "stream_app", "lag", environment["STREAM_APP_APPLICATION"], "--serve", str(page)]
    with ExitStack() as stack:
        for port in ports:
            own = environment | {"STREAM_APP_HTTP_PORT": str(port)}
            stack.enter_context(running(["-m", "stream_app", "run"], own))
        stack.enter_context(
            running(["deploy/flights.py", "send", "80000", str(A_SECOND)], environment)
        )
        stack.enter_context(running([*serve, "--interval", "2"], environment))
        time.sleep(FLEET_SECONDS)
        address = f"http://127.0.0.1:{page}/"
        take(address, folder / "fleet-page.png", whole=True)
        take(address, folder / "fleet-page-phone.png", "phone", scrolled_to="#partitions")


@contextmanager
def running(arguments: Sequence[str], environment: dict[str, str]) -> Iterator[None]:
    """A process of Python's with these arguments, for as long as the block takes."""
    with subprocess.Popen([sys.executable, *arguments], env=environment) as process:
        try:
            yield
        finally:
            process.terminate()


def take(
    address: str,
    picture: Path,
    size: str = "desk",
    *,
    whole: bool = False,
    scrolled_to: str | None = None,
) -> None:
    """Look at a page and write what is seen of it at once, or all of it; the phone is in the dark."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        width, height = SIZES[size]
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if size == "phone" else "light",
        )
        page.goto(address)
        page.wait_for_selector("#verdict:not(.unknown)")
        if scrolled_to is not None:
            page.locator(scrolled_to).evaluate("node => node.scrollIntoView()")
        page.screenshot(path=picture, full_page=whole)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
