"""What brokers say, as the audit takes it."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.audit.brokers import _allowed_ahead, answer_of
from stream_app.errors import ConfigurationError, ServiceAwayError


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"message.timestamp.after.max.ms": "3600000"}, 3_600.0),
        ({"message.timestamp.after.max.ms": str(2**63 - 1)}, 86_400.0),
        ({"message.timestamp.difference.max.ms": "60000"}, 60.0),
        ({"message.timestamp.type": "LogAppendTime"}, 0.0),
        ({}, 86_400.0),
    ],
)
def test_a_record_s_timestamp_may_be_ahead_as_far_as_its_topic_lets_it(
    told: dict[str, str], seconds: float
) -> None:
    """So an output that retention removed is not called missing because of a producer's clock."""
    assert _allowed_ahead(told) == seconds


@pytest.mark.parametrize("code", [KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT])
def test_an_absence_is_told_from_a_refusal(code: int) -> None:
    """Status 3 asks to try again later; a missing right does not come back by itself."""
    away = answer_of(KafkaException(KafkaError(code)))
    assert isinstance(away, ServiceAwayError)
    refused = answer_of(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    assert isinstance(refused, ConfigurationError)
    assert str(refused).startswith("Kafka refuses the audit: ")
