"""A look at everything before the group is joined: a wrong setting takes no partition from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from stream_app.delivery.publish import Publishing
from stream_app.errors import ConfigurationError, FatalError
from stream_app.features.stores import Store
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.co_partitioning import tell_whether_co_partitioned
from stream_app.kafka.output_topics import OutputTopics
from stream_app.kafka.topic_ids import TopicIds
from stream_app.state.store_errors import ask
from stream_app.waiting.retry import Retry

__all__ = ["Preflight"]

_REACH_SECONDS: Final = 2.0


class Preflight:
    """Reaches everything once, on the client thread; a service that is away is waited for."""

    def __init__(
        self,
        retry: Retry,
        brokers: Brokers,
        topics: Sequence[str],
        topic_ids: TopicIds,
        output_topics: OutputTopics,
        publish: Publishing,
        store: Store,
    ) -> None:
        """`topics`: those of events."""
        self._retry = retry
        self._reach = partial(brokers.within(_REACH_SECONDS).reach, topics)
        self._checks: list[tuple[str, Callable[[], None]]] = [
            ("kafka", lambda: tell_whether_co_partitioned(topic_ids.partitions())),
            ("kafka", output_topics.check),
            ("kafka", publish.check),
            ("redis", partial(ask, store.check_access)),
        ]
        self.is_over = False
        """Until it is, the worker is in no group."""

    def __call__(self) -> None:
        """Look; raises `ConfigurationError` for what cannot work.

        Its sentence names the setting, the topic or the right.
        """
        self._retry("kafka", self._reach)
        try:
            for service, check in self._checks:
                self._retry(service, check)
        except FatalError as error:
            # A permanent refusal at the start means that the worker's configuration is wrong.
            raise ConfigurationError(str(error)) from error
        self.is_over = True
