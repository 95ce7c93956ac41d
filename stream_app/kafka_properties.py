"""librdkafka's properties: which are passed through, which are the worker's own, which are secret.

Names and values are librdkafka's, as its CONFIGURATION.md lists them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from pydantic import SecretStr

__all__ = ["OWNED", "Properties", "canonical", "conflict", "is_secret", "problem", "read", "reveal"]

#: Property to value, secret-looking ones hidden.
Properties = dict[str, str | SecretStr]

# librdkafka knows these under two names; one is enough to reason about.
_CANONICAL = {
    "compression.codec": "compression.type",
    "delivery.timeout.ms": "message.timeout.ms",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "metadata.broker.list": "bootstrap.servers",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
    "sasl.mechanism": "sasl.mechanisms",
}

#: Properties that the worker's guarantees rest on: the values that change nothing, then what to do
#: instead of passing another one.
OWNED: dict[str, tuple[frozenset[str], str]] = {
    "acks": (frozenset({"all", "-1"}), "a prediction counts only once every replica has it"),
    "auto.commit.enable": (frozenset({"false"}), "offsets are committed after the acknowledgement"),
    "auto.offset.reset": (frozenset(), "set starts_at"),
    "bootstrap.servers": (frozenset(), "set bootstrap_servers"),
    "delivery.report.only.error": (frozenset({"true"}), "the worker asks about refusals alone"),
    "enable.auto.commit": (frozenset({"false"}), "offsets are committed after the acknowledgement"),
    "enable.auto.offset.store": (frozenset({"false"}), "the worker says itself what is finished"),
    "enable.idempotence": (frozenset({"true"}), "a retried prediction must not appear twice"),
    "enable.partition.eof": (frozenset({"true"}), "time alignment needs the end of a partition"),
    "group.id": (frozenset(), "set application"),
    "group.instance.id": (frozenset(), "set group_instance_id"),
    "group.protocol": (frozenset(), "set group_protocol"),
    "group.remote.assignor": (frozenset(), "set assignment_strategy"),
    "isolation.level": (frozenset({"read_committed"}), "aborted events are no events"),
    "message.timeout.ms": (frozenset({"0"}), "the worker waits for the brokers, however long"),
    "partition.assignment.strategy": (frozenset(), "set assignment_strategy"),
    "queued.max.messages.kbytes": (frozenset(), "set held_bytes_total"),
    "session.timeout.ms": (frozenset(), "set session_timeout_seconds"),
    "transaction.timeout.ms": (frozenset(), "set transaction_timeout_seconds"),
    "transactional.id": (frozenset(), "it is derived by the worker"),
}

_SECRET = re.compile(r"password|passphrase|secret|\.key\.pem$|\.credentials?$|\.token$|jaas")
_ADDRESS_WITH_USER = re.compile(r"://.*@", re.DOTALL)


def is_secret(name: str, value: str) -> bool:
    """Whether to hide a property: passwords, private keys, client secrets, addresses with a user."""
    return bool(_SECRET.search(name) or _ADDRESS_WITH_USER.search(value))


def canonical(name: object) -> str:
    """Return the one name of a property, whichever of librdkafka's two and however it is spelt.

    Underscores stand for dots, which the name of an environment variable cannot carry.
    """
    dotted = str(name).strip().lower().replace("_", ".")
    return _CANONICAL.get(dotted, dotted)


def read(value: Any) -> Any:
    """Bring a table of properties into `Properties`; raises `ValueError`, never quoting a value.

    Booleans and numbers, which TOML and JSON have, become what librdkafka takes.
    """
    # ValueError where a type is wrong, too: pydantic reports no other exception as its own.
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004
            'expected a table of librdkafka properties, {"name": "value", ...}'
        )
    properties: Properties = {}
    for given, setting in value.items():
        name = canonical(given)
        if isinstance(setting, bool):
            text = "true" if setting else "false"
        elif isinstance(setting, int | float | str):
            text = str(setting)
        elif isinstance(setting, SecretStr):
            text = setting.get_secret_value()
        else:
            raise ValueError(f"the value of {given} must be a string, a number or a boolean")  # noqa: TRY004
        properties[name] = SecretStr(text) if is_secret(name, text) else text
    return properties


def conflict(properties: Properties) -> str | None:
    """Say in a sentence which property of the worker's own was given another value, if any was."""
    for name, value in properties.items():
        if name not in OWNED:
            continue
        accepted, instead = OWNED[name]
        if isinstance(value, SecretStr) or value.strip().lower() not in accepted:
            return f"{name} is the worker's own: {instead}"
    return None


def reveal(properties: Properties) -> dict[str, str]:
    """Return the properties as librdkafka takes them: secrets in the clear. Never log the result."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in properties.items()
        if name not in OWNED
    }


def problem(
    consumer: Mapping[str, Any], producer: Mapping[str, Any], secrets: Iterable[str]
) -> str | None:
    """Return what librdkafka dislikes about a consumer's or a producer's properties, if anything.

    It is asked by making a client of each without brokers: no connection is opened, and it takes
    about 10 ms. A value in `secrets` is masked should librdkafka quote it.
    """
    # librdkafka warns on stderr about what concerns the other kind of client only.
    silent = logging.getLogger(f"{__name__}.silent")
    silent.disabled = True
    for kind, properties in ((Consumer, consumer), (Producer, producer)):
        # OAUTHBEARER would ask its token endpoint, and tokens are nothing that can be looked at.
        local = {
            name: value
            for name, value in properties.items()
            if name != "bootstrap.servers" and not name.startswith("sasl.oauthbearer.")
        }
        try:
            client = kind({**local, "logger": silent})
        except KafkaException as error:
            message = str(error.args[0].str())
        except (TypeError, ValueError) as error:
            message = str(error)
        else:
            if isinstance(client, Consumer):
                client.close()
            continue
        for secret in secrets:
            if secret:
                message = message.replace(secret, "********")
        return f"librdkafka refuses the {kind.__name__.lower()}'s properties: {message}"
    return None
