"""The audit survives what the worker survives, and does not call it wrong."""

import time
from dataclasses import replace

from stream_app.audit import Fate
from tests.integration.hand import run
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent, eventually
from tests.raw_records import RawRecord, write


def test_hostile_records_end_no_audit_and_are_no_failures(meters: Testbed) -> None:
    """Null values, headers that cannot be read, very many headers, huge keys, clocks that are off.

    Each has one outcome, the state holds what it must, and the audit says so.
    """
    readings, requests = meters.topics
    usual = meters.meters(60)
    some = replace(next(s for s in usual if s.topic == readings), partition=0)
    ask = replace(next(s for s in usual if s.topic == requests), partition=0)
    now = time.time()
    hostile: list[Sent] = [
        replace(some, value=None),
        replace(some, value=None, key=None),
        replace(some, value=b""),
        replace(some, value=b"\xff\xfe"),
        replace(some, value=b"[" * 5_000),
        replace(some, key=b"k" * 800_000),
        replace(some, key=b"\xff" * 10),
        replace(some, key=None),
        replace(some, key=b"", value=b"no JSON"),
        replace(ask, key=b""),
        replace(ask, key=b"\xed\xa0\x80"),
        replace(ask, headers=[(f"h{n}", b"") for n in range(20_000)]),
        replace(ask, headers=[("a", None), ("a", b"\xff"), ("prediction-id", b"mine")]),
        replace(ask, headers=[("dead-letter.offset", b"0"), ("source-topic-id", b"no")]),
        replace(some, headers=[("replay-state", b"applied")], timestamp=now + 1_800),
        replace(ask, timestamp=now + 1_800),
        replace(some, timestamp=1.0),
        replace(some, value=b'{"event_id": "\\ud800", "event_time": "2026-01-01T00:00:00Z"}'),
    ]
    meters.cluster.produce([*usual[:30], *hostile, *usual[30:]])
    for topic, value, name in (
        (readings, some.value, b"\xff\xfe"),
        (requests, ask.value, b"\xc3"),
    ):
        odd = RawRecord(value, headers=[(name, b"x")])
        write(meters.cluster.bootstrap, topic, 0, [odd])
    with meters.worker() as worker:
        worker.until("all is processed", meters.drained)
    report = run(meters, recompute_state=True, doubles_fail=True)
    told = report.as_json()
    assert report.exit_status == 0, told
    assert report.records == 60 + len(hostile) + 2
    assert report.count(Fate.DEAD_LETTERED) == len(meters.dead_letters()) >= 8
    assert told["wrong_outputs"] == []
    assert report.recomputed is not None
    assert report.recomputed.equal == report.recomputed.states > 0
    # The same after the state was built again from the log, by another clock.
    meters_rebuilt = meters.worker(command=("-m", "stream_app", "state", "rebuild"))
    with meters_rebuilt as rebuild:
        eventually("it is rebuilt", lambda: rebuild.wait(0.1) == 0)
    report = run(meters, recompute_state=True, doubles_fail=True)
    assert report.exit_status == 0, report.as_json()
