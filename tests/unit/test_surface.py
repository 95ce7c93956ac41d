"""The surface: what an author of a use case imports, and all that needs importing."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stream_app

ROOT = Path(__file__).parents[2]

#: A name that is added or taken away is a change that authors notice: say so in CHANGELOG.md.
SURFACE = [
    "AvroDecoder", "CloudEvent", "CloudEventsDecoder", "Column", "DecayedMoments",
    "DecayedShare", "DecayedSums", "Decoder", "Derived", "Distinct", "DistinctEver", "Entity",
    "EpochMilliseconds", "EpochSeconds", "Event", "Extremes", "FeatureSet", "HeaderDecoder",
    "InputTopic", "InvalidEventError", "JsonDecoder", "JsonSchemaDecoder", "LastN", "LastText",
    "LastValue", "LogRecord", "Matrix", "Message", "Moment", "OpenItems", "Outcome", "Outputs",
    "Packaged", "Prediction", "ProtobufDecoder", "Row", "RowFeature", "ServiceAwayError",
    "State", "TimeBounds", "Update", "UseCase", "View", "Windows", "fit_one_hot", "fit_ordinal",
    "fit_target_mean", "from_header", "from_key", "from_timestamp", "make_matrix", "package",
    "per_batch", "read_log", "read_topics", "replay", "run_script",
]  # fmt: skip

SERVICES = ("aiokafka", "confluent_kafka", "faust", "mode", "onnx", "onnxruntime", "redis")
HEAVY = (*SERVICES, "click", "numpy", "pydantic", "pydantic_settings", "prometheus_client")


def loaded_after(statements: str, modules: tuple[str, ...]) -> list[str]:
    """Which modules a new interpreter has loaded after some statements."""
    code = f"{statements}\nimport sys\nprint(*(set(sys.modules) & set({modules!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return sorted(done.stdout.split())


def test_the_surface_is_these_names() -> None:
    """No more, no fewer."""
    assert sorted(stream_app.__all__) == SURFACE


def test_each_name_is_loaded_under_its_own_name() -> None:
    """A class or function is called in its traceback and its documentation as it is imported."""
    for name in SURFACE:
        found = getattr(stream_app, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__name__ == name
            assert found.__module__.startswith(stream_app._MODULE_OF[name])
    assert set(SURFACE) <= set(dir(stream_app))


def test_type_checkers_are_told_the_module_that_a_name_is_loaded_from() -> None:
    """The imports that they read, and the table that is used at run time, say the same."""
    tree = ast.parse(inspect.getsource(stream_app))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    told = {
        alias.name: node.module
        for node in imports
        for alias in node.names
        if (node.module or "").startswith("stream_app.")
    }
    assert told == stream_app._MODULE_OF
    assert sorted(told) == SURFACE


def test_no_name_hides_a_room() -> None:
    """`from stream_app import NAME` must not depend on which rooms are imported."""
    rooms = {path.stem for path in (ROOT / "stream_app").iterdir()}
    assert not rooms & set(SURFACE)


def test_a_name_that_is_not_of_the_surface_is_missing_as_of_any_module() -> None:
    """With the sentences that Python has for it."""
    with pytest.raises(AttributeError, match="module 'stream_app' has no attribute 'Nonsense'"):
        _ = stream_app.Nonsense  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        from stream_app import Nonsense  # type: ignore[attr-defined]  # noqa: F401


def test_importing_the_library_loads_none_of_what_it_stands_on() -> None:
    """So that every command starts as fast as it can."""
    assert loaded_after("import stream_app", HEAVY) == []
    assert loaded_after("import stream_app.cli", HEAVY) == ["click"]


def test_no_name_of_the_surface_loads_a_client_of_a_service_or_a_runtime() -> None:
    """Use cases are imported where none of them is wanted: in training, in tests, by producers."""
    assert loaded_after("from stream_app import *", SERVICES) == []


def test_serving_the_demo_loads_neither_its_data_nor_its_training() -> None:
    """Nor what training stands on."""
    apart = ("features.flights.data", "features.flights.training", "lightgbm", "sklearn", *SERVICES)
    assert loaded_after("import features.flights", apart) == []


def authors_code() -> Iterator[tuple[str, str]]:
    """Where authors' code is, and it: the demo's use case, those of the tests, the documents'."""
    for folder in ("features", "tests/usecases", "tests/typing"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ):
        for number, block in enumerate(
            re.findall(r"(?ms)^```python$\n(.*?)^```$", path.read_text())
        ):
            yield f"{path.relative_to(ROOT)}, example {number + 1}", block


CODE = dict(authors_code())


def test_authors_code_is_found() -> None:
    """The next test would pass if nothing were."""
    assert {
        "features/flights/__init__.py",
        "features/flights/training/train.py",
        "tests/usecases/regression.py",
        "README.md, example 1",
    } <= CODE.keys()


@pytest.mark.parametrize("where", CODE)
def test_authors_import_nothing_deeper(where: str) -> None:
    """`stream_app` alone, and of it the names of the surface."""
    for node in ast.walk(ast.parse(CODE[where])):
        if isinstance(node, ast.Import):
            for alias in node.names:
                assert not alias.name.startswith("stream_app."), f"{where}:{node.lineno}"
        elif (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] == "stream_app"
        ):
            assert node.module == "stream_app", f"{where}:{node.lineno}"
            assert {alias.name for alias in node.names} <= set(SURFACE), f"{where}:{node.lineno}"
