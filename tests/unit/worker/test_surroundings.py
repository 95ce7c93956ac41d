"""What surrounds the worker and is not meant for it: variables of Faust, characters in secrets."""

import contextlib
import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from faust.types.settings import Settings as FaustSettings

from stream_app.config.kafka_properties import canonical, is_secret
from stream_app.config.settings import MASK, Settings, SettingsError
from stream_app.worker.app import StreamApp
from stream_app.worker.faust_environment import hidden_from_faust
from tests.integration.worker import ROOT

SECRET = "hunter2"


def made() -> Any:
    """The settings of an app like the worker's."""
    return StreamApp("flights", broker="confluent-chunks://kafka", web_enabled=False).conf


def shown(settings: Settings) -> dict[str, str]:
    """Name to what a person may see."""
    return {row.name: row.value for row in settings.explain()}


@pytest.mark.filterwarnings("ignore:Setting .* is deprecated")
@pytest.mark.parametrize("value", ["7", "1.4.2", "true", "kafka://localhost:9092", "UTC"])
def test_faust_takes_none_of_its_settings_from_the_environment(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a container's APP_VERSION, BROKER_URL, DATADIR, TIMEZONE or WEB_PORT is for."""
    variables = {name: p.env_name for name, p in FaustSettings.SETTINGS.items() if p.env_name}
    assert len(variables) > 60
    assert {"APP_VERSION", "BROKER_URL", "TIMEZONE", "WEB_PORT"} <= {*variables.values()}

    def values() -> dict[str, str]:
        conf = made()
        return {name: repr(getattr(conf, name)) for name in variables}

    plain = values()
    for variable in variables.values():
        monkeypatch.setenv(variable, value)
        if variable != "APP_ENV_PREFIX":
            monkeypatch.setenv(f"PREFIX_{variable}", value)
    monkeypatch.setenv("APP_ENV_PREFIX", "PREFIX_")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "no.such.module")
    assert values() == plain


def test_faust_is_imported_without_its_variables_and_the_environment_stays() -> None:
    """A Kubernetes service called faust-web sets a FAUST_WEB_PORT that is no number."""
    variables = {
        "FAUST_WEB_PORT": "tcp://10.0.0.1:80",
        "F_BLOCKING_TIMEOUT": "long",
        "FAUST_LOOP": "gevent",
        "FAUST_DEBUG": "1",
    }
    code = (
        "from stream_app.worker.faust_environment import hidden_from_faust\n"
        "with hidden_from_faust():\n    import stream_app.worker.app\n"
        "import os, faust.types._env as seen\n"
        "print(os.environ['FAUST_WEB_PORT'], seen.WEB_PORT, seen.DEBUG)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["tcp://10.0.0.1:80", "6066", "False"], done.stderr


def test_the_environment_is_whole_again_after_an_import_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A use case may read the same variables."""
    monkeypatch.setenv("F_LOOP", "mine")
    within = None
    with contextlib.suppress(ImportError), hidden_from_faust():
        within = os.environ.get("F_LOOP")
        raise ImportError
    assert within is None
    assert os.environ["F_LOOP"] == "mine"


def librdkafka_properties() -> dict[str, str]:
    """Every property that the installed librdkafka knows, and its range of values."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    found = sorted(folder.glob("librdkafka*"))
    if not found:
        pytest.skip("librdkafka is not beside confluent_kafka here")
    library, libc = ctypes.CDLL(str(found[0])), ctypes.CDLL(None)
    read_end, write_end = os.pipe()
    libc.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fdopen(write_end, b"w"))
    with os.fdopen(read_end) as reader:
        if (child := os.fork()) == 0:  # it writes more than a pipe holds
            library.rd_kafka_conf_properties_show(stream)
            libc.fclose(stream)
            os._exit(0)
        libc.fclose(stream)
        text = reader.read()
        os.waitpid(child, 0)
    rows = re.findall(r"^(\S+) +\|[^|]*\|([^|]*)\|", text, re.MULTILINE)
    return {name: values.strip() for name, values in rows if name != "Property"}


def test_of_all_that_librdkafka_knows_nothing_with_a_secret_or_a_command_is_shown() -> None:
    """What has no list of values or range is hidden, unless it is known to be harmless."""
    properties = librdkafka_properties()
    assert len(properties) > 150
    free_text = [name for name, values in properties.items() if not values]
    visible = {name for name in free_text if not is_secret(canonical(name), SECRET)}
    assert not {name for name in visible if re.search("password|secret|pem$|cmd|config$", name)}
    assert is_secret("sasl.kerberos.kinit.cmd", "kinit -p hunter2")
    for name in (
        "sasl.kerberos.kinit.cmd", "sasl.oauthbearer.config", "sasl.oauthbearer.extensions",
        "sasl.oauthbearer.token.endpoint.url", "ssl.key.pem", "ssl.key.password",
        "ssl.keystore.password", "sasl.oauthbearer.client.credentials.client.secret",
        "plugin.library.paths", "ssl.engine.location", "ssl.engine.id", "interceptors", "opaque",
    ):  # fmt: skip
        assert name in properties
        assert name not in visible, name
    for name in ("sasl.username", "ssl.ca.location", "ssl.key.location", "client.id"):
        assert name in visible


