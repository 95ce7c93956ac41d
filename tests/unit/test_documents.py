"""What the documents name exists, and the README's tables are complete."""

import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_app.records.record_id import record_id_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]

#: A file by its extension, or a folder by the slash at its end.
_PATH = re.compile(
    r"(?<![\w./*-])((?:[\w.-]+/)*[\w.-]+\.(?:py|lua|md|yml|toml|lock|jsonl)|(?:[\w.-]+/)+)(?![\w/*])"
)
_MODULE = re.compile(
    r"(?<![\w./-])((?:stream_app|features|demo|benchmarks|tests)(?:\.[A-Za-z_]\w*)+)"
)

#: Of the reader's own project: `stream-app new orders` writes it, and a test walks through it.
_OF_A_PROJECT = (".venv/", "orders/", "views.py")

#: Named though no file of the repository.
_NOT_HERE = {
    "orders.py",  # of the reader's own
    "log.jsonl",
    "letters.jsonl",
    "train.py",
    "orders.jsonl",
    "artifacts/orders/",
    ".stream-app/chaos/",  # made by a run
    ".cache/site/",  # made by `make docs`
    "CONFIGURATION.md",  # librdkafka's
}


def code(text: str) -> Iterator[str]:
    """What stands in backticks, and every line of a block that shows files or commands."""
    fenced = re.findall(r"(?ms)^```(\w*)$\n(.*?)^```$", text)
    blocks = [block for language, block in fenced if language in ("", "sh")]
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    yield from blocks
    yield from re.findall(r"`([^`\n]+)`", prose)
    yield from re.findall(r"(?m)^    (\S.*)$", prose)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    """Relative to the repository, to the document, or to `stream_app/`, where files lie in rooms."""
    text = (ROOT / document).read_text()
    named = {path for piece in code(text) for path in _PATH.findall(piece)}
    named |= set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text))
    bases = (ROOT, (ROOT / document).parent, ROOT / "stream_app")
    missing = {
        path
        for path in named - _NOT_HERE
        if not path.startswith(_OF_A_PROJECT) and not any((base / path).exists() for base in bases)
    }
    assert not missing, f"{document} names what is not there"


def _attributes_of_spans() -> set[str]:
    """Their names begin as those of modules do."""
    source = (ROOT / "stream_app/otel/batch_spans.py").read_text()
    return set(re.findall(r'"(stream_app\.[\w.]+)"', source))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_that_a_document_names_exists(document: str) -> None:
    """By its dotted name, or an attribute of one."""
    named = {
        name for piece in code((ROOT / document).read_text()) for name in _MODULE.findall(piece)
    }
    for name in named - {"stream_app.toml"} - _attributes_of_spans():
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), f"{document}: {name}"


def test_the_ids_that_the_readme_shows_are_ids_of_records() -> None:
    """Those of the prediction, in header and value, and that of the dead letter, from its headers."""
    readme = (ROOT / "README.md").read_text()
    predictions = re.findall(r'prediction[-_]id"?: ?"?([^\s",]+)', readme)
    shown = dict(re.findall(r"dead-letter\.([a-z-]+): (\S+)", readme))
    letter = f"{shown['topic-id']}-{shown['partition']}-{shown['offset']}"
    assert len(predictions) == 2
    for named in (*predictions, letter):
        assert str(record_id_of(named)) == named


def rooms() -> list[str]:
    """What the README's table of rooms names first in each row, below `stream_app/`."""
    return re.findall(r"(?m)^\| `stream_app/([\w/.]+)` \|", (ROOT / "README.md").read_text())


def test_the_table_of_rooms_is_complete() -> None:
    """Each room is in it once, and so is a large room's inner one where newcomers look for it."""
    listed = [room.rstrip("/") for room in rooms()]
    assert len(listed) == len(set(listed))
    tree = {
        path.name
        for path in (ROOT / "stream_app").iterdir()
        if (path / "__init__.py").exists()
        or (path.suffix == ".py" and path.stem.strip("_") == path.stem)
    }
    assert {room for room in listed if "/" not in room} == tree
    for room in listed:
        assert (ROOT / "stream_app" / room).exists(), room


def test_the_table_of_rooms_is_in_the_order_of_the_layers() -> None:
    """Imports point down it, as it says."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c.get("containers") == ["stream_app"])
    depth = {room: at for at, layer in enumerate(layers) for room in layer.split(" | ")}
    depths = [depth[room.partition("/")[0].removesuffix(".py")] for room in rooms()]
    assert depths == sorted(depths)


def test_the_other_table_names_every_folder_of_the_repository() -> None:
    """Whatever git keeps at the top, hidden folders apart."""
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"(?m)^\| (`[^|]*) \|", readme)
    named = {path.partition("/")[0] for row in rows for path in re.findall(r"`([\w./-]+/)`", row)}
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not listed:
        pytest.skip("not a git repository")
    folders = {path.partition("/")[0] for path in listed if "/" in path}
    assert {folder for folder in folders if not folder.startswith(".")} == named


def test_the_change_that_contributing_shows_fits_the_file() -> None:
    """Its lines stand in `features/flights/views.py`, where its head says."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (diff,) = re.findall(r"(?ms)^```diff$\n(.*?)^```$", text)
    found = re.search(
        r"^\+\+\+ b/(\S+)\n@@ -(\d+),(\d+) \+\d+,\d+ @@\n(.*)", diff, re.MULTILINE | re.DOTALL
    )
    assert found is not None
    path, start, count, body = found.groups()
    before = [line[1:] for line in body.splitlines() if not line.startswith("+")]
    lines = (ROOT / path).read_text().splitlines()
    assert lines[int(start) - 1 :][: int(count)] == before
