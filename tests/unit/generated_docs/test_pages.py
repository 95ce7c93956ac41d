"""The generated pages of docs/ are what the code says."""

from pathlib import Path

import pytest

from stream_app.generated_docs.pages import PAGES
from stream_app.generated_docs.runbook_page import PLACE, runbook_page

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    """If this fails: `python -m stream_app.generated_docs.pages` writes it anew."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_the_runbook_that_the_worker_serves_is_that_of_the_documents() -> None:
    """If this fails: `make docs` writes it anew."""
    page = (DOCS.parent / PLACE).read_text(encoding="utf-8")
    assert page == runbook_page()
    assert '<h2 id="streamapplag">' in page
