"""The lag of groups as Prometheus scrapes it."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from stream_app.kafka.queries import Member
from stream_app.lag.exporter import METRICS, GroupLagCollector
from stream_app.lag.group import Standing
from stream_app.lag.verdict import Verdict
from stream_app.lag.waiting_records import Waiting
from stream_app.lag.watch import Known, PartitionLag, Sight
from stream_app.records.places import PartitionId

PAGE = Path(__file__).parents[3] / "docs" / "lag.md"


def scraped(*lags: PartitionLag, at: float) -> str:
    """What is served of one group that was looked at then."""
    sight = Sight("g")
    sight.known = Known(list(lags), at)
    registry = CollectorRegistry()
    registry.register(GroupLagCollector([sight]))
    return generate_latest(registry).decode()


def lag(**changes: object) -> PartitionLag:
    """A partition with three records waiting since second 0."""
    given: dict[str, object] = {
        "partition": PartitionId("t", 1),
        "standing": Standing(5, 0, 9, Member("m", "c", "/h", None)),
        "waiting": Waiting(3, True, 0.0),
        "rate": 1.0,
        "drain_seconds": None,
        "verdict": Verdict.STALL,
    }
    return PartitionLag(**(given | changes))


def test_seconds_grow_while_nobody_answers() -> None:
    """The record waits since the epoch: whoever asks is told its age now, not then."""
    text = scraped(lag(), at=0.0)
    (line,) = [
        each for each in text.splitlines() if each.startswith("stream_app_group_lag_seconds")
    ]
    assert float(line.split()[-1]) > 1e9
    assert 'stream_app_group_lag_records{group="g",partition="1",topic="t"} 3.0' in text
    assert 'verdict="stall"} 1.0' in text
    assert 'verdict="ok"} 0.0' in text
    assert 'stream_app_group_members{group="g"} 1.0' in text


def test_what_is_not_known_is_absent() -> None:
    """No offset, no timestamp and no end in sight are no zeros."""
    unknown = lag(standing=Standing(None, 0, 9, None), waiting=Waiting(3, False, None))
    text = scraped(unknown, at=0.0)
    for name in ("lag_seconds", "drain_seconds", "committed_offset"):
        assert f"stream_app_group_{name}{{" not in text


def test_a_group_that_is_gone_keeps_the_age_of_its_figures() -> None:
    """It has no partitions and no members; a series that vanishes would alert nobody."""
    text = scraped(at=0.0)
    assert 'stream_app_group_members{group="g"} 0.0' in text
    assert 'stream_app_group_looked_seconds{group="g"} ' in text
    assert "stream_app_group_lag_records{" not in text


def test_the_page_names_every_metric_and_what_it_says() -> None:
    """As the code has it."""
    page = PAGE.read_text()
    for name, doc in METRICS.items():
        assert f"| `{name}` | {doc} |" in page
