"""The hooks of the documentation site (`mkdocs.yml`): pages that are made when it is built.

The README is its first page; the kinds of state and the reference come from the code. Links are written
for the repository, so those to files that are no pages become plain text.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import stream_app
import stream_app.testing

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = ["kinds", "on_config", "on_files", "on_page_markdown", "relinked"]

_ROOT: Final = Path(__file__).parents[2]
#: Files at the top of the repository that are pages.
_PAGES: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_KINDS: Final = "Kinds of state"
#: What the engine asks of a kind; its pages show the rest, which is what columns read.
_OF_A_KIND: Final = ("width", "format", "describe", "empty", "check", "apply")
_LINK: Final = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^()\s#]*)(#[^()\s]*)?\)")


def kinds() -> list[type]:
    """The public kinds of state."""
    public = [getattr(stream_app, name) for name in stream_app.__all__]
    return [
        each
        for each in public
        if isinstance(each, type)
        and not getattr(each, "_is_protocol", False)
        and all(hasattr(each, name) for name in _OF_A_KIND)
    ]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the kinds into the navigation."""
    pages = [{"All kinds": "kinds.md"}, *({k.__name__: _page_of(k)} for k in kinds())]
    config.nav = [{_KINDS: pages} if item == _KINDS else item for item in config.nav or ()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    made = {"kinds.md": _kinds_page(), "reference.md": _reference_page()}
    made |= {
        _page_of(kind): _from_docstrings(kind, level=1, without=_OF_A_KIND) for kind in kinds()
    }
    made |= {page: (_ROOT / path).read_text("utf-8") for path, page in _PAGES.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links that are right in the repository into links of the site."""
    sources = {name: path for path, name in _PAGES.items()}
    uri = page.file.src_uri
    if uri.startswith("kinds") or uri == "reference.md":
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


def _page_of(kind: type) -> str:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
    return f"kinds/{name}.md"


def _kinds_page() -> str:
    lines = [
        f"# {_KINDS}",
        "",
        "What an entity's state holds, how events update it, and what columns read from it. Every kind is",
        "the same for any interleaving of partitions, takes each record once, and has a fixed size.",
        "",
        "| kind | what it holds |",
        "|---|---|",
    ]
    for kind in kinds():
        doc = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
        lines.append(f"| [{kind.__name__}]({_page_of(kind)}) | {doc.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _reference_page() -> str:
    lines = [
        "# Reference",
        "",
        "All that an author of a use case imports: from `stream_app`, and from `stream_app.testing` in tests.",
        "The [kinds of state](kinds.md) have pages of their own.",
    ]
    for module in (stream_app, stream_app.testing):
        lines += ["", f"## {module.__name__}"]
        for name in module.__all__:
            found = getattr(module, name)
            if found not in kinds():
                lines += ["", _documented(name, found)]
    return "\n".join(lines) + "\n"


def _documented(name: str, found: Any) -> str:
    if inspect.isclass(found) or inspect.isfunction(found):
        return _from_docstrings(found, level=3)
    # A name for a type: what it is stands in the comment above it.
    return f"### {name}\n\n{_comment_above(name, stream_app._MODULE_OF[name])}"


def _comment_above(name: str, module: str) -> str:
    """The comment `#:` above a name, in the module or, where that is a package, in one of its own."""
    for each in [module, *(loaded for loaded in sys.modules if loaded.startswith(f"{module}."))]:
        source = inspect.getsource(import_module(each))
        if found := re.search(rf"(?m)((?:^#:.*\n)+){name}\b.*=", source):
            return re.sub(r"(?m)^#: ?", "", found[1])
    raise ValueError(f"{module}.{name} has no comment `#:` that says what it is")


def _from_docstrings(found: type | FunctionType, level: int, without: Sequence[str] = ()) -> str:
    name = found.__name__
    options = {
        "heading": name,
        "toc_label": name,
        "heading_level": level,
        "filters": ["!^_", *(f"!^{each}$" for each in without)],
    }
    return f"::: {found.__module__}.{found.__qualname__}\n    options: {json.dumps(options)}\n"
