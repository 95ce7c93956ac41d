"""What every test can use. Light on purpose: unit tests need no service and import none."""

import os
import signal

import pytest

from tests.chromium import browser, look
from tests.services import (
    SERVICES,
    _redis_cluster,
    describe,
    kafka,
    redis,
    redis_cluster,
    redis_url,
    topic_factory,
)

__all__ = [
    "_redis_cluster", "browser", "kafka", "look", "redis", "redis_cluster", "redis_url", "topic_factory",
]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --services."""
    parser.addoption(
        "--services",
        choices=SERVICES,
        default="auto",
        help="where Kafka and Redis come from: local child processes, Docker containers, none "
        "(tests that need one are skipped), or auto (local if the extra is installed, else "
        "containers)",
    )


def pytest_configure() -> None:
    """Let child processes mind what tests tell them, wherever the suite was started.

    A shell without job control starts what runs in its background with SIGINT ignored, nohup with
    SIGHUP ignored, and children inherit that.
    """
    for number, default in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
    # Nor is a test's own `make` to take over what the one that runs the tests was told.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS", "JOBS"):
        os.environ.pop(name, None)


def pytest_report_header(config: pytest.Config) -> str:
    """Say which services this run uses."""
    return f"services: {describe(config.getoption('--services'))}"
