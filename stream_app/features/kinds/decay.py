"""Exponential decay: how a sum loses half its weight every half-life, whatever comes late."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["decayed_count", "decayed_sum_lines"]


def decayed_sum_lines(half_life_seconds: float, addends: Sequence[str]) -> list[str]:
    """Statements that add each addend, an expression, to its sum: ``v[1]``, ``v[2]``, ...

    ``v[0]`` is the newest time, ``time`` that of the update. A late update decays its addend, never
    the state, so order matters only in the last bits of the sums.
    """
    sums = list(enumerate(addends, start=1))
    return [
        f"half_lives = (time - v[0]) / {float(half_life_seconds)!r}",
        "if half_lives >= 0.0:",
        "    keep = exp2(-half_lives)",
        "    v[0] = time",
        *(f"    v[{at}] = v[{at}] * keep + {addend}" for at, addend in sums),
        "else:",
        "    weight = exp2(half_lives)",
        *(f"    v[{at}] += {addend} * weight" for at, addend in sums),
    ]


def decayed_count(half_life_seconds: float) -> str:
    """The expression of the weight ``v[1]``, decayed to the moment of the read."""
    decayed = f"v[1] * exp2(-(at - v[0]) / {float(half_life_seconds)!r})"
    return f"{decayed} if at > v[0] else v[1]"
