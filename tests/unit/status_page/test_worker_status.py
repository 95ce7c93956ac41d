"""What status.json says of a worker, made of real metrics, health and notes."""

import itertools
import json
import math

from stream_app.kafka.end_offsets import PartitionLag
from stream_app.observer.events import (
    BatchFinished,
    CommitFailed,
    MembershipChanged,
    PartitionsRebuilding,
    PartitionStopped,
    Rebalanced,
    RecordsGone,
    StoppedPartitions,
)
from stream_app.status_page.notes import Notes
from stream_app.status_page.partitions import PartitionHistory
from stream_app.status_page.problems import Lag
from stream_app.status_page.series import STEPS
from tests.browser.scenarios import HOSTILE, SCENARIOS, Scene, healthy, in_trouble, lagging
from tests.unit.builders import batch, failed, item, partition


def test_a_worker_that_keeps_up_is_well() -> None:
    """Its rates are those of what was counted, by what became of the records."""
    document = healthy().status.document()
    assert (document["well"], document["problems"]) == ("All is well", [])
    sums = {name: sum(filter(None, values)) for name, values in document["throughput"].items()}
    assert sums["state_only"] > sums["predicted"] > sums["dead_lettered"] > 0
    assert sums["skipped"] == 0
    assert {len(values) for values in document["throughput"].values()} == {STEPS}
    assert document["serving"][0]["served_by"] == "champion"
    assert document["serving"][0]["share"] == 1.0
    assert (
        0.01 < document["latency"]["last_minute"]["p50"] < document["latency"]["last_minute"]["p99"]
    )
    (reason,) = document["dead_letters"]["last_ten_minutes"]
    assert (reason["reason"], reason["count"]) == ("out-of-range", 300)


def test_every_scenario_is_json_that_any_program_reads() -> None:
    """No NaN and no infinity, which JSON does not have; and not large."""
    for make in SCENARIOS.values():
        text = json.dumps(make().status.document(), allow_nan=False)
        assert len(text) < 200_000


def test_a_worker_that_falls_behind_says_since_when_and_on_which_partition() -> None:
    """The first problem is the lag, and it began when it passed a minute."""
    document = lagging().status.document()
    first = document["problems"][0]
    assert (first["key"], first["level"], first["runbook"]) == ("lag", "trouble", "StreamAppLag")
    assert "flights." in first["detail"]
    history = document["partitions"][0]["history"]["seconds"]
    assert len(history) == STEPS
    assert history[0] < 1.0 < 50.0 < history[-1]


def test_what_waits_is_told_with_its_reason_and_noted_when_it_is_over() -> None:
    """Before it and behind it something happened."""
    scene = Scene()
    scene.health.waiting_for("redis", "Connection refused")
    scene.pass_by(3, lambda _: None)
    document = scene.status.document()
    assert document["problems"][0]["sentence"] == "The worker waits for redis: Connection refused"
    assert [each["service"] for each in document["waits"]] == ["redis"]
    assert document["problems"][0]["since"] == document["waits"][0]["since"]
    scene.health.arrived("redis")
    scene.pass_by(1, lambda _: None)
    document = scene.status.document()
    assert (document["problems"], document["waits"]) == ([], [])
    back, away = [each["what"] for each in document["happenings"]]
    assert away == "redis is away: Connection refused"
    assert back.startswith("redis is back after ")


def test_partitions_that_the_flood_breaker_stopped_are_told() -> None:
    """As long as they are stopped; none otherwise."""
    scene = Scene()
    scene.pass_by(1, lambda _: None)
    assert scene.status.document()["stopped_partitions"] == []
    why = "64 of its last 100 were refused"
    stopped = PartitionStopped(partition(3), 17, why, 5.0, is_new=True)
    scene.observer.tell(StoppedPartitions((stopped,), held=8))
    scene.pass_by(1, lambda _: None)
    document = scene.status.document()
    assert document["stopped_partitions"] == [
        {
            "topic": "orders", "partition": 3, "offset": 17, "since": 5.0,
            "why": "64 of its last 100 were refused",
        }
    ]  # fmt: skip
    assert document["problems"][0]["key"] == "stopped orders[3]"
    scene.observer.tell(StoppedPartitions((), held=8))
    scene.pass_by(1, lambda _: None)
    assert scene.status.document()["stopped_partitions"] == []


