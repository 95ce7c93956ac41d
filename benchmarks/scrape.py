"""What a worker says of itself at `/metrics`, as far as benchmarks need it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Scraped", "figures", "metrics_text", "parsed", "scrape"]

_TIMEOUT_SECONDS: Final = 5.0


class Scraped(NamedTuple):
    """Of all workers that answer at one address together."""

    records: int
    """Finished: published, written and committable."""
    cpu_seconds: float
    rss_bytes: float
    at_work: int
    """How many of them have finished a record."""


def scrape(address: str) -> Scraped | None:
    """What HOST:PORT says, or None where nobody answers yet."""
    text = metrics_text(address)
    return None if text is None else parsed(text)


def metrics_text(address: str) -> str | None:
    """The answer itself, or None where nobody answers yet."""
    try:
        with urllib.request.urlopen(
            f"http://{address}/metrics", timeout=_TIMEOUT_SECONDS
        ) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def figures(text: str, names: Iterable[str]) -> dict[str, list[float]]:
    """The figures of these names, in their order; behind a supervisor there is one of each worker."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if (plain := name.partition("{")[0]) in found:
            found[plain].append(float(value))
    return found


def parsed(text: str) -> Scraped:
    """What an answer comes to."""
    records, cpu, rss = figures(text, _NAMES).values()
    return Scraped(int(sum(records)), sum(cpu), sum(rss), sum(each > 0 for each in records))


_NAMES: Final = (
    "stream_app_records_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
)
