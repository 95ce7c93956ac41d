"""The runbook as the worker serves it: the status page's links lead there, wherever the worker runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["PLACE", "runbook_page"]

_ROOT: Final = Path(__file__).parents[2]
PLACE: Final = "stream_app/status_page/assets/runbook.html"
"""Where it belongs, in the repository."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<!-- Generated from docs/runbook.md by `python -m stream_app.generated_docs.pages`; do not edit. -->
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Runbook of stream-app</title>
<link rel="icon" href="icon.svg">
<link rel="stylesheet" href="status.css">
</head>
<body class="prose">
<nav aria-label="Back"><p><a href="./">Back to the status</a></p></nav>
<main>
{}
</main>
</body>
</html>
"""
#: To other documents, which a worker does not serve.
_ELSEWHERE: Final = re.compile(r'<a href="(?!#|https?:)[^"]*">(.*?)</a>', re.DOTALL)


def runbook_page() -> str:
    """`docs/runbook.md` as a page without anything from outside."""
    from markdown import Markdown

    text = (_ROOT / "docs" / "runbook.md").read_text("utf-8")
    made = Markdown(
        extensions=["tables", "toc"],
        extension_configs={"toc": {"slugify": lambda title, _: title.lower().replace(" ", "-")}},
    )
    return _PAGE.format(_ELSEWHERE.sub(r"\1", made.convert(text)))