def test_a_lag_that_is_not_known_is_null() -> None:
    """In the figures and in the history."""
    scene = Scene()
    scene.lags = [PartitionLag("orders", 0, None, 0.0)]
    scene.pass_by(2, lambda _: None)
    (told,) = scene.status.document()["partitions"]
    assert told["records"] is None
    assert told["history"]["records"][-1] is None
    assert told["history"]["seconds"][-1] == 0.0


def test_partitions_beyond_the_most_are_told_without_history() -> None:
    """The memory and the document are bounded however many are held."""
    history = PartitionHistory()
    lags = [Lag("t", number, number, float(number)) for number in range(2_000)]
    history.take(0, lags)
    told = history.as_json(lags, 0)
    assert len(told) == 2_000
    assert sum(each["history"] is not None for each in told) <= 32
    history.take(1, lags[:1])
    assert len(history._series) == 1


def test_the_latest_dead_letters_are_kept_bounded_and_without_their_payload() -> None:
    """Twenty, newest first; of a hostile message so much as fits a line."""
    notes = Notes(clock=lambda: 9.0)
    (listener, *_) = notes.listeners()
    assert listener.kind is BatchFinished
    listener.call(BatchFinished(batch(1, [item(partition(), 1)])))
    assert notes.letters() == []
    listener.call(BatchFinished(batch(2, [failed(partition(), each) for each in range(500)])))
    letters = notes.letters()
    assert [each["offset"] for each in letters] == list(range(499, 479, -1))
    assert letters[0] == {
        "at": 9.0, "topic": "orders", "partition": 0, "offset": 499, "stage": "decode",
        "reason": "tombstone", "disposition": "poison", "message": "the record has no value",
    }  # fmt: skip


def test_hostile_text_is_one_bounded_line_in_the_document() -> None:
    """No control character of it comes through, and nothing reverses the text."""
    document = in_trouble().status.document()
    messages = [each["message"] for each in document["dead_letters"]["latest"]]
    assert len(messages) == len(HOSTILE)
    assert all(each.isprintable() and len(each) <= 500 for each in messages)


def test_what_befalls_the_worker_is_noted_once_and_counted() -> None:
    """The same thing again and again is one line."""
    times = itertools.count()
    notes = Notes(clock=lambda: float(next(times)))
    calls = {each.kind: each.call for each in notes.listeners()}
    calls[Rebalanced](Rebalanced("assigned", 4))
    calls[MembershipChanged](MembershipChanged(True, ""))
    for _ in range(3):
        calls[CommitFailed](CommitFailed("the brokers do not answer"))
    calls[RecordsGone](RecordsGone(partition(2), 7))
    calls[PartitionsRebuilding](PartitionsRebuilding(2))
    calls[PartitionsRebuilding](PartitionsRebuilding(1))
    assert notes.rebuilding[0] == 1
    assert notes.rebuilding[1] is not None
    calls[PartitionsRebuilding](PartitionsRebuilding(0))
    assert notes.rebuilding == (0, None)
    told = [(each["what"], each["times"]) for each in notes.happenings()]
    assert told == [
        ("All state is rebuilt", 1),
        ("State is rebuilt from the log, of 2 partitions", 1),
        ("7 records of orders[2] were deleted unread", 1),
        ("Offsets were not committed: the brokers do not answer", 3),
        ("4 partitions were assigned", 1),
    ]
    assert notes.gone == "orders[2]"
    for number in range(500):
        notes.happened(f"something {number}")
    assert len(notes.happenings()) == 30


def test_a_quiet_worker_has_rates_of_zero_and_no_latency() -> None:
    """A plot of zeros is a line at the bottom, and one of nothing is none."""
    scene = Scene()
    scene.work(10)
    scene.pass_by(20, lambda _: None)
    document = scene.status.document()
    assert document["throughput"]["predicted"][-1] == 0.0
    assert document["throughput"]["predicted"][0] is None
    assert document["latency"]["p50"][-1] is None
    assert not any(isinstance(each, float) and math.isnan(each) for each in document.values())
