"""What records ask for, whatever is in them."""

import json
import time
from typing import Any

import pytest
from pydantic import SecretStr

from stream_app.audit.judging import Judge
from stream_app.audit.ledger import Fate, Ledger, Terms
from stream_app.config.settings import Settings
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.wire.replays import Replay, Replays
from tests.unit.audit.messages import Headers, Unreadable, message
from tests.usecases import text

USECASE = text.make_usecase()
PLACE = PartitionId(USECASE.topics[0].name, 0)
SECRET = "correct-horse-battery"
ALL = Terms(committed=2**40, mark=None, outputs_removed_until=-1.0)


def ticket(**fields: Any) -> bytes:
    """The value of a valid record."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"event_id": "t", "event_time": now, "text": "hello"} | fields).encode()


def judged(
    *records: tuple[bytes | None, Headers], kind: Any = None, judge: Judge | None = None
) -> Ledger:
    """A ledger of these records, from offset 0 on."""
    options = {"kind": kind} if kind else {}
    made = [
        message(*PLACE, offset, value=value, headers=headers, seconds=time.time(), **options)
        for offset, (value, headers) in enumerate(records)
    ]
    ledger = Ledger(0, len(made))
    judge = judge or Judge(Settings(replay_secret=SecretStr(SECRET)), USECASE, 3_600.0)
    judge.book(made, {PLACE: ledger})
    assert made == []
    return ledger


def fates(ledger: Ledger) -> list[Fate]:
    """What would be said of the records now."""
    return [Fate(int(fate)) for part in ledger.judge(ALL) for fate in part.fates]


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xff\xfe", b"null", b"[" * 9_000, ticket(event_id="\ud800"), ticket(text=None)],
    ids=["none", "empty", "not UTF-8", "null", "nested", "a surrogate", "no text"],
)
def test_a_record_that_is_no_event_must_be_dead_lettered(value: bytes | None) -> None:
    """Whatever its bytes are; no key, no value and megabytes of it are records, too."""
    ledger = judged((value, None), (b"x" * 2**21, [("a", None), ("b", b"\xff")]), (ticket(), []))
    assert fates(ledger) == [Fate.WITHOUT_OUTPUT] * 3


def test_headers_that_cannot_be_read_end_no_audit() -> None:
    """The worker dead-letters their record; the account goes on."""
    ledger = judged((ticket(), None), kind=Unreadable)
    assert fates(ledger) == [Fate.WITHOUT_OUTPUT]


def test_only_a_genuine_replay_is_one() -> None:
    """Valid or not; one that only says so is counted, and is a record of its own."""
    origin = RecordId("x" * 22, 0, 0)
    replays = Replays(USECASE.name, SecretStr(SECRET))

    def headers(value: bytes) -> Any:
        return replays.headers(Replay(origin, applied=False), b"key", value)

    forged = headers(b"another value")
    judge = Judge(Settings(replay_secret=SecretStr(SECRET)), USECASE, 3_600.0)
    ledger = judged(
        (ticket(), headers(ticket())), (b"bad", headers(b"bad")), (ticket(), forged), judge=judge
    )
    assert [ledger.is_replay(offset) for offset in range(3)] == [True, True, False]
    assert judge.unbelieved_replays == 1
