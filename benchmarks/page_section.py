"""A part of a page of docs/ that a command writes, between two comments that name it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

from demo.worker import ROOT

__all__ = ["commit", "measured_at", "put_into"]


def put_into(page: str, command: str, text: str) -> str:
    """The page with `text` in the command's place; raises `ValueError` where it has none."""
    begin, end = f"<!-- Written by `{command}`. -->", f"<!-- End of what `{command}` writes. -->"
    at, until = page.find(begin), page.find(end)
    if not 0 <= at < until:
        raise ValueError(f"the page has no place for what is written: {begin} ... {end}")
    return f"{page[: at + len(begin)]}\n\n{text.strip()}\n\n{page[until:]}"


def measured_at() -> str:
    """When and where, for the end of a sentence."""
    return (
        f"measured {datetime.now(UTC):%Y-%m-%d} at {commit()} with Python {sys.version.split()[0]} on "
        f"{os.cpu_count()} cores"
    )


def commit() -> str:
    """The commit that is measured, short."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    return done.stdout.strip()
