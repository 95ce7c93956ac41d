"""Settings: from environment variables and a TOML file, checked before anything starts.

`Settings.load()` looks outside; `Settings(...)` takes only what it is given. An environment
variable wins over the file, the file over the default. Units are part of the names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stream_app.config import kafka_properties, sources
from stream_app.config.kafka_properties import Properties
from stream_app.config.sources import MASK, SettingsError, Shown
from stream_app.text.redaction import Redaction

__all__ = ["MASK", "Settings", "SettingsError", "Shown"]

#: What is shown for a secret.

_SECRET_CHARACTERS = 16

_KIB = 1024
_MIB = 1024 * _KIB


def _like(pattern: str, expected: str) -> AfterValidator:
    """Accept text of a form; pydantic's own message would show a person the pattern."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


def _checked_paths(paths: str) -> str:
    Redaction(paths)
    return paths


_Name = Annotated[
    str, _like(r"[A-Za-z0-9._-]{1,200}", "up to 200 letters, digits, dots, underscores and hyphens")
]
_Topic = Annotated[
    str, _like(r"[A-Za-z0-9._-]{1,249}", "up to 249 letters, digits, dots, underscores and hyphens")
]
_Spec = Annotated[str, _like(r"\w+(\.\w+)*:\w+(\.\w+)*", "MODULE:OBJECT")]
_Broker = (
    r"((plaintext|ssl|sasl_plaintext|sasl_ssl)://)?([^\s,@/:\[\]]+|\[[0-9a-f:.%]+\])"
    r"(:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?"
)
_Brokers = Annotated[
    str, _like(rf"(?i:{_Broker}(,{_Broker})*)", "HOST:PORT, separated by commas, without kafka://")
]
_Host = r"[^\s,/@]+"
_Hosts = Annotated[
    str, _like(rf"{_Host}(,{_Host})*", "a host or an address, or several with commas")
]
_Records = Annotated[int, Field(ge=1, le=1_000_000)]
_Bytes = Annotated[int, Field(ge=_KIB, le=2**40)]
_Seconds = Annotated[float, Field(ge=0.0, le=86_400.0)]
_Waiting = Annotated[float, Field(gt=0.0, le=86_400.0)]
_Paths = Annotated[str, AfterValidator(_checked_paths)]
_Share = Annotated[float, Field(gt=0.0, le=1.0)]
_Properties = Annotated[Properties, BeforeValidator(kafka_properties.read)]


