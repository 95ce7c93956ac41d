"""The picture of the status page in the README: ``python -m tests.browser.screenshot FILE``.

Runs the demo and looks at its worker's page with the system's Chromium; takes two minutes.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.chromium import ARGUMENTS

SECONDS = 36.0
"""From the worker's start to the picture: the demo's events are through a little later."""
SIZE = (1280, 800)


def main(picture: Path) -> None:
    """Write the picture."""
    command = [sys.executable, "-m", "demo", "--keep", "--events", "20000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            found = None
            for line in demo.stdout:
                if found := re.search(r"http://\S+/$", line.rstrip()):
                    break
            assert found, "the demo ended before it printed the address"
            time.sleep(SECONDS)
            take(found[0], picture)
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.stdout is not None
            demo.stdout.read()


def take(address: str, picture: Path) -> None:
    """Look at a page and write what is seen without scrolling."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.goto(address)
        page.wait_for_selector("#verdict:not(.unknown)")
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
