"""The audit looks into outputs and behind the ends of logs, on a real broker."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from stream_app.audit import Fate, OffsetRange, PartitionId, Scope
from stream_app.records.record_id import record_id_of
from stream_app.wire.replays import Replay, Replays
from tests.integration.hand import SECRET, Hand, run
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent


@pytest.fixture
def hand(tickets: Testbed) -> Hand:
    """A group of the text classifier, whose every valid record asks for a prediction."""
    return Hand(tickets)


def with_header(sent: Sent, name: str, value: bytes | None) -> Sent:
    """An output with another value of a header."""
    return replace(sent, headers=[(n, value if n == name else was) for n, was in sent.headers])


def test_each_wrong_output_is_a_failure_with_a_figure_of_its_own(hand: Hand) -> None:
    """Null, no JSON, a broken contract, contradictions, another record's: none of them is 'fine'."""
    hand.send(12)
    hand.send(3, value=b"no event" * 9)
    good, letter = hand.prediction, hand.dead_letter
    sha256 = hashlib.sha256(b"another value").hexdigest().encode()
    outputs: list[tuple[str, Sent]] = [
        ("without_value", replace(good(0), value=None)),
        ("broken_contract", replace(good(1), value=b"{}")),
        ("broken_contract", good(2, probabilities={"praise": None})),
        ("broken_contract", replace(good(3), value=b"no JSON")),
        ("contradictory", good(4, prediction_id=hand.origin(5))),
        ("contradictory", good(5, origin=hand.origin(6))),
        ("of_another_record", good(6, event_id="another")),
        ("of_another_record", good(7, event_time="1970-01-01T00:00:01Z")),
        ("of_another_record", replace(good(8), key=None)),
        ("broken_contract", replace(good(9), headers=[])),
        ("without_value", replace(letter(12), value=None)),
        ("of_another_record", replace(letter(13), value=b"another value")),
        (
            "of_another_record",
            replace(letter(14, value_omitted_bytes=b"13", value_omitted_sha256=sha256), value=None),
        ),
    ]
    hand.testbed.cluster.produce(sent for _, sent in outputs)
    hand.predict([10, 11])
    hand.commit(15, 0)
    report = run(hand.testbed)
    found = report.as_json()
    expected = [fault for fault, _ in outputs]
    assert {fault: found[fault] for fault in expected} == {
        fault: expected.count(fault) for fault in expected
    }
    assert report.exit_status == 1
    # Nobody can tell which record the one without headers is of.
    assert (report.count(Fate.PREDICTED), report.count(Fate.WRONG_OUTPUT)) == (2, 12)
    assert report.ranges["missing"].kept == [OffsetRange(hand.topic, 0, 9, 9)]
    assert report.ranges["without_value"].kept == [
        OffsetRange(hand.topic, 0, at, at) for at in (0, 12)
    ]
    assert len(found["wrong_outputs"]) == len(outputs)
    only = frozenset({PartitionId(hand.topic, 0)})
    # A range without them is not to blame for them.
    assert run(hand.testbed, Scope(partitions=only, first=10, last=11)).exit_status == 0


def test_what_was_processed_and_is_in_no_log_any_more_is_a_failure(hand: Hand) -> None:
    """Outputs and commits behind the end, as an unclean election leaves them."""
    hand.send(3)
    hand.predict(range(3))
    hand.predict([7])
    hand.commit(5, 0)
    report = run(hand.testbed)
    assert report.ranges["no_record"].kept == [OffsetRange(hand.topic, 0, 7, 7)]
    assert report.ranges["cut_off"].kept == [OffsetRange(hand.topic, 0, 3, 4)]
    assert (report.count(Fate.PREDICTED), report.exit_status) == (3, 1)
    # New records take the places of those that were cut off; their id is taken already.
    hand.send(5)
    hand.predict(range(3, 8))
    hand.commit(8, 0)
    report = run(hand.testbed)
    assert report.as_json()["of_another_record"] == 1
    assert report.ranges["of_another_record"].kept == [OffsetRange(hand.topic, 0, 7, 7)]
    assert (report.cut_off, report.no_record, report.exit_status) == (0, 0, 1)


def test_a_forged_replay_gets_nobody_s_id_and_keeps_no_update_away(meters: Testbed) -> None:
    """Whatever its headers name: another record, itself, a letter of another application.

    A genuine replay has its first origin's id and is not applied again; the audit agrees with both.
    """
    meters.settings["replay_secret"] = SECRET
    readings, requests = meters.topics
    topic_id = meters.cluster.topic_ids(requests)[1][requests]
    made = meters.meters(90)
    asked = [replace(s, partition=0) for s in made if s.topic == requests]
    told = [replace(s, partition=0, headers=[]) for s in made if s.topic == readings]

    def says(origin: str, state: bytes = b"applied", token: bytes = b"") -> Any:
        return [
            ("replay-of", origin.encode()),
            ("replay-state", state),
            *([("replay-token", token)] if token else []),
        ]

    def genuine(sent: Sent, origin: str, *, applied: bool, of: str = "") -> Sent:
        replays = Replays(of or meters.usecase.name, SecretStr(SECRET))
        headers: Any = replays.headers(Replay(record_id_of(origin), applied), sent.key, sent.value)
        return replace(sent, headers=headers)

    def name(offset: int) -> str:
        return f"{topic_id}-0-{offset}"

    bad = replace(asked[6], value=b'{"event_id": "mended later"}', headers=[])
    sent = [
        replace(asked[0], headers=says(name(1))),  # before the record it names
        asked[1],
        replace(asked[2], headers=says(name(2))),  # itself
        replace(asked[3], headers=says("x" * 2**19 + "-0-0")),
        genuine(asked[4], name(1), applied=True, of="another-application"),
        replace(genuine(asked[5], name(1), applied=True), value=asked[7].value),
        bad,
        genuine(asked[6], name(6), applied=False),  # offset 7
        genuine(asked[1], name(1), applied=True),  # offset 8: predicted again, applied once
        *asked[8:],
        *(replace(s, headers=[("replay-state", b"applied")]) for s in told[:20]),
        *(replace(s, headers=says(name(0))) for s in told[20:40]),
        *told[40:],
    ]
    meters.cluster.produce(sent)
    with meters.worker() as worker:
        worker.until("all is processed", meters.drained)
    by_offset = {out.source[2]: out for out in meters.predictions()}
    ids = {offset: out.header("prediction-id") for offset, out in by_offset.items()}
    own = {offset: name(offset) for offset in ids}
    assert ids == own | {7: name(6), 8: name(1)}
    assert [out.header("replay-of") for _, out in sorted(by_offset.items())][:8] == [
        None, None, None, None, None, None, name(6), name(1),
    ]  # fmt: skip
    assert by_offset[0].header("replay-token") is None
    (letter,) = meters.dead_letters()
    assert letter.header("dead-letter.offset") == "6"
    report = run(meters, recompute_state=True, doubles_fail=True)
    assert report.exit_status == 0, json.dumps(report.as_json())
    assert report.count(Fate.REPLAYED) == 2
    assert report.count(Fate.DEAD_LETTERED) == 0
    assert report.repeated_by_replay == 1
    assert report.unbelieved_replays == 25
    assert report.recomputed is not None
    assert report.recomputed.equal == report.recomputed.states > 0
    # Without the secret the audit cannot know that they are replays, and says so.
    del meters.settings["replay_secret"]
    report = run(meters)
    assert (report.exit_status, report.as_json()["contradictory"]) == (1, 2)
    assert any("replay_secret" in note for note in report.notes)
