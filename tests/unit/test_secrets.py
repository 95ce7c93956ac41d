"""No secret of any setting is shown anywhere, whatever goes wrong."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from stream_app.config.settings import Settings
from stream_app.decoders.registry import Registry
from stream_app.local.ports import free_ports
from stream_app.telemetry.logs import configure_logging

ROOT = Path(__file__).parents[2]
WORD = "hunter"
"""In every secret below, and in nothing else."""

_PEM = f"-----BEGIN PRIVATE KEY-----\n{WORD}Pem0123456789\n-----END PRIVATE KEY-----\n"
_NUMBERED = iter(range(1_000))


def secret() -> str:
    """A secret that was not given before, with characters that are written in several ways."""
    return f'{WORD}{next(_NUMBERED)}-"x/y z'


def properties() -> dict[str, str]:
    """Every property of librdkafka's that holds something secret."""
    names = [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.extensions",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.kerberos.kinit.cmd",
        "ssl.engine.id",
        "a.property.of.tomorrow",
    ]
    return {
        **{name: secret() for name in names},
        "ssl.key.pem": _PEM,
        "sasl.oauthbearer.assertion.private.key.pem": _PEM,
        "sasl.oauthbearer.token.endpoint.url": f"https://u:{WORD}Url@host/token",
    }


