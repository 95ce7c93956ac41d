"""Settings: where they come from, what is refused and how, and what is never shown."""

import json
import os
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stream_app.config.settings import MASK, Settings, SettingsError

SECRET = "hunter2-do-not-show"


@pytest.fixture(autouse=True)
def _nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty directory, without variables of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("STREAM_APP_")]:
        monkeypatch.delenv(name)


def refusal(**given: Any) -> str:
    """Return what `Settings.load` says; it must be one line."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(**given)
    message = str(caught.value)
    assert "\n" not in message
    assert message == message.strip()
    return message


def sources(settings: Settings) -> dict[str, tuple[str, str]]:
    """Name to (shown value, source)."""
    return {row.name: (row.value, row.source) for row in settings.explain()}


def test_defaults_alone_are_a_complete_configuration() -> None:
    """Nothing needs to be set for a broker and a Redis on this machine."""
    settings = Settings.load()
    assert settings.bootstrap_servers == "localhost:9092"
    assert {source for _, source in sources(settings).values()} == {"default"}
    settings.check_kafka_properties()


def test_environment_wins_over_file_and_command_line_over_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The nearer to the person who starts the worker, the stronger; each says where it is from."""
    Path("stream_app.toml").write_text(
        'usecase = "a:file"\nbatch_max_records = 7\nlinger_seconds = 0.5\n'
    )
    monkeypatch.setenv("STREAM_APP_BATCH_MAX_RECORDS", "8")
    monkeypatch.setenv("STREAM_APP_USECASE", "a:environment")
    settings = Settings.load(usecase="a:argument", http_port=None)
    assert (settings.usecase, settings.batch_max_records) == ("a:argument", 8)
    assert settings.linger_seconds == 0.5
    shown = sources(settings)
    assert shown["usecase"] == ("a:argument", "command line")
    assert shown["batch_max_records"] == ("8", "environment variable STREAM_APP_BATCH_MAX_RECORDS")
    assert shown["linger_seconds"] == ("0.5", "file stream_app.toml")
    assert shown["http_port"] == ("9464", "default")


