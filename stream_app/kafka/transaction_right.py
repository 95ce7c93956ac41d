"""Whether the brokers would let a worker make transactions, asked without making one.

A producer is registered for a transactional id with a transaction timeout that no broker grants. The
brokers look at the rights first and at the timeout then, and only then write anything: so who has the
rights is refused for the timeout, and nothing is left behind.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from stream_app.kafka.errors import failure, is_for_transaction_timeout

__all__ = ["check_transaction_right"]

_LONGEST_MILLISECONDS: Final = 2**31 - 1
"""24 days: far more than the 15 minutes that transaction.max.timeout.ms is, unless somebody raised it."""

_mute = logging.getLogger(f"{__name__}.librdkafka")
_mute.addHandler(logging.NullHandler())
_mute.propagate = False  # librdkafka calls the refusal that is asked for a fatal error


def check_transaction_right(properties: Mapping[str, Any], seconds: float) -> None:
    """Return where transactions may be made under `transactional.id`.

    `properties`: librdkafka's, of a transactional producer. The id must not be a worker's: brokers
    that grant the timeout all the same would take it from the worker. `seconds`: how long it may take.
    Raises what `errors.failure` makes of the refusal.
    """
    asked = {
        **properties,
        "transaction.timeout.ms": _LONGEST_MILLISECONDS,
        "message.timeout.ms": _LONGEST_MILLISECONDS,
    }
    producer = Producer(asked, logger=_mute)
    try:
        producer.init_transactions(seconds)
    except KafkaException as refused:
        error = refused.args[0]
        if not is_for_transaction_timeout(error):
            doing = f"a transaction under the id {properties['transactional.id']}"
            raise failure(error, doing) from refused
