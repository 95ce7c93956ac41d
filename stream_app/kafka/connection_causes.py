"""Why there is no connection to the brokers, as librdkafka's clients tell it.

A request that is not answered only says that it timed out. The cause comes by another way: each
client reports what it met (refused, unknown host, TLS, password) to its `error_cb`. The latest of
these are kept here for whoever waits.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError

from stream_app.errors import RefusedError, ServiceAwayError
from stream_app.kafka.errors import (
    Kind,
    is_no_broker_left,
    is_unreadable_answer,
    stands_for_another,
    verdict,
)
from stream_app.text.foreign import bounded

__all__ = ["ConnectionCauses"]

_FRESH_SECONDS: Final = 20.0
"""A cause older than this explains nothing: librdkafka reports at each attempt, and those come every
`backoff_max_seconds` at the latest."""
_MOST_CHARACTERS: Final = 400
_WHEN: Final = re.compile(r" \(after \d+ms in state \w+.*\)$", re.DOTALL)
_NO_BROKER: Final = (
    "check bootstrap_servers and security.protocol: what answers there is no broker that speaks it"
)
_UNTOLD: Final = (
    "{addresses}: no cause is known; so it is where another security.protocol is expected, where "
    "the port is not a broker's, and where a firewall drops what is sent"
)


class _Cause(NamedTuple):
    text: str
    remedy: str
    """What a person should do where the cause is no passing one; empty where it may pass."""
    at: float


class ConnectionCauses:
    """The latest causes of all clients of a process. Every method may be called by any thread."""

    def __init__(
        self,
        addresses: str,
        *,
        secrets: Iterable[str] = (),
        fresh_seconds: float = _FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`addresses`: where clients begin. `secrets` are masked wherever a cause quotes one."""
        self._addresses = addresses
        self._secrets = sorted((s for s in secrets if len(s) > 3), key=len, reverse=True)
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._latest: dict[bool, _Cause] = {}
        """By whether it is a refusal."""
        self._clients: list[Any] = []

    def watched(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The properties of a client whose causes are to be kept."""
        return {**properties, "error_cb": self.note}

    def poll(self, client: Any) -> None:
        """Ask a client for its causes whenever they are wanted: nobody else polls it."""
        self._clients.append(client)

    def note(self, error: KafkaError) -> None:
        """A client met an error. A fatal one is told by the call that it ends, and is no cause."""
        if stands_for_another(error):
            return
        row = verdict(error)
        remedy = row.remedy if row.kind is Kind.PERMANENT else ""
        text = self._shown(error.str())
        if is_unreadable_answer(error):
            remedy = _NO_BROKER
        elif is_no_broker_left(error):
            text = _UNTOLD.format(addresses=self._addresses)
        cause = _Cause(text, remedy, self._clock())
        with self._lock:
            told = self._latest.get(False)
            if is_no_broker_left(error) and told and self._is_fresh(told):
                return  # it says less than what led to it
            self._latest[bool(remedy)] = cause

    def forget(self) -> None:
        """The brokers answer: nothing of what was met before explains what comes later."""
        with self._lock:
            self._latest.clear()

    def explained(self, absence: ServiceAwayError) -> ServiceAwayError:
        """An absence with its cause; a `RefusedError` where that will not pass by itself."""
        cause = self._cause() if absence.service == "kafka" else None
        if cause is None or isinstance(absence, RefusedError):
            return absence
        sentence = f"{absence}: {cause.text}"
        if cause.remedy:
            return RefusedError("kafka", f"{sentence}; {cause.remedy}")
        return ServiceAwayError("kafka", sentence)

    def told(self, service: str, why: str) -> str:
        """Why a service is waited for, with the cause unless it is in there already."""
        cause = self._cause() if service == "kafka" else None
        return why if cause is None or cause.text in why else f"{why}: {cause.text}"

    def _cause(self) -> _Cause | None:
        for client in self._clients:
            client.poll(0)
        with self._lock:
            # A refusal says more than the broken connections that come of it.
            found = (self._latest.get(refusal) for refusal in (True, False))
            return next((each for each in found if each and self._is_fresh(each)), None)

    def _is_fresh(self, cause: _Cause) -> bool:
        return self._clock() - cause.at <= self._fresh_seconds

    def _shown(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return bounded(_WHEN.sub("", text), _MOST_CHARACTERS)
