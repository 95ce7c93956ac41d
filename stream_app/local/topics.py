"""Topics on a broker that makes none by itself."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
)

from .errors import LocalServiceError

_AS_THE_BROKERS_SAY = -1

ClientConfig = dict[str, str | int | float | bool]
"""librdkafka settings, as confluent-kafka's clients take them."""


def create_topics(
    bootstrap: str,
    topics: Mapping[str, int],
    config: Mapping[str, str] | None = None,
    *,
    client: ClientConfig | None = None,
    timeout_seconds: float = 30.0,
) -> None:
    """Create each topic with its number of partitions and return when they can be used.

    A topic that exists is left as it is. `config` are topic settings, `client` further settings of
    the connection (security). How often each is kept is the brokers' own default.
    """
    if not topics:
        return
    # What goes wrong is raised; librdkafka need not print it as well.
    admin = AdminClient({"log_level": 0, **(client or {}), "bootstrap.servers": bootstrap})
    wanted = [
        NewTopic(
            name,
            num_partitions=partitions,
            replication_factor=_AS_THE_BROKERS_SAY,
            config=dict(config or {}),
        )
        for name, partitions in topics.items()
    ]
    # The operation's time makes the controller answer only when the topics exist.
    futures = admin.create_topics(
        wanted, operation_timeout=timeout_seconds, request_timeout=timeout_seconds
    )
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise LocalServiceError(
                    f"Cannot create the topic {name}: {reason.str()}"
                ) from error
