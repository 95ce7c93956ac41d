"""docs/features.md: every example runs, in the order of the page."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stream_app.features.fingerprint.differences import differences

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_every_example_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says by its assertions what it shows; a file, for functions are told apart by their source."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    assert len(blocks) == 5
    file = tmp_path / "features_page.py"
    file.write_text("".join(blocks))
    module = ModuleType("features_page")
    monkeypatch.setitem(sys.modules, "features_page", module)
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    assert {"FraudScore", "answer"} <= vars(module).keys()
    (told,) = differences(module.FEATURES.describe(), module.changed.describe())
    assert f"the refusal says `{told}`" in page
