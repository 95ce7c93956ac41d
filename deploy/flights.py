"""For docker-compose.yml: create the demo's topics, then send its flights at a steady rate.

To every fiftieth event a malformed one is added, so that there are dead letters to look at.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from random import Random

from confluent_kafka import KafkaError, Message, Producer

from features.flights import usecase
from features.flights.data.malformed import KINDS, malformed
from features.flights.data.year import DECEMBER, records
from stream_app.cli.local import topics_of
from stream_app.config.settings import Settings
from stream_app.local import create_topics

_MALFORMED_EVERY = 50


def create() -> None:
    """Create every topic that the worker reads or writes; one that exists is left as it is."""
    settings = Settings.load()
    topics = topics_of(usecase, settings)
    create_topics(settings.bootstrap_servers, topics, client=settings.admin_properties())
    print("topics:", *topics)


def send(events: int, a_second: float) -> None:
    """Send the first `events` of December 2013 in the order in which they became known."""
    producer = Producer(Settings.load().producer_properties())
    print(f"sending {events} events, {a_second:g} a second")
    rng = Random(2013)
    begin = time.monotonic()
    for number, record in zip(count(), records(DECEMBER, events)):
        producer.poll(max(0.0, begin + number / a_second - time.monotonic()))
        producer.produce(record.topic, record.value, record.key, on_delivery=_report)
        if number % _MALFORMED_EVERY == 0:
            value, _ = malformed(rng, record.value, rng.choice(KINDS))
            producer.produce(record.topic, value, record.key, on_delivery=_report)
    producer.flush()
    print(f"sent {events} events in {time.monotonic() - begin:.0f} s")


def _report(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        sys.exit(f"not acknowledged: {error.str()}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["create"]:
            create()
        case ["send", events, a_second]:
            send(int(events), float(a_second))
        case _:
            sys.exit("flights.py create | flights.py send EVENTS EVENTS_A_SECOND")
