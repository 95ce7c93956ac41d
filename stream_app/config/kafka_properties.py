"""librdkafka's properties: which are passed through, which are the worker's own, which are secret.

Names and values are librdkafka's, as its CONFIGURATION.md lists them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from pydantic import SecretStr

__all__ = [
    "LINE_BREAK",
    "OWNED",
    "Properties",
    "canonical",
    "conflict",
    "is_secret",
    "problem",
    "read",
    "reveal",
]

#: Property to value, secret-looking ones hidden.
Properties = dict[str, str | SecretStr]

#: What is wrong with a value that was read from a file as it is.
LINE_BREAK = "ends with a line break, which would be sent along: write it without (printf, echo -n)"

# librdkafka knows these under two names; one is enough to reason about.
_CANONICAL = {
    "compression.codec": "compression.type",
    "delivery.timeout.ms": "message.timeout.ms",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "metadata.broker.list": "bootstrap.servers",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
    "sasl.mechanism": "sasl.mechanisms",
    "sasl.oauthbearer.client.credentials.client.id": "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.credentials.client.secret": "sasl.oauthbearer.client.secret",
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
    "statistics.interval.ms": (frozenset({"0"}), "its metrics are served over HTTP"),
    "transaction.timeout.ms": (frozenset(), "set transaction_timeout_seconds"),
    "transactional.id": (frozenset(), "it is derived by the worker"),
}

#: Properties whose text is shown. Of all others, known to this version or not, only numbers and
#: booleans are: librdkafka has passwords, keys, tokens and commands under many names.
_SHOWN_NAMES = """
    allow.auto.create.topics auto.offset.reset bootstrap.servers broker.address.family
    broker.version.fallback builtin.features client.dns.lookup client.id client.rack
    compression.type debug group.id group.instance.id group.protocol group.protocol.type
    group.remote.assignor https.ca.location isolation.level log.queue metadata.recovery.strategy
    offset.store.method partition.assignment.strategy partitioner queuing.strategy
    sasl.kerberos.keytab sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanisms
    sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.file
    sasl.oauthbearer.assertion.jwt.template.file sasl.oauthbearer.assertion.private.key.file
    sasl.oauthbearer.client.id sasl.oauthbearer.grant.type
    sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method sasl.oauthbearer.scope
    sasl.oauthbearer.sub.claim.name sasl.username
    security.protocol share.acknowledgement.mode ssl.ca.certificate.stores ssl.ca.location
    ssl.certificate.location ssl.cipher.suites ssl.crl.location ssl.curves.list
    ssl.endpoint.identification.algorithm ssl.key.location ssl.keystore.location ssl.providers
    ssl.sigalgs.list topic.blacklist transactional.id
"""
_SHOWN = frozenset(_SHOWN_NAMES.split())
_READ_ONCE = frozenset(
    {
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.crl.location",
        "ssl.key.location",
        "ssl.keystore.location",
    }
)
_PLAIN = re.compile(r"-?\d{1,15}(\.\d{1,6})?|true|false", re.IGNORECASE)
_SECRET = re.compile(r"password|passphrase|secret|token$|\.pem$")
_ADDRESS_WITH_USER = re.compile(r"://.*@", re.DOTALL)
_HAS_LINES = re.compile(r"\.pem$|jaas|config$")


def is_secret(name: str, value: str) -> bool:
    """Whether to hide a property: all text but what is known to be harmless; addresses with a user."""
    if name in _SHOWN or name in OWNED:
        return bool(_ADDRESS_WITH_USER.search(value))
    return bool(_SECRET.search(name)) or not _PLAIN.fullmatch(value.strip())


def read_once(properties: Properties) -> dict[str, Path]:
    """The files of certificates and keys that librdkafka reads when a client is made."""
    return {
        name: Path(value)
        for name, value in properties.items()
        if name in _READ_ONCE and isinstance(value, str) and value != "probe"
    }


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
        if text.endswith(("\n", "\r")) and not _HAS_LINES.search(name):
            raise ValueError(f"the value of {given} {LINE_BREAK}")
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