def test_construction_looks_at_nothing_but_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Settings(...)` in a test or a notebook does not change with the machine."""
    Path("stream_app.toml").write_text("batch_max_records = 7\n")
    monkeypatch.setenv("STREAM_APP_LINGER_SECONDS", "1")
    settings = Settings(http_port=0)
    assert (settings.batch_max_records, settings.linger_seconds) == (4_096, 0.003)
    assert sources(settings)["http_port"] == ("0", "code")


def test_the_file_named_by_the_environment_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STREAM_APP_CONFIG replaces stream_app.toml."""
    Path("stream_app.toml").write_text("batch_max_records = 7\n")
    other = tmp_path / "other.toml"
    other.write_text("batch_max_records = 9\n")
    monkeypatch.setenv("STREAM_APP_CONFIG", str(other))
    settings = Settings.load()
    assert sources(settings)["batch_max_records"] == ("9", f"file {other}")


def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files set variables to nothing where the host has none."""
    monkeypatch.setenv("STREAM_APP_APPLICATION", "")
    monkeypatch.setenv("STREAM_APP_KAFKA", "")
    assert Settings.load().application is None


def test_properties_of_file_and_environment_are_united_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password from the environment joins the rest from the file, however it is spelt."""
    Path("stream_app.toml").write_text(
        '[kafka]\n"security.protocol" = "SASL_SSL"\n"sasl.mechanism" = "PLAIN"\n'
        '"socket.nagle.disable" = true\n"sasl.username" = "file"\n'
    )
    monkeypatch.setenv("STREAM_APP_KAFKA", json.dumps({"sasl.mechanisms": "SCRAM-SHA-512"}))
    monkeypatch.setenv("STREAM_APP_KAFKA__SASL_PASSWORD", SECRET)
    monkeypatch.setenv("STREAM_APP_PRODUCER__QUEUE_BUFFERING_MAX_MS", "7")
    settings = Settings.load()
    properties = settings.admin_properties()
    assert properties["sasl.mechanisms"] == "SCRAM-SHA-512"
    assert properties["sasl.password"] == SECRET
    assert properties["socket.nagle.disable"] == "true"
    shown = sources(settings)
    assert shown["kafka.sasl.mechanisms"] == (
        "SCRAM-SHA-512",
        "environment variable STREAM_APP_KAFKA",
    )
    assert shown["kafka.sasl.password"] == (
        MASK,
        "environment variable STREAM_APP_KAFKA__SASL_PASSWORD",
    )
    assert shown["producer.linger.ms"] == (
        "7",
        "environment variable STREAM_APP_PRODUCER__QUEUE_BUFFERING_MAX_MS",
    )
    assert settings.producer_properties()["linger.ms"] == "7"
    assert shown["kafka.sasl.username"] == ("file", "file stream_app.toml")
    settings.check_kafka_properties()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        (
            "STREAM_APP_POLL_MAX_RECORDS",
            "many",
            "poll_max_records (environment variable STREAM_APP",
        ),
        ("STREAM_APP_POLL_MAX_RECORDS", "0", "STREAM_APP_POLL_MAX_RECORDS=4096"),
        ("STREAM_APP_LINGER_SECONDS", "nan", "linger_seconds"),
        ("STREAM_APP_ALIGNMENT", "perhaps", "STREAM_APP_ALIGNMENT=true"),
        ("STREAM_APP_STARTS_AT", "middle", "'beginning' or 'end'"),
        ("STREAM_APP_USECASE", "features.flights", "expected MODULE:OBJECT"),
        ("STREAM_APP_APPLICATION", "a b", "letters, digits"),
        ("STREAM_APP_BOOTSTRAP_SERVERS", "", None),
        ("STREAM_APP_BOOTSTRAP_SERVERS", "a:1, b:2", "HOST:PORT, separated by commas"),
        ("STREAM_APP_REDIS_URL", "localhost:6379", "expected redis://HOST:PORT/DB"),
        ("STREAM_APP_REDIS_URL", "redis://host:port/0", "expected redis://HOST:PORT/DB"),
        ("STREAM_APP_REDIS_URL", "redis://host:6379/cache", "expected redis://HOST:PORT/DB"),
        ("STREAM_APP_REDIS_URL", "redis://host", None),
        ("STREAM_APP_REDIS_URL", "rediss://:p@host/1?ssl_cert_reqs=required", None),
        ("STREAM_APP_REDIS_URL", "unix:///run/redis.sock?db=1", None),
        ("STREAM_APP_REDIS_URL", "redis://", "expected redis://HOST:PORT/DB"),
        ("STREAM_APP_REDIS_URL", "redis+cluster://a:7000,b:7001,[::1]:7002", None),
        ("STREAM_APP_REDIS_URL", "rediss+cluster://u:p@a,b/?ssl_cert_reqs=none", None),
        ("STREAM_APP_REDIS_URL", "redis+cluster://a:7000,", "redis+cluster://HOST:PORT,HOST:PORT"),
        ("STREAM_APP_REDIS_URL", "redis+cluster://a:7000/1", "redis+cluster://HOST:PORT,HOST:PORT"),
        ("STREAM_APP_REDIS_URL", "redis+cluster://a:b", "redis+cluster://HOST:PORT,HOST:PORT"),
        ("STREAM_APP_KAFKA", "{not json", "the value is not JSON (character 1)"),
        ("STREAM_APP_KAFKA", "[1]", "expected a table"),
        ("STREAM_APP_KAFKA", '{"debug": ["all"]}', "the value of debug must be"),
        ("STREAM_APP_CONSUMER", "1", "expected a table"),
        ("STREAM_APP_BATCHMAX_RECORDS", "1", "did you mean STREAM_APP_BATCH_MAX_RECORDS?"),
        ("STREAM_APP_KAFKA__", "x", "no setting"),
        ("STREAM_APP_REDIS__URL", "x", "no setting"),
        ("STREAM_APP_PORT", "8080", "no setting"),
        ("STREAM_APP_CONFIG", "missing.toml", "missing.toml cannot be read: No such file"),
        ("STREAM_APP_CONFIG", "~/missing.toml", "~/missing.toml cannot be read: No such file"),
        ("STREAM_APP_CONFIG", "/tmp", "/tmp is no regular file"),
        ("STREAM_APP_CONFIG", "/dev/null", None),
        ("STREAM_APP_BACKOFF_INITIAL_SECONDS", "60", "must not be greater than backoff_max"),
        ("STREAM_APP_HELD_BYTES_TOTAL", "1048576", "held_bytes_per_partition must not be greater"),
    ],
)
def test_a_wrong_variable_is_one_line_that_names_it(
    variable: str, value: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the setting, says what is wrong and gives an example."""
    monkeypatch.setenv(variable, value)
    if expected is None:
        Settings.load()
    else:
        assert expected in refusal()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch_max_record = 1", "there is no such setting; did you mean batch_max_records?"),
        ("BATCH_MAX_RECORDS = 1", "there is no such setting"),
        ("batch_max_records = 'x'", "batch_max_records (file stream_app.toml): "),
        ("batch_max_records = 'x'", "Example: batch_max_records = 4096"),
        ("redis_url = 'x'", 'Example: redis_url = "redis://localhost:6379/0"'),
        ("kafka = 1", 'Example: kafka = { "security.protocol" = "SASL_SSL" }'),
        ("= 1", "is not TOML"),
        ("[kafka.sasl]\npassword = 'x'", "the value of sasl must be"),
        ("[other]\na = 1", "other in the file stream_app.toml: there is no such setting"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(text: str, expected: str) -> None:
    """So does a mistake in the file; an unknown name is never passed over."""
    Path("stream_app.toml").write_text(text)
    assert expected in refusal()


def test_a_file_that_is_not_text_is_refused() -> None:
    """Bytes that are not UTF-8 are no traceback."""
    Path("stream_app.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in refusal()


def test_an_unknown_argument_is_refused() -> None:
    """A caller's typo is a sentence as well."""
    assert "did you mean http_port?" in refusal(http_prt=1)


def test_variables_of_the_build_and_of_its_caches_are_no_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that is to run in Python alone starts."""
    monkeypatch.setenv("STREAM_APP_PYTHON_ONLY", "1")
    monkeypatch.setenv("STREAM_APP_COMPILE", "no")
    Settings.load()


def test_variables_that_kubernetes_sets_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service called stream-app puts its addresses into every pod of the namespace."""
    for name, value in {
        "STREAM_APP_SERVICE_HOST": "10.0.0.1",
        "STREAM_APP_SERVICE_PORT": "9464",
        "STREAM_APP_SERVICE_PORT_METRICS": "9464",
        "STREAM_APP_PORT": "tcp://10.0.0.1:9464",
        "STREAM_APP_PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "STREAM_APP_PORT_9464_TCP_ADDR": "10.0.0.1",
        "STREAM_APP_WORKER_PORT_9464_TCP_PROTO": "tcp",
        "STREAM_APP_CACHE": "/somewhere",
    }.items():
        monkeypatch.setenv(name, value)
    Settings.load()


@pytest.mark.parametrize(
    ("table", "name", "value", "expected"),
    [
        ("kafka", "enable.auto.commit", "true", "offsets are committed after"),
        ("consumer", "enable.auto.offset.store", "true", "worker's own"),
        ("consumer", "group.id", "mine", "set application"),
        ("consumer", "isolation.level", "read_uncommitted", "aborted events"),
        ("consumer", "auto.offset.reset", "latest", "set starts_at"),
        ("consumer", "enable.partition.eof", "false", "time alignment"),
        ("consumer", "partition.assignment.strategy", "range", "set assignment_strategy"),
        ("consumer", "group.remote.assignor", "uniform", "set assignment_strategy"),
        ("consumer", "session.timeout.ms", "1", "set session_timeout_seconds"),
        ("producer", "acks", "1", "every replica"),
        ("producer", "request.required.acks", "0", "acks is the worker's own"),
        ("producer", "enable.idempotence", "false", "appear twice"),
        ("producer", "delivery.timeout.ms", "1000", "message.timeout.ms is the worker's own"),
        ("producer", "transactional.id", "x", "derived"),
        ("kafka", "metadata.broker.list", "x:1", "set bootstrap_servers"),
        ("kafka", "statistics.interval.ms", "1000", "metrics are served over HTTP"),
    ],
)
def test_a_property_that_guarantees_rest_on_is_refused(
    table: str, name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passing librdkafka's properties through must not turn a guarantee off."""
    monkeypatch.setenv(f"STREAM_APP_{table.upper()}", json.dumps({name: value}))
    message = refusal()
    assert expected in message
    assert f"environment variable STREAM_APP_{table.upper()}" in message


def test_a_new_partition_is_found_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka's own default is five; a person may still choose."""
    name = "topic.metadata.refresh.interval.ms"
    assert Settings.load().consumer_properties("g")[name] <= 60_000
    monkeypatch.setenv("STREAM_APP_KAFKA", json.dumps({name: 5_000}))
    assert Settings.load().consumer_properties("g")[name] == "5000"


def test_a_property_that_says_what_holds_anyway_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An organisation's standard properties may name what the worker sets itself."""
    monkeypatch.setenv("STREAM_APP_KAFKA", json.dumps({"acks": "all", "enable.auto.commit": False}))
    settings = Settings.load()
    assert settings.consumer_properties("g")["enable.auto.commit"] is False
    assert "acks" not in settings.consumer_properties("g")
    assert settings.producer_properties()["acks"] == "all"


@pytest.mark.parametrize(
    ("table", "properties", "expected"),
    [
        ("kafka", {"fetch.mni.bytes": 1}, 'No such configuration property: "fetch.mni.bytes"'),
        ("producer", {"compression.codec": "lz5"}, "producer's properties"),
        ("producer", {"max.in.flight": 10}, "max.in.flight"),
        ("kafka", {"error_cb": "x"}, "error.cb"),
        ("kafka", {"security.protocol": "SSL", "ssl.key.pem": SECRET}, "ssl.key.pem"),
    ],
)
def test_librdkafka_is_asked_before_anything_starts(
    table: str, properties: dict[str, Any], expected: str
) -> None:
    """A misspelt property is found at the start, with what librdkafka says of it."""
    settings = Settings.load(**{table: properties})
    with pytest.raises(SettingsError) as caught:
        settings.check_kafka_properties()
    assert expected in str(caught.value)
    assert SECRET not in str(caught.value)


SECRET_PLACES = {
    "STREAM_APP_KAFKA": json.dumps(
        {
            "sasl.password": SECRET,
            "ssl.key.password": SECRET,
            "ssl.keystore.password": SECRET,
            "ssl.key.pem": SECRET,
            "sasl.oauthbearer.client.secret": SECRET,
            "sasl.oauthbearer.assertion.private.key.passphrase": SECRET,
            "sasl.oauthbearer.assertion.private.key.pem": SECRET,
            "sasl.oauthbearer.token.endpoint.url": f"https://user:{SECRET}@host/token",
        }
    ),
    "STREAM_APP_CONSUMER__SASL_PASSWORD": SECRET,
    "STREAM_APP_SASL_PASSWORD": SECRET,
    "STREAM_APP_REDIS_URL": f"rediss://user:{SECRET}@host:6379/0?password={SECRET}",
}


def test_secrets_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in repr, str, a dump or the explanation; only librdkafka gets them."""
    for name, value in SECRET_PLACES.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    for text in (
        str(settings.explain()),
        settings.model_dump_json(),
        str(settings.model_dump()),
        repr(settings),
        str(settings),
    ):
        assert SECRET not in text
    shown = sources(settings)
    assert shown["redis_url"][0] == f"rediss://{MASK}@host:6379/0?{MASK}"
    assert shown["kafka.sasl.oauthbearer.token.endpoint.url"][0] == MASK
    assert settings.consumer_properties("g")["sasl.password"] == SECRET
    assert settings.producer_properties()["sasl.password"] == SECRET


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAM_APP_KAFKA", f'{{"sasl.password": "{SECRET}"'),
        ("STREAM_APP_KAFKA", json.dumps({"sasl.password": [SECRET]})),
        ("STREAM_APP_KAFKA", json.dumps({"sasl.password": SECRET, "group.id": SECRET})),
        ("STREAM_APP_REDIS_URL", f"redis://user:{SECRET}@host:port/0"),
        ("STREAM_APP_REDIS_URL", SECRET),
        ("STREAM_APP_BOOTSTRAP_SERVERS", f"user:{SECRET}@host:9092"),
        ("STREAM_APP_LINGER_SECONDS", SECRET),
    ],
)
def test_a_refusal_never_quotes_the_value(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password put in the wrong place stays out of the log, traceback included."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    whole = "".join(traceback.format_exception(caught.value))
    assert SECRET not in whole
    assert caught.value.__context__ is None


def test_pydantics_own_error_quotes_no_value_either() -> None:
    """Code that constructs `Settings` itself may print pydantic's error."""
    with pytest.raises(ValidationError) as caught:
        Settings(kafka={"sasl.password": [SECRET]}, redis_url=SECRET)  # type: ignore[dict-item,arg-type]
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_shorthands_for_sasl_reach_every_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret from a vault is one variable; it wins over the table's."""
    monkeypatch.setenv("STREAM_APP_KAFKA", json.dumps({"sasl.username": "other"}))
    monkeypatch.setenv("STREAM_APP_SASL_USERNAME", "worker")
    monkeypatch.setenv("STREAM_APP_SASL_PASSWORD", SECRET)
    settings = Settings.load()
    for properties in (
        settings.consumer_properties("g"),
        settings.producer_properties(),
        settings.admin_properties(),
    ):
        assert (properties["sasl.username"], properties["sasl.password"]) == ("worker", SECRET)


def test_settings_become_librdkafkas_units() -> None:
    """Seconds become milliseconds, bytes kibibytes; the bound on held bytes covers its queue."""
    settings = Settings(
        session_timeout_seconds=6.5,
        held_bytes_total=16 * 2**20,
        starts_at="end",
        group_instance_id="w-0",
        max_value_bytes=2**20,
    )
    consumer = settings.consumer_properties("group")
    assert consumer["group.id"] == consumer["client.id"] == "group"
    assert consumer["session.timeout.ms"] == 6_500
    assert consumer["heartbeat.interval.ms"] < 6_500 / 2
    assert consumer["auto.offset.reset"] == "error"
    assert consumer["group.instance.id"] == "w-0"
    assert consumer["queued.max.messages.kbytes"] * 1024 <= settings.held_bytes_total
    assert consumer["fetch.max.bytes"] <= settings.held_bytes_total
    assert settings.producer_properties()["message.max.bytes"] > settings.max_value_bytes


def test_the_new_group_protocol_gets_no_property_that_it_refuses() -> None:
    """KIP-848 moves session and assignor to the broker; librdkafka refuses them on the client."""
    settings = Settings(group_protocol="consumer")
    settings.check_kafka_properties()
    assert "session.timeout.ms" not in settings.consumer_properties("g")


def test_a_table_for_one_client_wins_over_the_common_one() -> None:
    """`consumer` and `producer` refine `kafka`."""
    settings = Settings(
        kafka={"client.rack": "a", "linger.ms": "9"},
        consumer={"client.rack": "b"},
        producer={"linger.ms": "1"},
    )
    assert settings.consumer_properties("g")["client.rack"] == "b"
    assert settings.producer_properties()["client.rack"] == "a"
    assert settings.producer_properties()["linger.ms"] == "1"


def test_every_setting_is_documented_and_ends_in_its_unit() -> None:
    """A docstring each, and no bare number of something."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "milli" not in name
        assert not name.endswith(("_ms", "_kb", "_size", "_timeout", "_interval")), name
