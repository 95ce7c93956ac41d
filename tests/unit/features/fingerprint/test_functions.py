"""The hash of a function changes with what it does, and with nothing else."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stream_app.features.fingerprint.functions import NO_SOURCE, class_hash, hash_of

Written = Callable[..., ModuleType]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Write the modules of the package `shop` and import `shop.features`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    versions = iter(range(1_000))

    def write(features: str, **others: str) -> ModuleType:
        # Each time into a folder of its own: files are read again by name and time alone.
        root = tmp_path / str(next(versions))
        monkeypatch.syspath_prepend(str(root))
        package = root / "shop"
        package.mkdir(parents=True)
        for name, text in {"__init__": "", "features": features, **others}.items():
            (package / f"{name}.py").write_text(textwrap.dedent(text))
        forget()
        importlib.invalidate_caches()
        return importlib.import_module("shop.features")

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]

    yield write
    forget()


ORIGINAL = """
    LIMIT = 3.0

    def half(x):
        return x / 2

    def amount(event, scale=2):
        return min(half(event.amount) * scale, LIMIT)
    """

SAME = {
    "comments, lines and brackets": """
        LIMIT = (3.0)
        def half(x): return (x / 2)  # of it

        def amount(
            event,
            scale=2,
        ):
            # The least.
            return min(
                half(event.amount) * scale, LIMIT,
            )
        """,
    "docstrings and annotations": """
        from typing import Final
        LIMIT: Final[float] = 3.0
        def half(x: float) -> float:
            '''Half of it.'''
            return x / 2
        def amount(event: "Event", scale: int = 2) -> float:
            '''The amount.'''
            return min(half(event.amount) * scale, LIMIT)
        """,
    "what it does not name": """
        LIMIT = 3.0
        OTHER = 7
        def other(x):
            return x
        def half(x):
            return x / 2
        def amount(event, scale=2):
            return min(half(event.amount) * scale, LIMIT)
        """,
}

OTHER = {
    "a constant": ORIGINAL.replace("3.0", "3.5"),
    "a default": ORIGINAL.replace("scale=2", "scale=3"),
    "a branch": ORIGINAL.replace("LIMIT)", "LIMIT) if event.amount else 0.0"),
    "a function that it calls": ORIGINAL.replace("x / 2", "x // 2"),
    "an int for a float": ORIGINAL.replace("3.0", "3"),
}


@pytest.mark.parametrize("how", SAME)
def test_a_function_written_otherwise_has_the_same_hash(written: Written, how: str) -> None:
    """Its meaning is the same."""
    original = hash_of(written(ORIGINAL).amount)
    assert len(original) == 16
    assert hash_of(written(SAME[how]).amount) == original


@pytest.mark.parametrize("how", OTHER)
def test_a_function_that_does_something_else_has_another_hash(written: Written, how: str) -> None:
    """Wherever in the author's package the change is."""
    assert hash_of(written(OTHER[how]).amount) != hash_of(written(ORIGINAL).amount)


def test_functions_of_other_modules_of_the_package_belong_to_it(written: Written) -> None:
    """Imported by name, or taken from an imported module; decorated ones too."""
    features = """
        from shop import clock
        from shop.tables import rate
        hour = lambda event: clock.hour(event.time) * rate(event)
        """
    tables = "RATES = {'a': 1.0}\ndef rate(event):\n    return RATES.get(event.shop, 0.0)\n"
    clock = "from functools import cache\n@cache\ndef hour(time):\n    return time // 3600\n"
    original = hash_of(written(features, tables=tables, clock=clock).hour)
    assert hash_of(written(features, tables=tables, clock=clock).hour) == original
    for changed in (
        {"tables": tables.replace("1.0", "2.0"), "clock": clock},
        {"tables": tables, "clock": clock.replace("3600", "1800")},
    ):
        assert hash_of(written(features, **changed).hour) != original


def test_lambdas_of_one_line_are_told_apart(written: Written) -> None:
    """By the exact place of their code, also where one lies within another."""
    module = written(
        """
        A, B = lambda e: e.a, lambda e: e.b
        C, D = (lambda e: (lambda x: x + 1)(e.a)), (lambda e: (lambda x: x + 2)(e.a))
        E = [lambda e, n=n: e.a * n for n in range(2)]
        inner = (lambda: lambda e: e.b)()
        """
    )
    different = [module.A, module.B, module.C, module.D, *module.E]
    assert len({hash_of(each) for each in different}) == len(different)
    assert hash_of(module.inner) == hash_of(module.B)
    again = written("A = lambda e: e.a\n")
    assert hash_of(again.A) == hash_of(module.A)


