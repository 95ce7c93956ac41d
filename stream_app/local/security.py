"""A broker whose clients need TLS, a SCRAM password and permission: for tests."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from .errors import LocalServiceError
from .ports import HOST
from .topics import ClientConfig

_MECHANISM = "SCRAM-SHA-512"
_ADMIN = "admin"
_ACL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Acl:
    """`user` may do `operation` (READ, WRITE, ...) on the `resource` called `name`.

    `resource` is TOPIC, GROUP, TRANSACTIONAL_ID or BROKER (the cluster; its name is kafka-cluster).
    With `prefixed`, `name` is the beginning of the names that are meant.
    """

    user: str
    operation: str
    resource: str
    name: str
    prefixed: bool = False

    def binding(self) -> AclBinding:
        """Return the form that the admin client takes."""
        return AclBinding(
            ResourceType[self.resource],
            self.name,
            ResourcePatternType.PREFIXED if self.prefixed else ResourcePatternType.LITERAL,
            f"User:{self.user}",
            "*",
            AclOperation[self.operation],
            AclPermissionType.ALLOW,
        )


@dataclass(frozen=True)
class SaslSsl:
    """SASL_SSL with SCRAM-SHA-512 for `users` (name to password), who may do what `acls` say.

    An administrator, who may do everything, exists besides; settings for no user in particular are
    the administrator's. The broker's certificate is made for each broker anew.
    """

    users: Mapping[str, str]
    acls: Sequence[Acl] = ()
    _admin_password: str = field(default_factory=secrets.token_hex, repr=False)

    def client_config(self, directory: Path, user: str | None = None) -> ClientConfig:
        """Return librdkafka settings for `user`, without the address."""
        name = _ADMIN if user is None else user
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": _MECHANISM,
            "sasl.username": name,
            "sasl.password": self._passwords()[name],
            "ssl.ca.location": str(_ca_file(directory)),
        }

    def format_arguments(self) -> list[str]:
        """Return the arguments by which the storage is formatted with the users in it."""
        arguments = []
        for name, password in self._passwords().items():
            arguments += ["--add-scram", f'{_MECHANISM}=[name="{name}",password="{password}"]']
        return arguments

    def properties(self, directory: Path) -> dict[str, str]:
        """Make the certificates in `directory` and return the broker's settings."""
        keystore = _make_certificates(directory)
        return {
            "listener.name.clients.ssl.keystore.type": "PEM",
            "listener.name.clients.ssl.keystore.location": str(keystore),
            "listener.name.clients.sasl.enabled.mechanisms": _MECHANISM,
            f"listener.name.clients.{_MECHANISM.lower()}.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The broker talks to itself without a name, on its two listeners that are not CLIENTS.
            "super.users": f"User:{_ADMIN};User:ANONYMOUS",
        }

    def create_acls(self, admin_config: ClientConfig) -> None:
        """Create the permissions and return when the broker has them."""
        if not self.acls:
            return
        admin = AdminClient({"log_level": 0, **admin_config})
        created = admin.create_acls(
            [acl.binding() for acl in self.acls], request_timeout=_ACL_SECONDS
        )
        for done in created.values():
            done.result()

    def _passwords(self) -> dict[str, str]:
        return {**self.users, _ADMIN: self._admin_password}


def _ca_file(directory: Path) -> Path:
    return directory / "ca.pem"


def _make_certificates(directory: Path) -> Path:
    """Write the authority's certificate and the broker's key and chain; return the latter."""
    try:
        import trustme
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise LocalServiceError(
            "A local Kafka with TLS needs the package trustme, which is for development only: "
            "pip install trustme brings it."
        ) from error
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(_ca_file(directory)))
    certificate = authority.issue_cert(HOST, "localhost")
    # Kafka reads keys in PKCS#8 only.
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
    keystore = directory / "keystore.pem"
    keystore.write_bytes(pem + chain)
    return keystore