SECRETS = {
    "STREAM_APP_REDIS_URL": (
        f"rediss://user:{WORD}%2FRedis%20x@127.0.0.1:1/0?password={WORD}%2FOption"
    ),
    "STREAM_APP_SASL_PASSWORD": secret(),
    "STREAM_APP_REPLAY_SECRET": f"{WORD}ReplayOfTheFirst {WORD}ReplayOfTheNext",
    "STREAM_APP_KAFKA": json.dumps(properties()),
    "STREAM_APP_CONSUMER": json.dumps(properties()),
    "STREAM_APP_PRODUCER": json.dumps(properties()),
}
#: Those with which a worker can begin: librdkafka refuses keys that are none, as it should.
USABLE = {
    **SECRETS,
    "STREAM_APP_SASL_USERNAME": "worker",
    "STREAM_APP_KAFKA": json.dumps(
        {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "debug": "all",
            "ssl.key.password": secret(),
            "ssl.keystore.password": secret(),
        }
    ),
    "STREAM_APP_CONSUMER": json.dumps({"sasl.password": secret()}),
    "STREAM_APP_PRODUCER": json.dumps({"sasl.password": secret()}),
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{WORD}Header,broken {WORD}Header2",
    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{WORD}Endpoint@127.0.0.1:1",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Settings]:
    """Settings with every secret there is, from the environment."""
    for name in [name for name in os.environ if name.startswith(("STREAM_APP_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Settings.load()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_secret_setting_is_given_here() -> None:
    """A secret setting more has to be added above."""
    fields = Settings.model_fields.items()
    declared = {name for name, field in fields if "SecretStr" in str(field.annotation)}
    assert {f"STREAM_APP_{name.upper()}" for name in declared} == SECRETS.keys()


def test_settings_show_none_of_them(environment: Settings) -> None:
    """Neither as an object, nor dumped, nor explained."""
    shown = [repr(environment), str(environment), environment.model_dump_json()]
    shown += [str(environment.model_dump()), str(environment.explain())]
    assert WORD not in "".join(shown)


def every_secret() -> list[str]:
    """Each secret on its own, as it was given."""
    tables = [
        json.loads(SECRETS[f"STREAM_APP_{each}"]) for each in ("KAFKA", "CONSUMER", "PRODUCER")
    ]
    return [
        *[value for table in tables for value in table.values()],
        *SECRETS["STREAM_APP_REPLAY_SECRET"].split(),
        SECRETS["STREAM_APP_SASL_PASSWORD"],
        SECRETS["STREAM_APP_REDIS_URL"],
        f"{WORD}/Redis x",
        f"{WORD}%2FRedis%20x",
        f"{WORD}/Option",
        f"{WORD}%2FOption",
    ]


@pytest.mark.parametrize("style", ["text", "json"])
def test_the_log_masks_each_of_them_however_somebody_quotes_it(
    environment: Settings, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a message, a field or a traceback; as it is, as Python, JSON or an address writes it."""
    configure_logging("INFO", style, environment.secrets())  # type: ignore[arg-type]
    log = logging.getLogger("library")
    for each in every_secret():
        for quoted in (each, repr(each), json.dumps(each), quote(each, safe="")):
            log.warning("refused: %s", quoted, extra={"given": quoted})
            log.error("failed", exc_info=ValueError(quoted))
    said = capsys.readouterr().err
    assert said.count("failed") >= 4 * len(every_secret())
    assert WORD not in said


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of ours, with every secret in its environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("STREAM_APP_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-m", "stream_app", *arguments],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [("config",), ("config", "--json"), ("run",), ("doctor",), ("lag",), ("check",)],
    ids=" ".join,
)
def test_a_command_that_refuses_the_settings_quotes_none(arguments: tuple[str, ...]) -> None:
    """librdkafka refuses these keys, and its sentence may name what it was given."""
    done = command(*arguments, **SECRETS)
    assert done.returncode != 0 or arguments == ("check",), done
    assert done.stdout + done.stderr
    assert WORD not in done.stdout + done.stderr


def test_the_doctor_quotes_none_where_nothing_answers() -> None:
    """Neither brokers nor Redis are there; what it found says where it asked, and not as whom."""
    done = command(
        "doctor", **USABLE, STREAM_APP_BOOTSTRAP_SERVERS="127.0.0.1:1",
        STREAM_APP_REDIS_TIMEOUT_SECONDS="0.2",
    )  # fmt: skip
    assert done.returncode != 0
    assert "error" in done.stdout
    assert "redis" in done.stdout
    assert WORD not in done.stdout + done.stderr


def test_a_worker_shows_none_from_its_start_to_its_end(tmp_path: Path) -> None:
    """librdkafka tells all it does, every service refuses; log, metrics and health."""
    (port,) = free_ports(1)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("STREAM_APP_", "OTEL_"))}
    log = tmp_path / "log"
    worker = subprocess.Popen(
        [sys.executable, "-m", "stream_app", "run"],
        env={
            **clean, **USABLE, "PYTHONPATH": str(ROOT), "STREAM_APP_LOG_LEVEL": "DEBUG",
            "STREAM_APP_BOOTSTRAP_SERVERS": "127.0.0.1:1", "STREAM_APP_OPENTELEMETRY": "true",
            "STREAM_APP_HTTP_PORT": str(port), "STREAM_APP_HTTP_HOST": "127.0.0.1",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        },
        stdout=log.open("w"), stderr=subprocess.STDOUT, cwd=ROOT,
    )  # fmt: skip
    try:
        pages = ""
        ends = time.monotonic() + 60.0
        while "waits for kafka" not in pages and time.monotonic() < ends:
            pages += "".join(page(port, path) for path in ("/readyz", "/livez", "/metrics", "/"))
            time.sleep(0.05)
        while "encountered while exporting" not in log.read_text() and time.monotonic() < ends:
            time.sleep(0.05)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    finally:
        worker.kill()
        worker.wait()
    said = log.read_text()
    assert worker.returncode == 0, said[-2_000:]
    assert "waits for kafka" in pages
    assert "librdkafka" in said
    assert "encountered while exporting" in said
    assert WORD not in pages
    assert not re.findall(rf".*{WORD}.*", said)


def page(port: int, path: str) -> str:
    """What a page says; nothing while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


@pytest.mark.parametrize(
    "given",
    [
        {"url": f"http://user:{WORD}1@127.0.0.1:1"},
        {"url": "http://127.0.0.1:1", "basic.auth.user.info": f"user:{WORD}2"},
        {
            "url": "http://127.0.0.1:1",
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": f"{WORD}3",
            "bearer.auth.logical.cluster": "lsrc-1",
            "bearer.auth.identity.pool.id": "pool-1",
        },
    ],
)
def test_a_schema_registry_that_is_away_is_named_without_what_lets_us_in(
    given: dict[str, str],
) -> None:
    """Its credentials are a use case's, and their sentence ends up in the log."""
    registry = Registry(given)
    quoted = [*given.values(), *(value.partition(":")[2] for value in given.values())]
    for text in quoted:
        told = str(registry.meaning(RuntimeError(f"cannot ask {text!r}")))
        assert "127.0.0.1:1" in told
        assert WORD not in told
    with pytest.raises(Exception, match="does not answer") as caught:
        registry.get_schema(1)
    assert WORD not in str(caught.value)


def test_what_is_secret_is_a_type_of_its_own(environment: Settings) -> None:
    """So that whoever formats a setting by mistake shows no secret either."""
    tables = (environment.kafka, environment.consumer, environment.producer)
    for table in tables:
        assert all(isinstance(value, SecretStr) for value in table.values())
