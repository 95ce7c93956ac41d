"""A schema registry, asked by confluent-kafka's own client, and what its answers mean for a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from stream_app.errors import RefusedError, ServiceAwayError
from stream_app.features.events import InvalidEventError, Message
from stream_app.text.foreign import bounded

__all__ = ["SERVICE", "Registry", "context_of"]

SERVICE: Final = "schema registry"
"""What the worker says that it waits for."""

_DEFAULTS: Final = {
    # The worker waits and asks again by itself, and says so meanwhile.
    "max.retries": 0,
    "timeout": 5.0,
}
_MASK: Final = "********"
_SECRET: Final = re.compile(r"password|secret|token|user\.info|ssl\.key$")
"""Properties of the client that let it in."""
_REFUSED: Final = frozenset({401, 403})
_UNKNOWN: Final = frozenset({404, 422})


def _asking(ask: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the client that raises what its failure means for a record."""

    def asked(self: Registry, *what: Any, **options: Any) -> Any:
        try:
            return ask(self, *what, **options)
        except Exception as error:
            raise self.meaning(error) from error

    return asked


class Registry(SchemaRegistryClient):
    """A schema registry. What deserializers ask of it raises `ServiceAwayError` where it is away,
    `RefusedError` where it refuses, and `InvalidEventError` where it knows no such schema."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """`properties` are those of confluent-kafka's `SchemaRegistryClient`: `url` and others.

        Raises `ValueError` and `TypeError` as that does.
        """
        super().__init__({**_DEFAULTS, **properties})
        self._secrets = _secrets(properties)
        self._host = urlsplit(str(properties["url"]).partition(",")[0]).netloc.rpartition("@")[2]

    get_schema = _asking(SchemaRegistryClient.get_schema)
    get_schema_by_guid = _asking(SchemaRegistryClient.get_schema_by_guid)
    get_version = _asking(SchemaRegistryClient.get_version)

    def meaning(self, error: Exception) -> Exception:
        """What a failure of the client means for the record that it was asked for."""
        where = f"the schema registry at {self._host}"
        if not isinstance(error, SchemaRegistryError):
            told = bounded(self._masked(str(error)) or type(error).__qualname__)
            return ServiceAwayError(SERVICE, f"{where} does not answer: {told}")
        status = error.http_status_code
        if status in _UNKNOWN:
            return InvalidEventError("unknown-schema", f"{where} does not know the value's schema")
        told = f"{where} answers with status {status}: {bounded(self._masked(str(error.error_message)))}"
        if status in _REFUSED:
            return RefusedError(SERVICE, told)
        return ServiceAwayError(SERVICE, told)

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text


def _secrets(properties: Mapping[str, Any]) -> list[str]:
    """What of the properties must be shown nowhere: what lets us in, and the addresses that hold it."""
    found = [str(value) for name, value in properties.items() if _SECRET.search(name) and value]
    found += [each.partition(":")[2] for each in found if ":" in each]
    for url in str(properties.get("url", "")).split(","):
        found.append(urlsplit(url).netloc.rpartition("@")[0])
        found.append(urlsplit(url).password or "")
    return sorted({*found, *map(unquote, found)} - {""}, key=len, reverse=True)


def context_of(message: Message) -> SerializationContext:
    """What a deserializer is told of a record beside its value."""
    return SerializationContext(message.topic, MessageField.VALUE, list(message.headers))
