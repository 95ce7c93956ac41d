"""What a person's fix changes, as it is shown."""

import json
import time
from pathlib import Path

import pytest

from stream_app.dead_letters.mending import differences, load_mend
from stream_app.errors import ConfigurationError
from stream_app.text.redaction import Redaction
from tests.unit.dead_letters.letters import letter

CARD = "4012-8888-8888-1881"


def shown(before: bytes | None, after: bytes | None, paths: str = "buyer.card") -> str:
    """The change as a replay prints it."""
    return "\n".join(letter(before).changed_to(after, Redaction(paths)).lines())


def test_numbers_and_names_that_come_twice_are_compared_as_they_stand() -> None:
    """Read as floats and as a dictionary, these would be equal, and the change not be seen."""
    told = list(differences(b'{"a":1.10,"a":2,"n":1e400}', b'{"a":1.1,"a":2,"n":1e401}'))
    assert '-  "a": 1.10,' in told
    assert '+  "a": 1.1,' in told
    assert '+  "n": 1e401' in told
    assert list(differences(b'{"a":1,"a":2}', b'{"a":2}'))


@pytest.mark.parametrize(
    "after",
    [
        json.dumps({"card": CARD}).encode(),
        json.dumps({"text": f"paid by {CARD} today"}).encode(),
        json.dumps({CARD: 1}).encode(),
        json.dumps([{"deep": [CARD]}]).encode(),
    ],
)
def test_what_is_redacted_is_not_shown_where_the_fix_moved_it(after: bytes) -> None:
    """A field that stood in the wrong place is what a fix is written for."""
    before = json.dumps({"buyer": {"card": CARD}, "n": 1}).encode()
    told = shown(before, after)
    assert told
    assert CARD not in told
    assert CARD not in shown(after, before)


def test_numbers_and_odd_texts_are_found_where_they_were_moved_to() -> None:
    """Whatever JSON makes of them."""
    odd = 'käse "\n12'
    before = json.dumps({"buyer": {"card": [40128888, {"n": odd}]}}).encode()
    told = shown(before, json.dumps({"a": "40128888", "b": odd, "c": 40128888}).encode())
    assert "40128888" not in told
    assert "se " not in told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"card={CARD}".encode(), json.dumps({"text": CARD}).encode()),
        (json.dumps({"buyer": {"card": CARD}}).encode(), f"card={CARD}".encode()),
        (
            json.dumps({"buyer": {"card": [f"{n:04}" for n in range(2_000)]}}).encode(),
            b'{"text":"0001"}',
        ),
    ],
)
def test_nothing_is_shown_of_a_change_where_nobody_can_say_what_is_redacted(
    before: bytes, after: bytes
) -> None:
    """What is no JSON is redacted whole, and so is what becomes of it."""
    assert shown(before, after) == "(what the fix changes is not shown: the value is redacted)"


def test_very_long_payloads_are_compared_in_part() -> None:
    """All of it would take minutes: lines that come often cost the most."""
    before = json.dumps([number % 150 for number in range(100_000)]).encode()
    after = json.dumps([(number * 7) % 151 for number in range(100_000)]).encode()
    began = time.monotonic()
    told = list(differences(before, after))
    assert time.monotonic() - began < 20.0
    assert told[-1] == "... 98,002 lines behind these are not compared"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("leaving:fix", "it calls sys.exit as it is imported"),
        ("raising:fix", "ZeroDivisionError"),
        ("no_such_fixes:fix", "there is no module no_such_fixes"),
        (":fix", "expected MODULE:FUNCTION"),
        ("json:", "expected MODULE:FUNCTION"),
        ("json:nothing", "has no attribute 'nothing'"),
    ],
)
def test_a_fix_that_cannot_be_loaded_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, why: str
) -> None:
    """Nothing is replayed, and the command does not end as if all had been."""
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)")
    (tmp_path / "raising.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=why):
        load_mend(spec)
