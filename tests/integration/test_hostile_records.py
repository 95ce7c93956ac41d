"""Records and use cases that do all that must not be: each costs one dead letter and no neighbour."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from stream_app.local import LocalRedis
from stream_app.records.headers import MOST_HEADERS, UNREADABLE
from stream_app.wire.dead_letter import headers_that_came
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Out, by_source, eventually
from tests.raw_records import RawRecord, write
from tests.services import Kafka
from tests.usecases import mistaken
from tests.usecases.mistaken import ASKING, MISTAKES

Place = tuple[str, int, int]

_BATCH_RECORDS = 20

#: Headers that are refused: what they are, the reason, and what is kept of them.
HEADERS: dict[str, tuple[list[tuple[bytes, bytes | None]], str, list[tuple[str, bytes | None]]]] = {
    "a name that is not UTF-8": (
        [(b"shift", b"\xff"), (b"\xff\xfe", b"kept"), (b"", None), (b"\xed\xa0\x80", b"")],
        "invalid-headers",
        [("shift", b"\xff"), (UNREADABLE, b"kept"), ("", None), (UNREADABLE, b"")],
    ),
    "very many": (
        [(b"a", b"")] * 60_000, "too-many-headers", [("a", b"")] * MOST_HEADERS,
    ),
}  # fmt: skip


@pytest.fixture(params=["at_least_once", "exactly_once"])
def testbed(
    request: pytest.FixtureRequest, kafka: Kafka, own_redis: LocalRedis, tmp_path: Path
) -> Iterator[Testbed]:
    """The use case that makes every mistake, on a Redis that may be emptied."""
    with closing(Cluster(kafka.bootstrap)) as cluster:
        settings = {"delivery": request.param}
        yield Testbed(mistaken, tmp_path, cluster, own_redis.url, settings)


class Traffic:
    """What is sent: each hostile record between two good ones of the same partition."""

    def __init__(self, testbed: Testbed) -> None:
        self.readings, self.requests = testbed.topics
        self.records: list[tuple[str, RawRecord]] = []
        """Each with its topic."""
        self.bad: dict[int, tuple[str, str, str]] = {}
        """By place in the list: what is wrong, stage and reason."""
        # Whole seconds: a column of the use case fails where the milliseconds end in 7.
        self.at = float(int(time.time()) - 100)
        for mistake, (stage, reason) in MISTAKES.items():
            for topic in (self.readings, self.requests):
                if mistake == "sum-overflows":
                    self.send(topic, "sum-fills", meter=f"full {topic}")
                self.send(topic, mistake, wrong=(stage, reason), meter=f"full {topic}")
        for mistake, (stage, reason) in ASKING.items():
            self.send(self.requests, mistake, wrong=(stage, reason))
        for topic in (self.readings, self.requests):
            for name, (headers, reason, _) in HEADERS.items():
                self.send(topic, name, wrong=("decode", reason), headers=headers)

    def send(
        self,
        topic: str,
        what: str,
        *,
        wrong: tuple[str, str] | None = None,
        meter: str = "m1",
        headers: Any = (),
    ) -> None:
        """Add a record between two good ones; `wrong`: the stage and reason it must fail with."""
        self._add(topic, f"good {len(self.records)}", "m1", 0.0, [(b"shift", b"1")])
        if wrong is not None:
            self.bad[len(self.records)] = (what, *wrong)
        late = 0.007 if what == "column-raises" else 0.0
        self._add(topic, f"{what} {len(self.records)}", meter, late, headers)
        self._add(topic, f"good {len(self.records)}", "m1", 0.0, [])

    def _add(self, topic: str, event_id: str, meter: str, late: float, headers: Any) -> None:
        self.at += 0.1 if late else 0.0
        when = round(self.at, 3) + late
        event: dict[str, Any] = {"event_id": event_id, "event_time": mistaken.iso(when)}
        event |= {"meter": meter, "area": "a1"}
        if topic == self.requests:
            event |= {"minutes_ahead": 30, "celsius": 1.5}
        else:
            event |= {"kilowatts": 2.5, "volts": 230.0}
        value = json.dumps(event).encode()
        self.records.append((topic, RawRecord(value, meter.encode(), headers, when)))
        # What comes behind it is not merged by its moment.
        self.at += 0.1 if late else 0.0

    def write(self, bootstrap: str) -> list[Place]:
        """Write all records, a few in a batch; return where each of them lies."""
        offsets: dict[str, list[int]] = {self.readings: [], self.requests: []}
        for topic, written in offsets.items():
            records = [record for at, record in self.records if at == topic]
            for first in range(0, len(records), _BATCH_RECORDS):
                some = records[first : first + _BATCH_RECORDS]
                begin = write(bootstrap, topic, 0, some)
                written.extend(range(begin, begin + len(some)))
        in_order = {topic: iter(written) for topic, written in offsets.items()}
        return [(topic, 0, next(in_order[topic])) for topic, _ in self.records]


def test_each_costs_one_dead_letter_and_no_neighbour(testbed: Testbed) -> None:
    """Its reason and cause are told, the state holds all others once, and can be built again."""
    traffic = Traffic(testbed)
    places = traffic.write(testbed.cluster.bootstrap)
    with testbed.worker() as worker:
        worker.until("all offsets are committed", testbed.drained)
        check_dead_letters(testbed, traffic, places)
        for topic in testbed.topics:
            bad = [1 for at in traffic.bad if traffic.records[at][0] == topic]
            name = "stream_app_dead_letters_total"
            assert worker.metric(name, topic=topic) == len(bad)
        bugs = worker.metric("stream_app_dead_letters_total", disposition="bug")
        assert bugs > 40
        # Reasons that decoders made up are no labels.
        assert worker.metric("stream_app_dead_letters_total", reason="other") == 4
        assert worker.stop() == 0
        log = worker.log
    for _, stage, reason in traffic.bad.values():
        assert f"stage {stage}, reason {reason}" in log
    assert "were dead-lettered for mistakes in code" in log
    assert max(map(len, log.splitlines())) < 2_000

    bad = {places[at] for at in traffic.bad}
    asked = {place for place in places if place[0] == traffic.requests} - bad
    predictions = by_source(testbed.predictions())
    assert predictions.keys() == asked
    assert all(len(copies) == 1 for copies in predictions.values())
    check_state(testbed, traffic, places)

    with closing(Redis.from_url(testbed.redis_url)) as client:
        client.flushall()
    with testbed.worker() as again:
        again.ready()
        again.until("the state is built again", lambda: rebuilt(again))
        assert again.stop() == 0
    check_state(testbed, traffic, places, in_order=False)
    assert len(testbed.dead_letters()) == len(traffic.bad)


def rebuilt(worker: Any) -> bool:
    """Whether records were applied again, and nothing is left to apply."""
    return bool(
        worker.metric("stream_app_rebuilt_records_total") > 0
        and worker.metric("stream_app_rebuilding_partitions") == 0
    )


def check_dead_letters(testbed: Testbed, traffic: Traffic, places: list[Place]) -> None:
    """One for each hostile record, with key and value as they came and the cause in words."""
    letters: dict[Place, Out] = {}
    for letter in testbed.dead_letters():
        place = letter.letter.topic, letter.letter.partition, letter.letter.offset
        assert place not in letters
        letters[place] = letter
    assert letters.keys() == {places[at] for at in traffic.bad}
    for at, (what, stage, reason) in traffic.bad.items():
        letter, (_, record) = letters[places[at]], traffic.records[at]
        told = letter.letter
        assert (letter.key, letter.value) == (record.key, record.value), what
        message = told.message
        assert (told.stage, told.reason) == (stage, reason), (what, message)
        assert 0 < len(message) <= 600, what
        assert len(told.field) <= 200, what
        if "raise" in what:
            assert "tests/usecases/mistaken.py:" in message or "usecases/mistaken.py:" in message
        came = headers_that_came(letter.headers)
        assert came == (HEADERS[what][2] if what in HEADERS else []), what


def check_state(
    testbed: Testbed, traffic: Traffic, places: list[Place], *, in_order: bool = True
) -> None:
    """Each record that is no dead letter, or became one at the score, is in the state once.

    `in_order`: applied in the merge's order, which a rebuilding does not keep: sums may differ in
    their last bits.
    """
    left_out = {places[at] for at, (_, stage, _) in traffic.bad.items() if stage != "score"}
    kept = [
        out
        for out in testbed.cluster.read(*testbed.topics)
        if (out.topic, out.partition, out.offset) not in left_out
    ]
    expected = testbed.expected_account(list(testbed.log(kept)))
    found = eventually("the state is written", lambda: testbed.account(expected))
    assert found.keys() == expected.keys()
    for key, (count, digest, newest, values) in expected.items():
        assert found[key][:3] == (count, digest, newest), key
        if in_order:
            assert list(map(repr, found[key][3])) == list(map(repr, values)), key
        assert found[key][3] == pytest.approx(values, rel=1e-9, nan_ok=True), key
