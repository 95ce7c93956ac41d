"""What a worker says of itself at `/metrics`, as far as benchmarks need it."""

from __future__ import annotations

import urllib.request
from typing import Final, NamedTuple

__all__ = ["Scraped", "parsed", "scrape"]

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
    try:
        with urllib.request.urlopen(
            f"http://{address}/metrics", timeout=_TIMEOUT_SECONDS
        ) as answer:
            return parsed(answer.read().decode())
    except OSError:
        return None


def parsed(text: str) -> Scraped:
    """The figures in an answer; behind a supervisor there is one of each worker."""
    found: dict[str, list[float]] = {name: [] for name in _NAMES}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if (plain := name.partition("{")[0]) in found:
            found[plain].append(float(value))
    records, cpu, rss = found.values()
    return Scraped(int(sum(records)), sum(cpu), sum(rss), sum(each > 0 for each in records))


_NAMES: Final = (
    "stream_app_records_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
)
