"""What a worker is put together of, built without any service."""

import logging
from dataclasses import replace
from urllib.request import urlopen

import pytest

from features.flights import usecase
from stream_app import Event, InputTopic, Message
from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError
from stream_app.worker.assembly import Parts, assemble
from tests.integration.worker import ROOT


def assembled(settings: Settings, topics: tuple[InputTopic, ...] = usecase.topics) -> Parts:
    """The parts of a worker for the flights, of which nothing is started."""
    served = replace(usecase, topics=topics, champion="flights/static-1", fallbacks=())
    return assemble(settings, served, on_chunk=lambda _: None, on_crash=lambda _: None)


@pytest.fixture
def settings() -> Settings:
    """Settings of a worker whose brokers nobody can reach."""
    return Settings(
        bootstrap_servers="127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        artifacts=ROOT / "artifacts",
        http_host="127.0.0.1",
        http_port=0,
        backoff_initial_seconds=0.001,
    )


def test_the_routes_are_served_before_the_brokers_can_be_reached(settings: Settings) -> None:
    """They name the model as well, which is loaded by then."""
    with assembled(settings).http as http:
        page = urlopen(f"http://127.0.0.1:{http.port}/metrics").read().decode()
    assert 'model_version="static-1"' in page


def test_a_wait_while_the_models_load_is_told_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Though listeners that need the models do not exist yet."""
    away = [ServiceAwayError("schema registry", "it does not answer")]

    def asking(topic: InputTopic) -> InputTopic:
        def decode(message: Message) -> Event | None:
            if away:
                raise away.pop()
            return topic.decoder(message)

        return InputTopic(topic.name, decode)

    with caplog.at_level(logging.INFO):
        assembled(settings, tuple(map(asking, usecase.topics)))
    assert "waiting for schema registry: it does not answer" in caplog.messages
    assert any(line.startswith("schema registry is back") for line in caplog.messages)
