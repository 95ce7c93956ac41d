"""What every test can use. Light on purpose: unit tests need no service and import none."""

import pytest

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

__all__ = ["_redis_cluster", "kafka", "redis", "redis_cluster", "redis_url", "topic_factory"]


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


def pytest_report_header(config: pytest.Config) -> str:
    """Say which services this run uses."""
    return f"services: {describe(config.getoption('--services'))}"
