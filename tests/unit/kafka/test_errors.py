"""The table that says what each error of Kafka means."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.errors import FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.error_table import TABLE
from stream_app.kafka.errors import Kind, failure, verdict

CODES = {
    code: name
    for name in dir(KafkaError)
    if name.isupper() and isinstance(code := getattr(KafkaError, name), int)
}


@pytest.mark.parametrize("code", sorted(CODES), ids=lambda code: CODES[code])
def test_every_code_of_the_installed_library_has_a_row(code: int) -> None:
    """An error that a newer librdkafka brings is noticed when it is installed, not at night."""
    assert code in TABLE


def test_a_code_that_nobody_knows_is_permanent() -> None:
    """To wait for what nobody knows would be to wait for ever."""
    assert verdict(KafkaError(9_999)).kind is Kind.PERMANENT


@pytest.mark.parametrize("code", sorted(CODES), ids=lambda code: CODES[code])
def test_a_permanent_error_says_what_to_do(code: int) -> None:
    """So does one that a record is to blame for; the others need nobody."""
    row = TABLE[code]
    assert bool(row.remedy) is (row.kind in {Kind.PERMANENT, Kind.RECORD})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TRANSPORT, ServiceAwayError),
        (KafkaError._AUTHENTICATION, RefusedError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, RefusedError),
        (KafkaError._FATAL, FatalError),
        (KafkaError._BAD_COMPRESSION, FatalError),
        (KafkaError._STATE, KafkaException),
    ],
)
def test_a_failed_request_raises_what_the_table_says(code: int, kind: type[Exception]) -> None:
    """The worker waits, waits for a while, ends with a sentence, or ends as by a bug."""
    assert type(failure(KafkaError(code), "describing the topic events")) is kind


def test_the_sentence_names_what_was_asked_and_the_remedy() -> None:
    """It is the last line in the log of a worker that ended."""
    sentence = str(failure(KafkaError(KafkaError.FENCED_INSTANCE_ID), "consuming"))
    assert "consuming" in sentence
    assert "group_instance_id" in sentence
