"""How kinds are declared: their parameters, their names, and what a store and a fingerprint keep."""

import doctest
import importlib
import math
import pkgutil
from collections.abc import Callable
from struct import calcsize
from typing import Any

import pytest

from stream_app.features import kinds
from stream_app.features.kinds import (
    DecayedMoments,
    DecayedShare,
    DecayedSums,
    Distinct,
    DistinctEver,
    Extremes,
    LastN,
    LastText,
    LastValue,
    OpenItems,
    State,
    Windows,
)

MODULES = [each.name for each in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_are_true(name: str) -> None:
    """Each is run."""
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
    declared = [each for each in vars(module).values() if getattr(each, "__module__", "") == name]
    for kind in declared:
        if hasattr(kind, "describe") and kind is not State:
            assert ">>>" in kind.__doc__, f"{kind} has no example"
            for part in ("Update:", "Reads:", "Error:", "Memory:"):
                assert part in kind.__doc__, f"{kind} does not tell of its {part}"


@pytest.mark.parametrize(
    ("kind", "described", "form", "size"),
    [
        (
            DecayedSums(60.0, ("a", "b")),
            {"kind": "decayed-sums", "half_life_seconds": 60.0, "sums": ["a", "b"]}, "4d", 32,
        ),
        (LastValue(("a", "b")), {"kind": "last-value", "fields": ["a", "b"]}, "7d", 56),
        (
            OpenItems(120.0, 60.0),
            {"kind": "open-items", "horizon_seconds": 120.0, "slot_seconds": 60.0}, "q3i", 20,
        ),
        (
            DecayedMoments(60, ("a", "b")),
            {"kind": "decayed-moments", "half_life_seconds": 60.0, "fields": ["a", "b"]}, "8d", 64,
        ),
        (DecayedShare(60), {"kind": "decayed-share", "half_life_seconds": 60.0}, "3d", 24),
        (Extremes(("a", "b")), {"kind": "extremes", "fields": ["a", "b"]}, "5d", 40),
        (LastN(3, ("a", "b")), {"kind": "last-n", "n": 3, "fields": ["a", "b"]}, "15d", 120),
        (
            LastText(("a",), max_bytes=8),
            {"kind": "last-text", "fields": ["a"], "max_bytes": 8}, "ddd9p", 33,
        ),
        (
            Windows(60.0, 5, ("a",), ("a",)),
            {
                "kind": "windows", "window_seconds": 60.0, "slots": 5, "sums": ["a"],
                "extremes": ["a"],
            },
            "q6I18d", 176,
        ),
        (Distinct(60.0), {"kind": "distinct", "cells": 256}, "2048s", 2048),
        (DistinctEver(), {"kind": "distinct-ever", "registers": 1024}, "1024s", 1024),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_fingerprints_and_stores_keep_does_not_change(
    kind: State, described: dict[str, Any], form: str, size: int
) -> None:
    """Trained models name the one, packed states are of the other."""
    assert kind.describe() == described
    assert kind.format == form
    assert calcsize("<" + form) == size


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DecayedSums(0.0), "half_life_seconds of DecayedSums is 0.0: give a number of"),
        (lambda: DecayedSums("1h"), "half_life_seconds of DecayedSums is '1h'"),  # type: ignore[arg-type]
        (lambda: DecayedSums(math.nan), "half_life_seconds of DecayedSums is nan"),
        (lambda: DecayedMoments(-1.0, ("a",)), "half_life_seconds of DecayedMoments is -1.0"),
        (lambda: DecayedShare(math.inf), "half_life_seconds of DecayedShare is inf"),
        (lambda: OpenItems(60.0, 0.0), "slot_seconds of OpenItems is 0.0"),
        (lambda: Windows(0.0), "window_seconds of Windows is 0.0"),
        (lambda: Windows(60.0, slots=0), "slots of Windows is 0: give 1 or more"),
        (lambda: Distinct(0.0), "window_seconds of Distinct is 0.0"),
        (lambda: Distinct(cells=1), "cells of Distinct is 1: give 2 or more"),
        (lambda: DistinctEver(registers=100), "is 100: give a power of two from 16 to 65536"),
        (lambda: LastN(0, ("a",)), "n of LastN is 0: give 1 or more"),
        (lambda: LastText(("a",), max_bytes=256), "max_bytes of LastText is 256: give 1 to 255"),
        (lambda: LastValue(("a", "b", "a")), "LastValue names a field twice: a"),
        (lambda: LastValue("amount"), r'fields of LastValue are the text .*write \("amount",\)'),  # type: ignore[arg-type]
        (
            lambda: DecayedSums(60.0, ("a",)).mean("b"),
            "DecayedSums has no field 'b' there; it has a",
        ),
        (lambda: Windows(60.0).sum("a"), "Windows has no field 'a' there; it has none at all"),
        (lambda: Windows(60.0, sums=("a",)).minimum("a"), "Windows has no field 'a' there"),
        (lambda: Distinct(60.0).count(0.0), "seconds of Distinct is 0.0"),
    ],
)
def test_a_wrong_parameter_is_refused_where_it_is_declared(
    make: Callable[[], object], message: str
) -> None:
    """In a sentence that names it."""
    with pytest.raises((TypeError, ValueError), match=message):
        make()
