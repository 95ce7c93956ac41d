"""A producer's own tests ask whether the worker would take what it sends."""

import pytest

import stream_app.testing
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.testing import Sent, validate
from tests.usecases import regression
from tests.usecases.regression import topic_of, usecase

NOW = 1_700_000_000.0


def test_the_surface_of_testing_is_these_names() -> None:
    """A name that is added or taken away is a change that authors notice: say so in CHANGELOG.md."""
    assert stream_app.testing.__all__ == [
        "Answer", "Invalid", "MemoryTopics", "Message", "Refusal", "Rehearsal", "Seen", "Sent",
        "StateSeen", "rehearse", "validate",
    ]  # fmt: skip


def test_records_that_the_worker_takes_give_an_empty_list() -> None:
    """Which is what a producer's test asserts."""
    events = regression.events(40, NOW)
    assert validate(usecase, [Sent(topic=topic_of(e, usecase), value=e, timestamp=NOW) for e in events]) == []  # fmt: skip


def test_each_that_it_would_not_take_says_which_and_why() -> None:
    """As its dead letter would."""
    good = Sent(topic="meters.readings", value=regression.events(3, NOW)[0], timestamp=NOW)
    bad = Sent(topic="meters.readings", value={**good.value, "kilowatts": -1.0}, timestamp=NOW)
    found = validate(usecase, [good, bad, Sent(topic="meters.readings", value=None)])
    assert [(each.number, each.reason, each.field) for each in found] == [
        (1, "out-of-range", "kilowatts"),
        (2, "tombstone", ""),
    ]
    assert found[0].sent is bad
    assert found[0].message.startswith("field kilowatts: ")


def test_the_limits_are_those_of_the_settings() -> None:
    """Else those that a worker has by default."""
    sent = Sent(topic="meters.readings", value=b" " * 2_000 + b"{}", timestamp=NOW)
    found = validate(usecase, [sent], settings=Settings(max_value_bytes=1_024))
    assert [each.reason for each in found] == ["value-too-large"]


def test_a_topic_that_the_use_case_does_not_read_is_named() -> None:
    """A misspelt one is no record that passes."""
    with pytest.raises(ConfigurationError, match=r"the topic meters\.raedings is none of those"):
        validate(usecase, [Sent(topic="meters.raedings", value={})])
