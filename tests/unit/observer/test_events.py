"""Each kind of event says which files tell it."""

import ast
import re
from pathlib import Path

from stream_app.observer import events

PACKAGE = Path(events.__file__).parents[1]
KINDS = set(events.__all__) - {"WorkEvent"}


def made_in(path: Path) -> set[str]:
    """The kinds of events that a file makes."""
    tree = list(ast.walk(ast.parse(path.read_text())))
    known = {
        alias.name
        for node in tree
        if isinstance(node, ast.ImportFrom) and node.module == events.__name__
        for alias in node.names
    }
    called = {
        node.func.id
        for node in tree
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return KINDS & known & called


def test_each_kind_of_event_names_the_files_that_tell_it() -> None:
    """All of them, in a comment before its class."""
    source = Path(events.__file__).read_text()
    noted = re.findall(
        r"(?m)((?:^# .*\n)+)@dataclass\(frozen=True\)\nclass (\w+)\(WorkEvent\)", source
    )
    named = {kind: set(re.findall(r"`([\w/]+\.py)`", comment)) for comment, kind in noted}
    told: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for path in PACKAGE.rglob("*.py"):
        for kind in made_in(path):
            told[kind].add(path.relative_to(PACKAGE).as_posix())
    assert named == told
