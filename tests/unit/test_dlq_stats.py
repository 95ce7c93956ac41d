"""The charts of `stream-app dlq stats`."""

from collections import Counter

import pytest

from stream_app.cli.dlq.stats import _chart


@pytest.mark.parametrize("columns", [200, 100, 80, 40, 30])
def test_no_line_is_wider_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to thirty columns; names are cut before bars are."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = list(_chart("topic", Counter({"t" * 249: 1_234_567, "\x1b[31mred": 1})))
    assert max(map(len, lines)) <= columns
    assert [line.count("#") > 0 for line in lines[2:4]] == [True, True]
