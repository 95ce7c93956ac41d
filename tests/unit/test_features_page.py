"""docs/features.md: every example runs, in the order of the page."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stream_app.features.fingerprint.differences import differences
from stream_app.generated_docs.class_pages import GROUPS

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_every_example_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says by its assertions what it shows; a file, for functions are told apart by their source."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    assert len(blocks) == 7
    file = tmp_path / "features_page.py"
    file.write_text("".join(blocks))
    module = ModuleType("features_page")
    monkeypatch.setitem(sys.modules, "features_page", module)
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    assert {"FraudScore", "answer"} <= vars(module).keys()
    (told,) = differences(module.FEATURES.describe(), module.changed.describe())
    assert f"the refusal says `{told}`" in page


#: What the engine asks of a kind, and no author reads.
_OF_THE_ENGINE = {"describe", "empty", "check", "agrees", "apply"}


def test_every_kind_of_state_is_told_with_what_can_be_read_of_it() -> None:
    """Who looks for a kind finds it on the page, not in a list of imports."""
    page = PAGE.read_text(encoding="utf-8")
    rows = {line.partition("|")[2].partition("|")[0]: line for line in page.splitlines()}
    kinds = next(group.members for group in GROUPS if group.title == "Kinds of state")
    for kind in kinds:
        (row,) = [line for first, line in rows.items() if f"`{kind.__name__}(" in first]
        reads = {name for name, own in vars(kind).items() if callable(own) and name[0] != "_"}
        told = set(re.findall(r"`(\w+)`", row.rstrip("| ").rpartition("|")[2]))
        assert reads - _OF_THE_ENGINE <= told, kind
        assert all(hasattr(kind, name) for name in told), kind
