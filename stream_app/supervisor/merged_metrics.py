"""The metrics of several workers as one text: each sample gets the label `worker`, its slot's number.

They are not added up here. A counter that is a sum would fall when one worker is started again, and
Prometheus takes a counter that falls for one that began at 0: all that the other workers ever counted
would come again as new. With a label the series of that worker alone begins anew, which `rate` and
`increase` know how to read, and `sum without (worker) (rate(...))` is right over any restart.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["merged"]


def merged(texts: Mapping[int, str]) -> str:
    """One text in Prometheus's format of the texts of workers, by the numbers of their slots."""
    headers: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for number, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith("# "):
                _, kind, family, *_ = line.split(" ", 3)
                headers.setdefault(family, {}).setdefault(kind, line)
            elif line:
                samples.setdefault(family, []).append(_labelled(line, number))
    lines = [
        line
        for family, named in headers.items()
        for line in (*named.values(), *samples.get(family, ()))
    ]
    return "".join(f"{line}\n" for line in lines)


def _labelled(line: str, number: int) -> str:
    """A sample with the label. The name of a metric holds neither a brace nor a space."""
    brace, space = line.find("{"), line.find(" ")
    if 0 <= brace < space:
        return f'{line[: brace + 1]}worker="{number}",{line[brace + 1 :]}'
    return f'{line[:space]}{{worker="{number}"}}{line[space:]}'
