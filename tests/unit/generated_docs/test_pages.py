"""The generated pages of docs/ are what the code says."""

from pathlib import Path

import pytest

from stream_app.generated_docs.pages import PAGES

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    """If this fails: `python -m stream_app.generated_docs.pages` writes it anew."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()
