"""docs/your-own-model.md: the use case on it is one, for the project that the page begins."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import stream_app
from stream_app.cli import main
from stream_app.models.usecase_faults import usecase_faults

PAGE = Path(__file__).parents[2] / "docs" / "your-own-model.md"


def test_the_use_case_of_the_page_can_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the events and the answer of the new project, and what `stream_app` has."""
    (block,) = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    assert (
        CliRunner().invoke(main, ["new", "shop", "--directory", str(tmp_path / "shop")]).exit_code
        == 0
    )
    monkeypatch.syspath_prepend(str(tmp_path / "shop"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    module = ModuleType("own_model_page")
    file = tmp_path / "own_model_page.py"
    file.write_text(block)
    vars(module).update({name: getattr(stream_app, name) for name in stream_app.__all__})
    for each in ("events", "predictions", "views"):
        vars(module).update(vars(importlib.import_module(f"shop.{each}")))
    exec(compile(block, str(file), "exec"), vars(module))
    usecase = module.usecase
    assert usecase.features.columns == (
        "customer_orders", "customer_price", "channels", "price", "dearer"
    )  # fmt: skip
    assert list(usecase_faults(usecase)) == []
