"""Producers: what they are made with."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.config.settings import Settings
from stream_app.kafka.producers import Producers, cause_of, died


class Made:
    """Keeps what producers are made with."""

    def __init__(self, **more: Any) -> None:
        self.properties: dict[str, Any] = {}
        self.producers = Producers({**Settings().producer_properties(), **more}, self)  # type: ignore[arg-type]

    def __call__(self, properties: dict[str, Any], **_: Any) -> None:
        """Note them."""
        self.properties = properties


def test_batches_get_smaller_until_they_hold_one_record() -> None:
    """A quarter each time, from what the settings say."""
    made = Made(**{"batch.size": "100000"})
    sizes = []
    while True:
        made.producers.batching()
        sizes.append(made.properties["batch.size"])
        if not made.producers.make_batches_smaller():
            break
    assert sizes == [100_000, 25_000, 6_250, 1]


def test_alone_each_record_is_a_batch_that_is_told_of() -> None:
    """Without idempotence, which would begin anew after each refusal; in transactions with it."""
    made = Made(**{"enable.gapless.guarantee": True})
    made.producers.alone()
    assert made.properties["batch.num.messages"] == 1
    assert made.properties["delivery.report.only.error"] is False
    assert made.properties["enable.idempotence"] is False
    assert "enable.gapless.guarantee" not in made.properties
    assert made.properties["acks"] == "all"
    made = Made(**{"transactional.id": "x"})
    made.producers.alone()
    assert made.properties["enable.idempotence"] is True


def test_the_clients_own_limit_is_far_from_the_brokers() -> None:
    """What a topic takes is for its max.message.bytes to say."""
    made = Made()
    made.producers.batching()
    assert made.properties["message.max.bytes"] == 64 * 2**20
    large = Settings(max_value_bytes=100 * 2**20).producer_properties()
    assert large["message.max.bytes"] > 100 * 2**20


@pytest.mark.parametrize(
    ("error", "dead"),
    [
        (None, True),
        (KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "told", True), True),
        (KafkaError(KafkaError._FATAL), True),
        (KafkaError(KafkaError._MSG_TIMED_OUT), False),
    ],
)
def test_which_producer_is_dead(error: KafkaError | None, dead: bool) -> None:
    """One with a fatal error, also where the library does not say that it is one."""
    assert died(error) is dead


def test_the_cause_of_a_system_error_is_the_exception_it_hides() -> None:
    """The library leaves one pending while it calls back."""
    told = KafkaError(KafkaError._FATAL)
    hiding = SystemError("returned a result with an exception set")
    hiding.__cause__ = KafkaException(told)
    assert cause_of(hiding) is told
    assert cause_of(KafkaException(told)) is told
    assert cause_of(SystemError("returned NULL without setting an exception")) is None
