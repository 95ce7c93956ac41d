"""The harness: a list of records in, what became of each out."""

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from stream_app.models import load_models
from stream_app.testing import Sent, rehearse
from tests.usecases import regression
from tests.usecases.regression import topic_of, train, usecase


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model version of the regression."""
    folder = tmp_path_factory.mktemp("artifacts")
    train(folder)
    return folder


def sent(events: list[dict[str, Any]]) -> list[Sent]:
    """Events as they are sent."""
    return [Sent(topic=topic_of(e, usecase), value=e, key=e["meter"]) for e in events]


def test_each_prediction_comes_with_its_record_its_row_and_its_fields(artifacts: Path) -> None:
    """In the order in which the records were given, though they went to several partitions."""
    records = sent(regression.events(60, 1_700_000_000.0))
    seen = rehearse(usecase, records, artifacts=artifacts)
    asked = [each for each in records if "celsius" in each.value]  # type: ignore[operator]
    assert [answer.sent.value for answer in seen.predictions] == [each.value for each in asked]
    assert seen.dead_letters == []
    last = seen.predictions[-1]
    assert last.row["celsius"] == asked[-1].value["celsius"]  # type: ignore[index,call-overload]
    assert last["peak"] == (last["kilowatts"] > 3.0)
    assert list(last.row) == list(usecase.features.columns)
    assert seen.rows[0]["meter_mean"] != seen.rows[0]["meter_mean"] or math.isfinite(
        seen.rows[0]["meter_mean"]
    )


def test_what_is_refused_says_why_and_its_neighbours_pass(artifacts: Path) -> None:
    """Bytes that are no event, a value out of range, and a tombstone."""
    good = regression.events(3, 1_700_000_000.0)
    records = sent(good)
    records[1:1] = [
        Sent(topic="meters.readings", value=b"\xff"),
        Sent(topic="meters.readings", value=good[0] | {"kilowatts": -1.0}),
        Sent(topic="meters.requests", value=None, key="m1"),
    ]
    seen = rehearse(usecase, records, artifacts=artifacts)
    assert len(seen.predictions) == 1
    assert [refusal.sent.value for refusal in seen.dead_letters] == [
        each.value for each in records[1:4]
    ]
    assert [(each.reason, each.field) for each in seen.dead_letters] == [
        ("invalid-utf8", ""),
        ("out-of-range", "kilowatts"),
        ("tombstone", ""),
    ]


def test_states_are_seen_by_view_and_entity(artifacts: Path) -> None:
    """With the number of their updates and the columns that would be read next."""
    at = "2024-01-01T00:00:00Z"
    records = [
        Sent(
            topic="meters.readings",
            value={"event_id": str(n), "event_time": at, "meter": "m1", "kilowatts": 2.0 + n},
        )
        for n in range(3)
    ]
    seen = rehearse(usecase, records, artifacts=artifacts)
    load = seen.states["meter_load"]["m1"]
    assert (load.updates, load.newest) == (3, 1_704_067_200.0)
    assert load.columns == {"meter_mean": 3.0, "meter_readings": 3.0}
    assert seen.states["area_load"] == {}


def test_records_take_effect_in_the_order_given_unless_they_say_a_time(artifacts: Path) -> None:
    """A request given first sees nothing of a reading that happened before it."""
    request = {"event_id": "r", "event_time": "2024-01-01T01:00:00Z", "meter": "m1",
               "minutes_ahead": 1, "celsius": 3.0}  # fmt: skip
    reading = {"event_id": "s", "event_time": "2024-01-01T00:30:00Z", "meter": "m1",
               "kilowatts": 5.0}  # fmt: skip
    unknown = rehearse(usecase, sent([request, reading]), artifacts=artifacts)
    assert math.isnan(unknown.rows[0]["meter_last"])
    known = rehearse(usecase, sent([reading, request]), artifacts=artifacts)
    assert known.rows[0]["meter_last"] == 5.0
    late = [
        Sent(topic="meters.requests", value=request, timestamp=1_704_080_000.0),
        Sent(topic="meters.readings", value=reading, timestamp=1_704_070_000.0),
    ]
    assert rehearse(usecase, late, artifacts=artifacts).rows[0]["meter_last"] == 5.0


def test_a_record_that_can_go_nowhere_is_a_mistake_of_the_test(artifacts: Path) -> None:
    """It is named by its number, and the topics there are are listed."""
    with pytest.raises(ValueError, match=r"record 0 goes to the topic meters.requets; .*readings"):
        rehearse(usecase, [Sent(topic="meters.requets", value={})], artifacts=artifacts)
    with pytest.raises(ValueError, match=r"record 0 goes to partition 3 of meters.readings, which"):
        rehearse(
            usecase, [Sent(topic="meters.readings", value={}, partition=3)], artifacts=artifacts
        )


def test_headers_and_keys_may_be_text_or_bytes(artifacts: Path) -> None:
    """They are passed on as bytes."""
    (request,) = [e for e in regression.events(3, 1_700_000_000.0) if "celsius" in e]
    seen = rehearse(
        usecase,
        [Sent(topic="meters.requests", value=json.dumps(request).encode(), key=b"\x00",
              headers={"trace": "ä", "raw": b"\xff"})],
        artifacts=artifacts,
    )  # fmt: skip
    (answer,) = seen.predictions
    assert answer.message.key == b"\x00"
    assert {("trace", "ä".encode()), ("raw", b"\xff")} <= set(answer.message.headers)


def test_thousands_of_records_take_a_second(artifacts: Path) -> None:
    """7,000 to 10,000 a second were measured; a bound below that guards against work that grows faster."""
    records = sent(regression.events(6_000, 1_700_000_000.0))
    models = load_models(usecase, artifacts)
    began = time.process_time()  # what else the machine does is not counted
    seen = rehearse(usecase, records, models=models)
    assert len(records) / (time.process_time() - began) > 2_000
    assert len(seen.predictions) == 2_000
