"""The hooks of the documentation site (`mkdocs.yml`): pages that are made when it is built.

The README is its first page, and what is in docstrings has pages too. Links are written for the
repository, so those to files that are no pages become plain text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stream_app.generated_docs.class_pages import GROUPS, class_pages

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = ["on_config", "on_files", "on_page_markdown", "relinked"]

_ROOT: Final = Path(__file__).parents[2]
#: Files at the top of the repository that are pages.
_PAGES: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK: Final = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^()\s#]*)(#[^()\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of each group where the navigation names the group."""
    groups = {group.title: group.nav for group in GROUPS}
    config.nav = [
        groups.get(item, item) if isinstance(item, str) else item for item in config.nav or ()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    at_the_top = {page: (_ROOT / path).read_text("utf-8") for path, page in _PAGES.items()}
    for name, content in {**at_the_top, **class_pages()}.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links that are right in the repository into links of the site."""
    sources = {name: path for path, name in _PAGES.items()}
    uri = page.file.src_uri
    if uri in class_pages():
        return markdown
    return relinked(markdown, sources.get(uri, f"docs/{uri}"))


def relinked(markdown: str, source: str) -> str:
    """A page of the repository with the links of the site; `source` is its path there."""
    return _LINK.sub(lambda found: _link(found, (_ROOT / source).parent), markdown)


def _link(found: re.Match[str], folder: Path) -> str:
    text, path, anchor = found[1], found[2], found[3] or ""
    target = (folder / path).resolve()
    if not path or not target.is_relative_to(_ROOT) or not target.exists():
        return found[0]  # within the page, or wrong: the build tells
    within = target.relative_to(_ROOT).as_posix()
    page = _PAGES.get(within)
    if page is None and within.startswith("docs/") and target.is_file():
        page = within.removeprefix("docs/")
    return text if page is None else f"[{text}]({page}{anchor})"
