"""docs/features.md: every example runs, in the order of the page."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_every_example_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says by its assertions what it shows; a file, for functions are told apart by their source."""
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 5
    file = tmp_path / "features_page.py"
    file.write_text("".join(blocks))
    module = ModuleType("features_page")
    monkeypatch.setitem(sys.modules, "features_page", module)
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    assert {"FraudScore", "answer", "differences"} <= vars(module).keys()
