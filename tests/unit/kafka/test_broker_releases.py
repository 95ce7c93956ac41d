"""How old brokers are, told from what librdkafka logs of their first answer."""

import pytest

from stream_app.kafka.broker_releases import missing, release, requests_told

PREFIX = "APIVERSION [rdkafka#producer-1] [thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1:   "


def told(**requests: tuple[int, int]) -> list[str]:
    """Lines as librdkafka 2.16 writes them: by name of a request, its number and newest version."""
    return [
        f"{PREFIX}ApiKey {name} ({number}) Versions 0..{newest}"
        for name, (number, newest) in requests.items()
    ]


def test_lines_of_the_log_are_read_and_others_left_alone() -> None:
    """The request that librdkafka has no name for, too; of two brokers the older one counts."""
    lines = [
        f"{PREFIX}Feature ZSTD: Fetch (10..32767) supported by broker",
        f"{PREFIX}ApiKey Unknown-74? (74) Versions 0..1",
        *told(Produce=(0, 13), Metadata=(3, 13)),
        *told(Produce=(0, 12)),
    ]
    assert requests_told(lines) == {74: 1, 0: 12, 3: 13}


@pytest.mark.parametrize(
    ("requests", "name"),
    [
        ({0: 13, 3: 13, 68: 1, 80: 1}, "4.1"),
        ({0: 12, 3: 13, 68: 1, 80: 1}, "4.0"),
        ({0: 11, 3: 12, 68: 0, 80: 0}, "3.9"),
        ({0: 9, 3: 12}, "3.1"),
        ({0: 9, 3: 11}, None),
    ],
)
def test_the_release_is_told_by_what_came_with_it(
    requests: dict[int, int], name: str | None
) -> None:
    """The newest one that all of it fits."""
    assert release(requests) == name


def test_what_a_worker_lacks_is_a_sentence() -> None:
    """Ids of topics always, KIP-848 only for who asks for it."""
    old, plain, new = {3: 11}, {3: 12}, {3: 13, 68: 1}
    assert "Kafka 3.1 is the oldest" in (missing(old, "classic") or "")
    assert missing(plain, "classic") is None
    assert "Kafka 4.0" in (missing(plain, "consumer") or "")
    assert missing(new, "consumer") is None
