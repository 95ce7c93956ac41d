"""The catalogue of reasons and the code that gives reasons are the same list."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stream_app
from stream_app.wire import reasons
from stream_app.wire.reasons import OTHER, REASONS, Reason, label

STAGES = ("decode", "enrich", "score", "publish")

#: Calls that give a reason, and which of their arguments it is.
GIVING = {"Failure": 1, "_Death": 1, "InvalidEventError": 0, "FeatureError": 0, "_Blame": 0}

#: Variables, attributes and tables that hold reasons.
HOLDING = {"reason", "degraded", "REBUILDING", "_REASON_OF_TYPE", "_REASONS"}
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
ONE_WORD = {"tombstone", "unscorable"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Every module that may give a reason."""
    root = Path(stream_app.__file__).parent
    for path in root.rglob("*.py"):
        if (
            path.relative_to(root).parts[0] not in {"local", "cli", "audit"}
            and path.name != "reasons.py"
        ):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def texts(node: ast.expr) -> Iterator[str]:
    """Reasons in an expression: the values of a table, both sides of a condition."""
    for part in node.values if isinstance(node, ast.Dict) else [node]:
        for each in ast.walk(part):
            text = each.value if isinstance(each, ast.Constant) else None
            if isinstance(text, str) and (KEBAB.fullmatch(text) or text in ONE_WORD):
                yield text


def named(node: ast.expr) -> str:
    """The name of a variable or an attribute; empty for any other expression."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def given(tree: ast.Module) -> Iterator[str]:
    """Reasons that a module gives."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            at = GIVING.get(named(node.func))
            if at is not None and len(node.args) > at:
                yield from texts(node.args[at])
            if isinstance(node.func, ast.Attribute) and named(node.func.value) in HOLDING:
                for argument in node.args:  # of TABLE.get(what, "else-this")
                    yield from texts(argument)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(named(target) in HOLDING for target in targets):
                yield from texts(node.value)


def test_every_reason_that_the_code_gives_is_in_the_catalogue_and_no_other() -> None:
    """A reason that nobody gives is deleted from the catalogue; one that is new is explained there."""
    found: dict[str, set[str]] = {}
    for path, tree in trees():
        for reason in given(tree):
            found.setdefault(reason, set()).add(path.name)
    unexplained = {
        reason: sorted(paths) for reason, paths in found.items() if reason not in REASONS
    }
    assert not unexplained
    assert REASONS.keys() - found.keys() == set()


def test_the_catalogue_says_which_file_chooses_each_reason() -> None:
    """Whoever wonders about a dead letter opens the catalogue and the one file that it names."""
    root = Path(stream_app.__file__).parent
    chosen = {
        (path.relative_to(root).as_posix(), reason)
        for path, tree in trees()
        for reason in given(tree)
    }
    said, file = set(), ""
    for word in re.findall(r"[\w/.-]+", reasons.__doc__ or ""):
        if word.endswith(".py"):
            file = word
        elif word in REASONS:
            said.add((file, word))
    assert said == chosen


def test_every_failure_names_a_stage_and_a_disposition_of_the_catalogue() -> None:
    """Where the code says them in letters."""
    seen = 0
    for path, tree in trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id != "Failure" or not isinstance(node.args[1], ast.Constant):
                continue
            seen += 1
            reason = REASONS[str(node.args[1].value)]
            if isinstance(node.args[0], ast.Constant):
                assert node.args[0].value in reason.stages, (path, node.lineno)
            said = {each.arg: each.value for each in node.keywords}.get("disposition")
            disposition = said.value if isinstance(said, ast.Constant) else "poison"
            assert disposition == reason.disposition, (path, node.lineno)
    assert seen > 10


@pytest.mark.parametrize("reason", REASONS.values(), ids=list(REASONS))
def test_a_reason_answers_every_question_in_sentences(reason: Reason) -> None:
    """What it means, what a producer and an operator do, and whether a replay helps."""
    assert KEBAB.fullmatch(reason.code) or reason.code in ONE_WORD
    assert reason.stages
    assert set(reason.stages) <= set(STAGES)
    assert reason.disposition in ("poison", "bug", "")
    assert reason.disposition or reason.degrades
    for sentence in (reason.producer, reason.operator, reason.replay):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert not reason.meaning.endswith(".")


def test_codes_are_listed_once() -> None:
    """A second one of a code would hide the first."""
    source = Path(stream_app.__file__).parent / "wire" / "reasons.py"
    listed = re.findall(
        r'(?:Reason|_event|_use_case)\(\s*"([a-z0-9-]+)"', source.read_text("utf-8")
    )
    assert sorted(listed) == sorted(REASONS)


def test_a_reason_that_a_decoder_made_up_is_no_label() -> None:
    """Each label costs memory in whoever collects metrics."""
    assert label("missing-field") == "missing-field"
    assert label("made up") == OTHER
