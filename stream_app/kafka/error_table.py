"""The table of `errors`: a row for every error code that librdkafka has.

Codes: https://kafka.apache.org/protocol#protocol_error_codes and librdkafka's rd_kafka_resp_err_t.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from confluent_kafka import KafkaError

__all__ = ["TABLE", "Kind", "Verdict"]


class Kind(Enum):
    """What an error is, and so what is done about it."""

    PASSING = "passing"
    RECORD = "record"
    PERMANENT = "permanent"
    BUG = "bug"


class Verdict(NamedTuple):
    """A row of the table."""

    kind: Kind
    remedy: str = ""
    """What a person should do, as the end of a sentence; empty where nothing is to be done."""
    is_doubtful: bool = False
    """Permanent, but brokers that start or fail over say it for a moment, too."""


_PASSING: Final = Verdict(Kind.PASSING)
_BUG: Final = Verdict(Kind.BUG)


def _record(remedy: str) -> Verdict:
    return Verdict(Kind.RECORD, remedy)


def _permanent(remedy: str) -> Verdict:
    return Verdict(Kind.PERMANENT, remedy)


def _doubtful(remedy: str) -> Verdict:
    return Verdict(Kind.PERMANENT, remedy, is_doubtful=True)


_CREDENTIALS: Final = "check user name, password and sasl.mechanism"
_TOPIC: Final = "create the topic, or correct its name"
_TOPIC_RIGHT: Final = "grant the worker its rights on the topic (docs/delivery.md lists them)"
_ANOTHER_TOPIC: Final = (
    "the topic was deleted and made anew while it was in use: start the worker again"
)
_VERSION: Final = "the brokers are too old for this worker (Kafka 3.1 is the oldest that serves)"
_TOKEN: Final = "renew the delegation token"  # noqa: S105  a sentence
_CORRUPT: Final = "the log holds bytes that cannot be read: repair the topic, or set the group's offset behind them"
_FENCED: Final = "another process has the same group_instance_id: give each worker its own"
_TOO_LARGE: Final = "raise max.message.bytes of the topic"

# fmt: off
TABLE: Final[dict[int, Verdict]] = {
    # librdkafka's own, negative.
    KafkaError._BAD_MSG: _permanent(_CORRUPT),
    KafkaError._BAD_COMPRESSION: _permanent(_CORRUPT),
    KafkaError._DESTROY: _BUG,
    KafkaError._FAIL: _PASSING,
    KafkaError._TRANSPORT: _PASSING,
    KafkaError._CRIT_SYS_RESOURCE: _doubtful("the machine has no threads, memory or files left"),
    KafkaError._RESOLVE: _PASSING,
    KafkaError._MSG_TIMED_OUT: _PASSING,
    KafkaError._PARTITION_EOF: _PASSING,
    KafkaError._UNKNOWN_PARTITION: _doubtful(_TOPIC),
    KafkaError._FS: _permanent("a file that a librdkafka property names cannot be read or written"),
    KafkaError._UNKNOWN_TOPIC: _doubtful(_TOPIC),
    KafkaError._ALL_BROKERS_DOWN: _PASSING,
    KafkaError._INVALID_ARG: _BUG,
    KafkaError._TIMED_OUT: _PASSING,
    KafkaError._QUEUE_FULL: _PASSING,
    KafkaError._ISR_INSUFF: _PASSING,
    KafkaError._NODE_UPDATE: _PASSING,
    KafkaError._SSL: _doubtful("check certificates, ssl.ca.location and the brokers' names"),
    KafkaError._WAIT_COORD: _PASSING,
    KafkaError._UNKNOWN_GROUP: _BUG,
    KafkaError._IN_PROGRESS: _PASSING,
    KafkaError._PREV_IN_PROGRESS: _PASSING,
    KafkaError._EXISTING_SUBSCRIPTION: _BUG,
    KafkaError._ASSIGN_PARTITIONS: _BUG,
    KafkaError._REVOKE_PARTITIONS: _BUG,
    KafkaError._CONFLICT: _BUG,
    KafkaError._STATE: _BUG,
    KafkaError._UNKNOWN_PROTOCOL: _BUG,
    KafkaError._NOT_IMPLEMENTED: _permanent("this build of librdkafka lacks what the settings ask for"),
    KafkaError._AUTHENTICATION: _doubtful(_CREDENTIALS),
    KafkaError._NO_OFFSET: _PASSING,
    KafkaError._OUTDATED: _PASSING,
    KafkaError._TIMED_OUT_QUEUE: _PASSING,
    KafkaError._UNSUPPORTED_FEATURE: _permanent(_VERSION),
    KafkaError._WAIT_CACHE: _PASSING,
    KafkaError._INTR: _PASSING,
    KafkaError._KEY_SERIALIZATION: _BUG,
    KafkaError._VALUE_SERIALIZATION: _BUG,
    KafkaError._KEY_DESERIALIZATION: _BUG,
    KafkaError._VALUE_DESERIALIZATION: _BUG,
    KafkaError._PARTIAL: _PASSING,
    KafkaError._READ_ONLY: _BUG,
    KafkaError._NOENT: _PASSING,
    KafkaError._UNDERFLOW: _permanent(_CORRUPT),
    KafkaError._INVALID_TYPE: _BUG,
    KafkaError._RETRY: _PASSING,
    KafkaError._PURGE_QUEUE: _PASSING,
    KafkaError._PURGE_INFLIGHT: _PASSING,
    KafkaError._FATAL: _permanent("start the worker again"),
    KafkaError._INCONSISTENT: _BUG,
    KafkaError._GAPLESS_GUARANTEE: _PASSING,  # a new producer publishes the same bytes
    KafkaError._MAX_POLL_EXCEEDED: _PASSING,
    KafkaError._UNKNOWN_BROKER: _PASSING,
    KafkaError._NOT_CONFIGURED: _BUG,
    KafkaError._FENCED: _PASSING,  # of a transactional producer: replaced, and checked for ownership
    KafkaError._APPLICATION: _BUG,
    KafkaError._ASSIGNMENT_LOST: _PASSING,
    KafkaError._NOOP: _PASSING,
    KafkaError._AUTO_OFFSET_RESET: _PASSING,  # answered by `kafka.consumer.start_positions`
    KafkaError._LOG_TRUNCATION: _permanent(
        "the brokers lost records they had acknowledged: set the group's offset, or give `application` another name"
    ),
    KafkaError._INVALID_DIFFERENT_RECORD: _record("another record of its batch was refused"),  # taken alone
    KafkaError._DESTROY_BROKER: _PASSING,
    KafkaError.UNKNOWN: _doubtful("the brokers' logs say what went wrong there"),
    KafkaError.NO_ERROR: _PASSING,
    # Of the brokers.
    KafkaError.OFFSET_OUT_OF_RANGE: _PASSING,  # answered by `kafka.consumer.start_positions`
    KafkaError.INVALID_MSG: _doubtful(_CORRUPT),
    KafkaError.UNKNOWN_TOPIC_OR_PART: _doubtful(_TOPIC),
    KafkaError.INVALID_MSG_SIZE: _record(_TOO_LARGE),
    KafkaError.LEADER_NOT_AVAILABLE: _PASSING,
    KafkaError.NOT_LEADER_FOR_PARTITION: _PASSING,
    KafkaError.REQUEST_TIMED_OUT: _PASSING,
    KafkaError.BROKER_NOT_AVAILABLE: _PASSING,
    KafkaError.REPLICA_NOT_AVAILABLE: _PASSING,
    KafkaError.MSG_SIZE_TOO_LARGE: _record(_TOO_LARGE),
    KafkaError.STALE_CTRL_EPOCH: _PASSING,
    KafkaError.OFFSET_METADATA_TOO_LARGE: _permanent("raise offset.metadata.max.bytes of the brokers"),
    KafkaError.NETWORK_EXCEPTION: _PASSING,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS: _PASSING,
    KafkaError.COORDINATOR_NOT_AVAILABLE: _PASSING,
    KafkaError.NOT_COORDINATOR: _PASSING,
    KafkaError.TOPIC_EXCEPTION: _permanent("the name of the topic is not valid"),
    KafkaError.RECORD_LIST_TOO_LARGE: _record("raise segment.bytes of the topic"),
    KafkaError.NOT_ENOUGH_REPLICAS: _PASSING,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: _PASSING,
    KafkaError.INVALID_REQUIRED_ACKS: _BUG,
    KafkaError.ILLEGAL_GENERATION: _PASSING,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: _doubtful(
        "members of the group use another assignment strategy or group protocol: use one for all, or another application"
    ),
    KafkaError.INVALID_GROUP_ID: _permanent("correct the setting application"),
    KafkaError.UNKNOWN_MEMBER_ID: _PASSING,
    KafkaError.INVALID_SESSION_TIMEOUT: _permanent(
        "set session_timeout_seconds within group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers"
    ),
    KafkaError.REBALANCE_IN_PROGRESS: _PASSING,
    KafkaError.INVALID_COMMIT_OFFSET_SIZE: _permanent("raise offset.metadata.max.bytes of the brokers"),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _doubtful(_TOPIC_RIGHT),
    KafkaError.GROUP_AUTHORIZATION_FAILED: _doubtful("grant the worker Read on its group, the setting application"),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _doubtful("grant the worker IdempotentWrite on the cluster"),
    KafkaError.INVALID_TIMESTAMP: _permanent(
        "the clocks of worker and brokers are apart, or the topic's message.timestamp settings are too narrow"
    ),
    KafkaError.UNSUPPORTED_SASL_MECHANISM: _permanent(_CREDENTIALS),
    KafkaError.ILLEGAL_SASL_STATE: _permanent("check security.protocol: the brokers expect another one"),
    KafkaError.UNSUPPORTED_VERSION: _permanent(_VERSION),
    KafkaError.TOPIC_ALREADY_EXISTS: _BUG,
    KafkaError.INVALID_PARTITIONS: _BUG,
    KafkaError.INVALID_REPLICATION_FACTOR: _BUG,
    KafkaError.INVALID_REPLICA_ASSIGNMENT: _BUG,
    KafkaError.INVALID_CONFIG: _permanent("the brokers refuse a setting of the topic"),
    KafkaError.NOT_CONTROLLER: _PASSING,
    KafkaError.INVALID_REQUEST: _BUG,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: _permanent(
        "the topic's message.format.version is too old: records need headers and transactions"
    ),
    KafkaError.POLICY_VIOLATION: _permanent("a policy of the brokers forbids it"),
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER: _PASSING,  # a new producer publishes the same bytes
    KafkaError.DUPLICATE_SEQUENCE_NUMBER: _PASSING,
    KafkaError.INVALID_PRODUCER_EPOCH: _PASSING,
    KafkaError.INVALID_TXN_STATE: _PASSING,
    KafkaError.INVALID_PRODUCER_ID_MAPPING: _PASSING,
    KafkaError.INVALID_TRANSACTION_TIMEOUT: _permanent(
        "set transaction_timeout_seconds to at most transaction.max.timeout.ms of the brokers"
    ),
    KafkaError.CONCURRENT_TRANSACTIONS: _PASSING,
    KafkaError.TRANSACTION_COORDINATOR_FENCED: _PASSING,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: _doubtful(
        "grant the worker Write and Describe on transactional ids that begin with the setting application"
    ),
    KafkaError.SECURITY_DISABLED: _permanent("the brokers have no authorizer"),
    KafkaError.OPERATION_NOT_ATTEMPTED: _PASSING,
    KafkaError.KAFKA_STORAGE_ERROR: _PASSING,
    KafkaError.LOG_DIR_NOT_FOUND: _PASSING,
    KafkaError.SASL_AUTHENTICATION_FAILED: _doubtful(_CREDENTIALS),
    KafkaError.UNKNOWN_PRODUCER_ID: _PASSING,
    KafkaError.REASSIGNMENT_IN_PROGRESS: _PASSING,
    KafkaError.DELEGATION_TOKEN_AUTH_DISABLED: _permanent(_TOKEN),
    KafkaError.DELEGATION_TOKEN_NOT_FOUND: _permanent(_TOKEN),
    KafkaError.DELEGATION_TOKEN_OWNER_MISMATCH: _permanent(_TOKEN),
    KafkaError.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: _permanent(_TOKEN),
    KafkaError.DELEGATION_TOKEN_AUTHORIZATION_FAILED: _permanent(_TOKEN),
    KafkaError.DELEGATION_TOKEN_EXPIRED: _permanent(_TOKEN),
    KafkaError.INVALID_PRINCIPAL_TYPE: _permanent(_CREDENTIALS),
    KafkaError.NON_EMPTY_GROUP: _BUG,
    KafkaError.GROUP_ID_NOT_FOUND: _PASSING,
    KafkaError.FETCH_SESSION_ID_NOT_FOUND: _PASSING,
    KafkaError.INVALID_FETCH_SESSION_EPOCH: _PASSING,
    KafkaError.LISTENER_NOT_FOUND: _doubtful("the leader has no listener of this name: check advertised.listeners"),
    KafkaError.TOPIC_DELETION_DISABLED: _BUG,
    KafkaError.FENCED_LEADER_EPOCH: _PASSING,
    KafkaError.UNKNOWN_LEADER_EPOCH: _PASSING,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: _permanent("the brokers do not know the setting compression.type"),
    KafkaError.STALE_BROKER_EPOCH: _PASSING,
    KafkaError.OFFSET_NOT_AVAILABLE: _PASSING,
    KafkaError.MEMBER_ID_REQUIRED: _PASSING,
    KafkaError.PREFERRED_LEADER_NOT_AVAILABLE: _PASSING,
    KafkaError.GROUP_MAX_SIZE_REACHED: _permanent("the group has group.max.size members: start fewer workers"),
    KafkaError.FENCED_INSTANCE_ID: _permanent(_FENCED),
    KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE: _PASSING,
    KafkaError.ELECTION_NOT_NEEDED: _BUG,
    KafkaError.NO_REASSIGNMENT_IN_PROGRESS: _BUG,
    KafkaError.GROUP_SUBSCRIBED_TO_TOPIC: _BUG,
    KafkaError.INVALID_RECORD: _record("a compacted topic takes no record without key: set cleanup.policy=delete"),
    KafkaError.UNSTABLE_OFFSET_COMMIT: _PASSING,
    KafkaError.THROTTLING_QUOTA_EXCEEDED: _PASSING,
    KafkaError.PRODUCER_FENCED: _PASSING,
    KafkaError.RESOURCE_NOT_FOUND: _BUG,
    KafkaError.DUPLICATE_RESOURCE: _BUG,
    KafkaError.UNACCEPTABLE_CREDENTIAL: _permanent(_CREDENTIALS),
    KafkaError.INCONSISTENT_VOTER_SET: _BUG,
    KafkaError.INVALID_UPDATE_VERSION: _BUG,
    KafkaError.FEATURE_UPDATE_FAILED: _BUG,
    KafkaError.PRINCIPAL_DESERIALIZATION_FAILURE: _permanent(_CREDENTIALS),
    KafkaError.UNKNOWN_TOPIC_ID: _doubtful(_ANOTHER_TOPIC),
    KafkaError.INCONSISTENT_TOPIC_ID: _doubtful(_ANOTHER_TOPIC),
    KafkaError.FENCED_MEMBER_EPOCH: _PASSING,  # the member joins again
    KafkaError.UNRELEASED_INSTANCE_ID: _doubtful(
        "another process has the same group_instance_id, or its session has not ended yet"
    ),
    KafkaError.UNSUPPORTED_ASSIGNOR: _permanent("the brokers do not know the setting group.remote.assignor"),
    KafkaError.STALE_MEMBER_EPOCH: _PASSING,
    KafkaError.MISMATCHED_ENDPOINT_TYPE: _permanent("bootstrap_servers names a controller: name brokers"),
    KafkaError.UNSUPPORTED_ENDPOINT_TYPE: _permanent("bootstrap_servers names a controller: name brokers"),
    KafkaError.UNKNOWN_CONTROLLER_ID: _PASSING,
    KafkaError.UNKNOWN_SUBSCRIPTION_ID: _PASSING,
    KafkaError.TELEMETRY_TOO_LARGE: _PASSING,
    KafkaError.INVALID_REGISTRATION: _BUG,
    KafkaError.TRANSACTION_ABORTABLE: _PASSING,
    KafkaError.INVALID_RECORD_STATE: _BUG,
    KafkaError.SHARE_SESSION_NOT_FOUND: _BUG,
    KafkaError.INVALID_SHARE_SESSION_EPOCH: _BUG,
    KafkaError.FENCED_STATE_EPOCH: _BUG,
    KafkaError.INVALID_VOTER_KEY: _BUG,
    KafkaError.DUPLICATE_VOTER: _BUG,
    KafkaError.VOTER_NOT_FOUND: _BUG,
    KafkaError.INVALID_REGULAR_EXPRESSION: _BUG,
    KafkaError.REBOOTSTRAP_REQUIRED: _PASSING,
    KafkaError.STREAMS_INVALID_TOPOLOGY: _BUG,
    KafkaError.STREAMS_INVALID_TOPOLOGY_EPOCH: _BUG,
    KafkaError.STREAMS_TOPOLOGY_FENCED: _BUG,
    KafkaError.SHARE_SESSION_LIMIT_REACHED: _BUG,
}
# fmt: on