class Settings(BaseSettings):
    """Everything about a worker that is not its use case."""

    model_config = SettingsConfigDict(
        env_prefix="STREAM_APP_",
        env_nested_delimiter="__",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    usecase: _Spec | None = Field(None, examples=["features.flights:usecase"])
    """The use case as MODULE:OBJECT, looked up from the working directory first."""
    application: _Name | None = Field(None, examples=["flights"])
    """Consumer group and namespace of the state. Default: the use case's name. Another name starts
    from `starts_at` with an empty state."""
    artifacts: Path = Path("artifacts")
    """Folder of the model versions, relative to the working directory."""

    bootstrap_servers: _Brokers = "localhost:9092"
    """Kafka brokers to begin with, as HOST:PORT, separated by commas."""
    kafka: _Properties = Field(
        default_factory=dict, examples=[{"security.protocol": "SASL_SSL"}], validate_default=False
    )
    """librdkafka properties for every client: TLS, SASL and whatever else it knows. In the
    environment as JSON, or one by one: `STREAM_APP_KAFKA__SECURITY_PROTOCOL=SASL_SSL` (underscores
    stand for dots). Properties that the guarantees rest on are refused."""
    consumer: _Properties = Field(default_factory=dict, examples=[{"client.rack": "rack-a"}])
    """librdkafka properties for the consumer only; they win over `kafka`."""
    producer: _Properties = Field(default_factory=dict, examples=[{"linger.ms": "5"}])
    """librdkafka properties for the producer only; they win over `kafka`."""
    sasl_username: str | None = Field(None, examples=["worker"])
    """Shorthand for the property `sasl.username` of every client, over which it wins."""
    sasl_password: SecretStr | None = Field(None, examples=["..."])
    """Shorthand for the property `sasl.password` of every client, over which it wins."""
    starts_at: Literal["beginning", "end"] = "beginning"
    """Where a group starts that has committed nothing yet. Partitions added later start at their
    beginning, whatever stands here."""
    on_gone: Literal["continue", "stop"] = "continue"
    """What to do where the brokers deleted records before they were read (retention): report them
    and go on behind the gap, or stop."""
    delivery: Literal["at_least_once", "exactly_once"] = "at_least_once"
    """How predictions and dead letters are published. exactly_once: in transactions together with
    the offsets, every `commit_interval_seconds`; a consumer that reads committed records sees each
    once."""
    transaction_timeout_seconds: Annotated[float, Field(ge=1.0, le=900.0)] = 10.0
    """After how long the brokers abort a transaction whose worker is gone. Until then consumers of
    the predictions that read committed records wait, unless `group_instance_id` is set."""
    group_protocol: Literal["classic", "consumer"] = "classic"
    """Group protocol: classic, or consumer (KIP-848, Kafka 4.0 and later)."""
    assignment_strategy: Literal["range", "sticky"] = "range"
    """How a group shares partitions out. range: those of the same number go to the same worker, in
    all topics with as many partitions, so that what is keyed alike is updated by one worker; more
    workers than a topic has partitions are idle. sticky: as evenly as possible, whatever their
    numbers. The same for all workers of a group; docs/delivery.md says how to change it."""
    group_instance_id: _Name | None = Field(None, examples=["worker-0"])
    """Static member id: a restart within the session timeout moves no partition. Unique per
    worker."""
    session_timeout_seconds: Annotated[float, Field(ge=1.0, le=1_800.0)] = 10.0
    """Classic protocol: a worker that is silent for this long loses its partitions. Brokers refuse
    less than their `group.min.session.timeout.ms`, 6 s unless changed."""

    redis_url: SecretStr = SecretStr("redis://localhost:6379/0")
    """Where the state lives: redis://, rediss:// (TLS) or unix:///PATH; a Redis Cluster by some of
    its nodes, redis+cluster://HOST:PORT,HOST:PORT or rediss+cluster:// (TLS). Not used by a use case
    without views."""
    redis_timeout_seconds: _Waiting = 2.0
    """How long one Redis command or connect may take before Redis counts as away."""
    state_buckets: Annotated[int, Field(ge=1, le=1_024)] | None = Field(None, examples=[16])
    """Over how many hash slots the states are spread, so that the nodes of a Redis Cluster share the
    load. Default: 1 on one server, 16 on a cluster. A batch costs one script call a bucket. Redis
    remembers it, and another number is refused: changing it needs a new `application`."""
    state_expiry: bool = True
    """Whether Redis may forget a state of a view with `ttl_seconds` once it is older than that and
    its records have left the topics as well. Needs DescribeConfigs on the topics; without, and where
    a topic keeps its records for ever, nothing is forgotten."""

    while_rebuilding: Literal["fallback", "wait"] = "fallback"
    """What becomes of records while the state is rebuilt from the log: served by a fallback with the
    reason `state-rebuilding`, or they wait. Without a fallback they wait."""

    poll_max_records: _Records = 4_096
    """Most records taken from the brokers' queue at once."""
    batch_max_records: _Records = 4_096
    """Most records in a batch."""
    batch_max_bytes: _Bytes = 4 * _MIB
    """Most bytes in a batch, those of keys and headers counted; a single larger record is a batch of its
    own."""
    linger_seconds: Annotated[float, Field(ge=0.0, le=1.0)] = 0.003
    """Longest wait of a record for others that come closely behind the batch before, so that they
    share one and save CPU time. A lone record does not wait, and under load nothing does. 0: never."""
    pipeline_depth: Annotated[int, Field(ge=1, le=64)] = 6
    """Most batches in flight."""
    chunk_buffer: Annotated[int, Field(ge=1, le=64)] = 2
    """Most polls' worth of records that wait for the agent while polls leave records behind. Otherwise the
    next poll waits until what came before is delivered, and records that come meanwhile share a batch."""
    max_value_bytes: _Bytes = _MIB
    """A larger value is dead-lettered as `value-too-large`."""
    commit_interval_seconds: Annotated[float, Field(ge=0.0, le=60.0)] = 0.1
    """Time between two commits: what a crash may have to do again, and with `exactly_once` how
    long a prediction may wait for its transaction."""
    drain_seconds: _Seconds = 20.0
    """How long a stopping worker may take to finish what is in flight."""
    work_deadline_seconds: _Waiting = 120.0
    """How long a stage may be at work on a batch, waits for a service not counted. Past it the process
    names the offsets and ends with status 1; liveness fails after as long without a sign of work."""
    crash_isolation_starts: Annotated[int, Field(ge=1, le=1_000)] = 3
    """After so many starts that ended without progress, records are first tried one by one in a child
    process; one that kills it is dead-lettered as `process-crash`."""

    alignment: bool = True
    """Whether partitions are merged by record timestamp."""
    alignment_grace_seconds: _Seconds = 0.0
    """Release a record only once a poll that left nothing behind began at least this long after its
    timestamp."""
    alignment_wait_seconds: _Seconds = 5.0
    """Longest wait for a partition that delivers nothing and is not known to be at its end."""
    clock_ahead_seconds: _Seconds = 60.0
    """A record timestamp further ahead of the worker's clock than this counts as now."""
    clock_doubt: Literal["stop", "ignore"] = "stop"
    """What to do where most records have timestamps so far ahead of the clock that their events would
    be refused: wait until the clock is set, and stop after `refusal_seconds`; or refuse them."""
    held_bytes_per_partition: _Bytes = 16 * _MIB
    """Most memory for records that wait for another partition; above it the partition is paused. A
    record counts with its bytes and 384 more for its objects."""
    held_bytes_total: _Bytes = 128 * _MIB
    """The same for all partitions together; an eighth of it is librdkafka's queue. What the brokers
    had sent when it was reached comes on top: up to `max.partition.fetch.bytes` a partition, 128 KiB
    unless it is set."""

    feature_log_topic: _Topic | None = Field(None, examples=["flights.features"])
    """Topic for the feature vectors that were scored. Default: none are published."""
    feature_log_share: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share of the predictions whose vector goes to `feature_log_topic`."""

    dead_letter_payload: Literal["full", "digest"] = "full"
    """What a dead letter has of the record's value: its bytes, or only their length and SHA-256. Key and
    headers are kept. A digest hides nothing that can be guessed, as a short value can."""
    redact_fields: _Paths = Field("", examples=["passenger.name, items[*].card"])
    """Fields of values that are replaced in dead letters, and wherever `stream-app dlq` shows a value:
    paths such as `passenger.name`, `items[*].card`, `contacts.*` or `$`, separated by commas
    (docs/dead-letters.md, Privacy). A value that is no JSON is left out whole. Keys, headers and names of
    fields are kept. Default: nothing is replaced."""
    exception_texts: bool = False
    """Whether dead letters, and the log, also tell the texts of exceptions: of validators, decoders and other
    functions of the use case. Such a text may quote the event, so type, function and line alone are told by
    default, and with `redact_fields` it is refused."""
    producer_header: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        None, examples=["producer"]
    )
    """Header of events by which producers say who they are, in name or version. A dead letter has its text
    as `dead-letter.producer`. Default: nobody is asked."""

    flood_breaker: bool = True
    """Whether a topic-partition is stopped when too many of its records are refused in decode, enrich or
    score: nothing of it is taken until it may go on, and nothing is lost. docs/flood-breaker.md says how
    it goes on."""
    flood_poison_in_a_row: _Records = 100
    """So many records refused as `poison`, with none that passes between them, stop their partition."""
    flood_poison_share: _Share = 0.5
    """More than this share of the last `flood_window_records` of a partition, refused as `poison`, stops
    it. 1: never by its share."""
    flood_bug_in_a_row: _Records = 25
    """The same for records refused as `bug`: code is to blame, and a replay after it is mended costs more
    than to wait for that."""
    flood_bug_share: _Share = 0.25
    """The same for records refused as `bug`."""
    flood_window_records: _Records = 1_000
    """Of how many records the shares are. Those that have not come yet count as passed."""
    flood_retry_seconds: _Waiting = 30.0
    """How often the first record of a stopped partition, and its newest ones, are tried. A worker that
    finds it stopped tries at once."""
    flood_trial_records: Annotated[int, Field(ge=1, le=1_000)] = 10
    """So many of the newest records of a stopped partition must pass before its bad run is
    dead-lettered."""
    flood_letters_per_second: Annotated[float, Field(gt=0.0, le=1_000_000.0)] = 500.0
    """How fast the bad run of a partition is dead-lettered, by each worker and partition. Records that
    pass are not slowed down."""

    replay_secret: SecretStr | None = Field(None, examples=["..."])
    """What tells a replayed dead letter from a record that only says it is one, at least 16 characters.
    Workers, audit and whoever replays need the same; producers of events must not have it. Several,
    separated by spaces, while it is changed: the first is used, all are believed. Default: no record
    is believed to be a replay."""

    dead_letter_resolutions_topic: _Topic | None = Field(
        None, examples=["flights.dead-letter-resolutions"]
    )
    """Compacted topic that says which dead letters were replayed or are dealt with; `stream-app dlq`
    writes it, and creates it where it may. Default: APPLICATION.dead-letter-resolutions."""

    backoff_initial_seconds: _Waiting = 0.1
    """First wait before a service that is away is tried again; it doubles each time."""
    backoff_max_seconds: _Waiting = 5.0
    """Longest wait before a service that is away is tried again."""
    refusal_seconds: _Seconds = 30.0
    """How long a service that answers and refuses is waited for: an unknown topic, a wrong password,
    a missing right. Brokers that start or fail over refuse for a moment, too. Past it the worker ends
    with one sentence and status 1."""

    http_host: _Hosts = "0.0.0.0"  # noqa: S104  a probe comes from outside the container
    """Address on which metrics and health are served, or several, separated by commas. `::` is every
    address, of IPv6 and of IPv4; 127.0.0.1 keeps them on the machine."""
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 9_464
    """Port of metrics and health. 0: any free one, which the log names."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe messages that are logged."""
    log_format: Literal["text", "json"] = "text"
    """One line of text or one JSON object a message."""
    doctor: bool = False
    """Whether `stream-app run` looks at its deployment first, as `stream-app doctor` does. A finding is a line of
    the log; after an error it does not start, and ends with status 1. Without it, a worker waits for services
    that are away."""
    opentelemetry: bool = False
    """Whether traces and metrics are sent over OTLP, as the standard variables `OTEL_...` say (by default to
    http://localhost:4318). Needs the extra `otel`; docs/tracing.md says what is sent."""

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Construction takes its arguments alone; `load` reads the sources and remembers them."""
        return (init_settings,)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read environment and file; `given` (from the command line, None: not given) wins.

        Raises `SettingsError`.
        """
        settings, origins = sources.load(cls, given)
        settings._sources.update(origins)
        return settings

    @field_validator("sasl_username", "sasl_password", "redis_url")
    @classmethod
    def _is_one_line(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and text.endswith(("\n", "\r")):
            raise ValueError(f"the value {kafka_properties.LINE_BREAK}")
        return value

    @field_validator("redis_url")
    @classmethod
    def _can_be_connected_to(cls, url: SecretStr) -> SecretStr:
        if _is_cut_short(url.get_secret_value()):
            raise ValueError(
                "in a user name or a password, # / ? @ and % are written %23 %2F %3F %40 and %25"
            )
        if not _is_redis_url(url.get_secret_value()):
            raise ValueError(
                "expected redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix://PATH or "
                "redis+cluster://HOST:PORT,HOST:PORT"
            )
        if "?" in url.get_secret_value():
            # Not before it is needed: the settings are read by commands that know no Redis.
            from stream_app.features.stores.redis import check_options

            check_options(url.get_secret_value())
        return url

    @field_validator("replay_secret")
    @classmethod
    def _cannot_be_guessed(cls, secret: SecretStr | None) -> SecretStr | None:
        words = secret.get_secret_value().split() if secret is not None else None
        if words is not None and (not words or min(map(len, words)) < _SECRET_CHARACTERS):
            raise ValueError(f"expected at least {_SECRET_CHARACTERS} characters, without spaces")
        return secret

    @field_validator("kafka", "consumer", "producer")
    @classmethod
    def _leaves_ours_alone(cls, properties: Properties) -> Properties:
        sentence = kafka_properties.conflict(properties)
        if sentence:
            raise ValueError(sentence)
        return properties

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for low, high in (
            ("backoff_initial_seconds", "backoff_max_seconds"),
            ("held_bytes_per_partition", "held_bytes_total"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not be greater than {high}")
        if self.exception_texts and self.redact_fields:
            raise ValueError(
                "exception_texts and redact_fields contradict each other: the text of an exception may "
                "quote the fields that are to be redacted"
            )
        return self

    @property
    def queue_bytes(self) -> int:
        """Most bytes in librdkafka's queue: its part of `held_bytes_total`."""
        return self.held_bytes_total // 8

    def consumer_properties(self, group: str, worker: str | None = None) -> dict[str, Any]:
        """Return the consumer's librdkafka properties, secrets in the clear. Never log them.

        `worker`: by what name a worker is known, which the brokers tell of the partitions' holders.
        """
        queue_bytes = self.queue_bytes
        properties: dict[str, Any] = {
            **self._client_properties(group if worker is None else f"{group}@{worker}"),
            # New partitions are found within this time: by default it is five minutes.
            "topic.metadata.refresh.interval.ms": 30_000,
            # By default librdkafka waits a second before it fetches again after a full queue.
            "fetch.queue.backoff.ms": 10,
            # A partition that is resumed waits for the fetch under way, which waits for news of all
            # others: half a second by default.
            "fetch.wait.max.ms": 100,
            # An answer of a broker overshoots the queue's bound, so it is bounded as well.
            "fetch.max.bytes": max(_MIB, min(50 * _MIB, queue_bytes)),
            # An answer may hold so much of each partition: by default thousands of records, which
            # would be held for their turn until those of the last partition came.
            **({"max.partition.fetch.bytes": 128 * _KIB} if self.alignment else {}),
            **kafka_properties.reveal(self.kafka),
            **self._sasl(),
            **kafka_properties.reveal(self.consumer),
            "group.id": group,
            "group.protocol": self.group_protocol,
            # Where to start is decided in kafka/consumer/start_positions.py; nothing is skipped unseen.
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "queued.max.messages.kbytes": max(1, min(2_097_151, queue_bytes // _KIB)),
        }
        if self.group_instance_id:
            properties["group.instance.id"] = self.group_instance_id
        if self.group_protocol == "classic":
            session = round(self.session_timeout_seconds * 1_000)
            strategies = {"range": "range", "sticky": "cooperative-sticky"}
            properties["partition.assignment.strategy"] = strategies[self.assignment_strategy]
            properties["session.timeout.ms"] = session
            properties.setdefault("heartbeat.interval.ms", min(3_000, session // 3))
        else:
            assignors = {"range": "range", "sticky": "uniform"}
            properties["group.remote.assignor"] = assignors[self.assignment_strategy]
        return properties

    def producer_properties(self) -> dict[str, Any]:
        """Return the producer's librdkafka properties, secrets in the clear. Never log them."""
        return {
            **self._client_properties(self.application),
            "compression.type": "lz4",
            "linger.ms": 2,
            # What a topic takes is for its max.message.bytes to say: a dead letter carries its event's
            # value, key and headers, and ours besides.
            "message.max.bytes": max(64 * _MIB, self.max_value_bytes + _MIB),
            "queue.buffering.max.kbytes": max(
                65_536, 2 * self.pipeline_depth * self.batch_max_bytes // _KIB
            ),
            **kafka_properties.reveal(self.kafka),
            **self._sasl(),
            **kafka_properties.reveal(self.producer),
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            # Nobody asks about records that were acknowledged, but for all of them together.
            "delivery.report.only.error": True,
        }

    def transaction_properties(self, application: str, instance: str) -> dict[str, Any]:
        """Return a transactional producer's properties, secrets in the clear. Never log them.

        `instance` names the worker: its successor of the same name ends what it left open at once.
        """
        return {
            **self.producer_properties(),
            # The colon is in neither name: no two pairs of names make one id.
            "transactional.id": f"{application}:{instance}",
            "transaction.timeout.ms": round(self.transaction_timeout_seconds * 1_000),
            # A timeout of a record must not be longer than its transaction's.
            "message.timeout.ms": round(self.transaction_timeout_seconds * 1_000),
        }

    def admin_properties(self) -> dict[str, Any]:
        """Return an admin client's librdkafka properties, secrets in the clear. Never log them."""
        return {
            **self._client_properties(self.application),
            **kafka_properties.reveal(self.kafka),
            **self._sasl(),
        }

    def check_kafka_properties(self) -> None:
        """Let librdkafka judge the properties, without a connection; raises `SettingsError`."""
        problem = kafka_properties.problem(
            self.consumer_properties(self.application or "stream-app"),
            self.producer_properties(),
            self.secrets(),
        )
        if problem:
            raise SettingsError(f"kafka, consumer, producer: {problem}")

    def credential_files(self) -> dict[str, Path]:
        """Return the files of certificates and keys that clients read when they are made."""
        return {
            name: path
            for table in (self.kafka, self.consumer, self.producer)
            for name, path in kafka_properties.read_once(table).items()
        }

    def explain(self) -> list[Shown]:
        """Return every setting with its value, secrets masked, and its source."""
        return sources.explain(self, self._sources)

    def _client_properties(self, client: str | None) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": client or "stream-app",
            "reconnect.backoff.ms": round(self.backoff_initial_seconds * 1_000),
            "reconnect.backoff.max.ms": round(self.backoff_max_seconds * 1_000),
            "socket.keepalive.enable": True,
        }

    def _sasl(self) -> dict[str, str]:
        properties = {}
        if self.sasl_username is not None:
            properties["sasl.username"] = self.sasl_username
        if self.sasl_password is not None:
            properties["sasl.password"] = self.sasl_password.get_secret_value()
        return properties

    def secrets(self) -> list[str]:
        """Return what must be shown nowhere, in the clear: for whoever masks it."""
        url = self.redis_url.get_secret_value()
        texts = [] if self.sasl_password is None else [self.sasl_password.get_secret_value()]
        if self.replay_secret is not None:
            texts += self.replay_secret.get_secret_value().split()
        if "@" in url:
            credentials = url.partition("://")[2].rpartition("@")[0]
            texts += [url, credentials.partition(":")[2]]
        # A password may also be an option behind the address.
        texts += [value for name, value in _options(url) if name == "password"]
        for table in (self.kafka, self.consumer, self.producer):
            for value in table.values():
                if isinstance(value, SecretStr):
                    # What librdkafka fills in stands between the parts of a command.
                    texts += re.split(r"%\{[^}]*\}", value.get_secret_value())
        return [text for text in [*texts, *map(unquote, texts)] if text.strip()]


def _options(url: str) -> list[tuple[str, str]]:
    """What stands behind the question mark of an address, as it is written."""
    pairs = url.partition("?")[2].split("&")
    return [(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]


def _is_cut_short(url: str) -> bool:
    """Whether a password was not quoted, so that its end would be taken for another part of the URL."""
    _, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return "#" in rest or "@" in rest[len(authority) :]


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return bool(parts.path)
        if parts.scheme in {"redis+cluster", "rediss+cluster"}:
            _, _, places = parts.netloc.rpartition("@")
            hosts = [urlsplit(f"//{place}") for place in places.split(",")]
            _ = [host.port for host in hosts]
            return parts.path in {"", "/"} and all(host.hostname for host in hosts)
        _ = parts.port
        # redis-py takes database 0 for a database that is no number.
        numbered = re.fullmatch(r"(/\d*)?", parts.path) is not None
        return parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and numbered
    except ValueError:
        return False