def test_what_a_function_closes_over_belongs_to_it(written: Written) -> None:
    """Factories make functions that differ in data alone."""
    module = written(
        """
        from functools import partial
        def above(limit):
            return lambda event: event.amount > limit
        def over(limit, event):
            return event.amount > limit
        """
    )
    assert hash_of(module.above(1.0)) == hash_of(module.above(1.0))
    assert hash_of(module.above(1.0)) != hash_of(module.above(2.0))
    bound = [module.partial(module.over, limit) for limit in (1.0, 1.0, 2.0)]
    assert hash_of(bound[0]) == hash_of(bound[1]) != hash_of(bound[2])


def test_a_cache_is_no_constant(written: Written) -> None:
    """What the package's own functions change, changes no hash: training would have filled it."""
    module = written(
        """
        _seen = {}
        _calls = 0
        def amount(event):
            global _calls
            _calls += 1
            if event not in _seen:
                _seen[event] = event
            return _seen[event]
        """
    )
    before = hash_of(module.amount)
    assert module.amount("x") == "x"
    assert hash_of(module.amount) == before


def test_recursion_has_an_end(written: Written) -> None:
    """Functions that call each other are described once."""
    text = """
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n != 0 and even(n - 1)
        """
    first = written(text)
    assert hash_of(first.even) == hash_of(written(text).even)
    assert hash_of(first.even) != hash_of(written(text.replace("!= 0", "> 0")).even)


def test_a_function_without_source_has_a_marker() -> None:
    """Of a prompt, or of `exec`; also where a function with a source calls one."""
    names: dict[str, Any] = {"__name__": "shop.features"}
    exec("def amount(event):\n    return event.amount\nboth = lambda e: amount(e)", names)
    assert hash_of(names["amount"]) == NO_SOURCE
    assert hash_of(names["both"]) == NO_SOURCE


def test_functions_of_libraries_are_known_by_name() -> None:
    """A new release of one must not make a version unfit; its golden events say what it computes."""
    assert hash_of(str.lower) == hash_of(str.lower) != hash_of(str.upper)
    assert hash_of(textwrap.dedent) != hash_of(textwrap.indent)


def test_the_code_of_an_own_kind_of_state_belongs_to_it(written: Written) -> None:
    """Its methods and properties; what a dataclass adds to it has no meaning of its own."""
    text = """
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Largest:
            width: int = 1
            def check(self, updates):
                return None
            @property
            def apply(self):
                return lambda state, update: max(state, update)
        """
    original = class_hash(written(text).Largest)
    assert original != NO_SOURCE
    assert class_hash(written(text).Largest) == original
    assert class_hash(written(text.replace("max", "min")).Largest) != original


@dataclass(frozen=True)
class _Table:
    rates: tuple[float, ...]


def test_plain_data_of_each_kind_has_a_hash_of_its_own() -> None:
    """Frozen dataclasses as well, and mappings whatever their order."""
    values: list[Any] = [1, 1.0, True, "1", b"1", None, (1,), [1], {1}, {1: 1}, _Table((1.0,))]
    assert len({hash_of(value) for value in values}) == len(values)
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    assert hash_of(_Table((1.0,))) == hash_of(_Table((1.0,))) != hash_of(_Table((2.0,)))


def test_the_hash_is_the_same_on_every_release_of_python() -> None:
    """It was made on 3.11, 3.12 and 3.13: syntax trees differ among them, the normal form does not."""
    assert hash_of(_of_every_kind) == "9c7b87188bfa6672"


def _of_every_kind(event: Any, *rest: int, scale: float = 1_000.0, **more: Any) -> Any:
    """Has syntax that other releases of Python parse in their own way."""
    text: str = f"{event.shop!r:>{scale}}xy{event.amount:.3f}{'z'}"
    try:
        with open(text) as file:  # noqa: PTH123
            return [*rest, {**more, "k": [line for line in file if (size := len(line))]}, size]
    except* OSError:
        pass
    match event:
        case {"x": [1, *_]} | None:
            return -1
    return lambda x, /, y=2: (x, (yield y))