def test_a_property_that_is_not_known_shows_numbers_only() -> None:
    """A newer librdkafka may have new secrets."""
    assert is_secret("sasl.new.thing", SECRET)
    assert not is_secret("sasl.new.timeout.ms", "1000")
    assert not is_secret("enable.new.thing", "true")
    assert is_secret("sasl.password", "1234")


@pytest.mark.parametrize("name", ["sasl.kerberos.kinit.cmd", "sasl.oauthbearer.config"])
def test_a_hidden_property_reaches_librdkafka_whole(name: str) -> None:
    """Hidden is only what a person is shown."""
    settings = Settings(kafka={name: SECRET})
    assert shown(settings)[f"kafka.{name}"] == MASK
    assert SECRET not in repr(settings)
    assert settings.admin_properties()[name] == SECRET


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}#1@cache:6379/0",
        f"redis://user:12#{SECRET}@cache:6379/0",
        f"redis://user:12/{SECRET}@cache:6379/0",
        f"redis://user:12?{SECRET}@cache:6379",
        f"redis://user:{SECRET}/@cache:6379/0",
        f"rediss+cluster://user:12?{SECRET}@cache:6379",
        f"redis://cache:6379/0#{SECRET}",
        f"redis://:{SECRET}@cache:6379/0\n",
    ],
)
def test_a_redis_password_that_breaks_the_url_is_refused_and_not_shown(url: str) -> None:
    """Or a part of it would be taken for the host, and go into the log as that."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(redis_url=url)
    message = str(caught.value)
    assert "redis_url" in message
    assert "%23" in message or "line break" in message
    assert SECRET not in message
    assert "12" not in message.partition("Example")[0]


def test_a_redis_password_with_other_odd_characters_is_understood() -> None:
    """And masked as a whole."""
    for password in ("p@ss:word", "100%", "%23%2F%3F%40%25"):
        settings = Settings(redis_url=f"redis://user:{password}@cache:6379/0")  # type: ignore[arg-type]
        assert shown(settings)["redis_url"] == f"redis://{MASK}@cache:6379/0"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"sasl_password": f"{SECRET}\n"}, "sasl_password"),
        ({"sasl_username": f"{SECRET}\r\n"}, "sasl_username"),
        ({"kafka": {"sasl.password": f"{SECRET}\n"}}, "sasl.password"),
        ({"kafka": {"ssl.key.password": f"{SECRET}\n"}}, "ssl.key.password"),
        ({"consumer": {"sasl.oauthbearer.client.secret": f"{SECRET}\n"}}, "client.secret"),
    ],
)
def test_a_line_break_behind_a_secret_is_refused(given: dict[str, Any], named: str) -> None:
    """As files of secrets have it; the brokers would say no more than that the password is wrong."""
    with pytest.raises(SettingsError, match="ends with a line break") as caught:
        Settings.load(**given)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_key_in_pem_keeps_its_lines() -> None:
    """They are part of it."""
    pem = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"
    assert Settings(kafka={"ssl.key.pem": pem}).admin_properties()["ssl.key.pem"] == pem


@pytest.mark.parametrize(
    "servers",
    [
        "kafka://broker:9092",
        "http://broker",
        "broker:port",
        "b:1,kafka://c:2",
        "broker:9092/",
        "b:65536",
        "b:0",
        ":9092",
    ],
)
def test_an_address_that_is_no_brokers_is_refused_at_the_start(servers: str) -> None:
    """librdkafka would find out at work, or never."""
    with pytest.raises(SettingsError, match=r"bootstrap_servers.*without kafka://"):
        Settings.load(bootstrap_servers=servers)


@pytest.mark.parametrize(
    "servers",
    ["broker", "b-1.example:9093,b_2:9092", "SASL_SSL://b:1", "[::1]:9092", "10.0.0.1:65535"],
)
def test_every_form_of_address_that_librdkafka_knows_is_accepted(servers: str) -> None:
    """With its own prefixes."""
    settings = Settings.load(bootstrap_servers=servers)
    settings.check_kafka_properties()


def test_two_workers_never_have_one_transactional_id() -> None:
    """Names may hold the hyphen that would stand between them."""

    def made(application: str, instance: str) -> str:
        properties = Settings().transaction_properties(application, instance)
        return str(properties["transactional.id"])

    assert made("flights", "eu-worker-0") != made("flights-eu", "worker-0")
    assert made("flights", "worker-0").startswith("flights")


def test_connections_that_a_firewall_dropped_are_noticed() -> None:
    """Every client keeps its connections alive, unless a person says otherwise."""
    settings = Settings()
    for properties in (
        settings.admin_properties(),
        settings.consumer_properties("g"),
        settings.producer_properties(),
        settings.transaction_properties("g", "i"),
    ):
        assert properties["socket.keepalive.enable"] is True
    other = Settings(kafka={"socket.keepalive.enable": False})
    assert other.admin_properties()["socket.keepalive.enable"] == "false"
