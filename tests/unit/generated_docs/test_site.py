"""The documentation site: its pages that are made, and that it can be built."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stream_app
from stream_app.generated_docs.class_pages import GROUPS
from stream_app.generated_docs.docstrings import as_markdown
from stream_app.generated_docs.site import relinked

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Its build is strict: a broken link or anchor ends it."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_public_name_is_in_the_reference_or_has_a_page(site: Path) -> None:
    """With its text: a name alone explains nothing. Kinds of state and decoders have pages."""
    reference = (site / "reference.html").read_text()
    names = set()
    for group in GROUPS:
        names |= {member.__name__ for member in group.members}
        pages = [path.stem for path in (site / group.folder).glob("*.html")]
        assert len(pages) == len(group.members) >= 3
    for name in set(stream_app.__all__) - names:
        assert re.search(rf"<h3[^>]*>.*?\b{name}\b", reference, re.DOTALL), name
    assert "seconds since the epoch" in reference


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    """No font, script, style or picture: the site can be read where there is no network."""
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(?:https?:)?//")
    for page in site.rglob("*.html"):
        assert not loaded.search(page.read_text()), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text()), style.name


@pytest.mark.parametrize(
    ("markdown", "source", "expected"),
    [
        ("[a](docs/audit.md#fates)", "README.md", "[a](audit.md#fates)"),
        ("[a](../README.md#the-code)", "docs/audit.md", "[a](index.md#the-code)"),
        ("[a](delivery.md)", "docs/audit.md", "[a](delivery.md)"),
        ("[`a`](deploy/prometheus/alerts.yml)", "README.md", "`a`"),
        ("[a](docs/contracts/)", "README.md", "a"),
        ("[a](#below)", "README.md", "[a](#below)"),
        ("[a](https://x.example/y)", "README.md", "[a](https://x.example/y)"),
        ("[a](docs/nothing.md)", "README.md", "[a](docs/nothing.md)"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(
    markdown: str, source: str, expected: str
) -> None:
    """A file that is no page becomes plain text; what is broken stays, for the build to tell."""
    assert relinked(markdown, source) == expected


def test_a_topic_of_a_docstring_begins_a_paragraph() -> None:
    """Markdown would run them into one another; a colon within a sentence begins none."""
    assert as_markdown("One: a.\nMemory: 8 bytes, of\nwhich: two.") == (
        "\n**One:** a.\n\n**Memory:** 8 bytes, of\nwhich: two."
    )


def test_examples_are_shown_as_sessions() -> None:
    """Each up to its blank line; the text around them stays."""
    text = "First.\n\n    >>> 1 + 1\n    2\n\nThen.\n>>> a\n>>> b"
    assert as_markdown(text) == (
        "First.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nThen.\n```pycon\n>>> a\n>>> b\n```"
    )
