"""Contracts as a file holds them: what `stream-app contract` wrote, read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_app.contract.topics import KAFKA, Contract
from stream_app.errors import ConfigurationError

__all__ = ["read_contracts"]


def read_contracts(path: Path) -> list[Contract]:
    """The contracts in a file of `contract asyncapi` or `contract schema`, or in a folder of the latter.

    Raises `ConfigurationError` where there are none.
    """
    if path.is_dir():
        found = [each for file in sorted(path.glob("*.schema.json")) for each in _in(file)]
        if not found:
            raise ConfigurationError(
                f"{path} has no *.schema.json of `stream-app contract schema`."
            )
        return found
    return _in(path)


def _in(path: Path) -> list[Contract]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.") from None
    try:
        if "asyncapi" in found:
            return _of_asyncapi(found)
        contracts = [found] if KAFKA in found else list(found.values())
        if contracts and all({"topic", "role"} <= each[KAFKA].keys() for each in contracts):
            return contracts
    except (AttributeError, KeyError, TypeError):
        pass
    raise ConfigurationError(
        f"{path} holds no contract: give a file that `stream-app contract asyncapi` or "
        "`stream-app contract schema` wrote."
    )


def _of_asyncapi(document: Mapping[str, Any]) -> list[Contract]:
    """A contract a topic and role, with the document's schemas in it."""
    found: list[Contract] = []
    for channel in document["channels"].values():
        by_role: dict[str, list[Mapping[str, Any]]] = {}
        for name in channel["messages"]:
            message = document["components"]["messages"][name]
            by_role.setdefault(message["x-role"], []).append(message)
        for role, messages in by_role.items():
            payloads = [each.get("x-fields", each["payload"]) for each in messages]
            schema = payloads[0] if len(payloads) == 1 else {"oneOf": payloads}
            kafka = {
                "topic": channel["address"],
                "role": role,
                "partitions": channel["bindings"]["kafka"]["partitions"],
                "key": messages[0]["bindings"]["kafka"]["key"],
                "headers": messages[0]["headers"],
            }
            if role == "events" and "x-without-value" in channel:
                kafka["without_value"] = channel["x-without-value"]
            if "x-value" in messages[0]:
                kafka["value"] = messages[0]["x-value"]
            found.append({**schema, "components": document["components"], KAFKA: kafka})
    return found
