"""pytest's plugin: the fixture `rehearse`, in memory or, with `--stream-app-services`, for real.

It is loaded in every run of pytest where stream_app is installed, so it imports nothing early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stream_app.testing import Seen, Sent

__all__ = ["pytest_addoption", "rehearse"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch, and the settings that name the use case."""
    parser.addini("stream_app_usecase", "The use case that `rehearse` tries, as MODULE:OBJECT.")
    parser.addini("stream_app_artifacts", "The folder of its model versions.", default="artifacts")
    parser.getgroup("stream_app").addoption(
        "--stream-app-services",
        action="store_true",
        help="Let `rehearse` run a worker on a real Kafka and a real Redis, started for each call.",
    )


@pytest.fixture(scope="session")
def rehearse(request: pytest.FixtureRequest) -> Callable[[Sequence[Sent]], Seen]:
    """Send records to a worker of the use case; returns what became of each.

    Each call has topics and a state of its own.
    """
    from stream_app.config.usecase import load_usecase

    config = request.config
    spec = str(config.getini("stream_app_usecase"))
    if not spec:
        raise pytest.UsageError(
            "stream_app_usecase is not set: name the use case under [tool.pytest.ini_options] in "
            'pyproject.toml, for example stream_app_usecase = "fraud:usecase"'
        )
    usecase = load_usecase(spec)
    artifacts = config.rootpath / str(config.getini("stream_app_artifacts"))
    if config.getoption("--stream-app-services"):
        from stream_app.testing.on_services import rehearse_on_services

        return partial(rehearse_on_services, usecase, spec=spec, artifacts=artifacts)
    from stream_app.models import load_models
    from stream_app.testing import rehearse

    return partial(rehearse, usecase, models=load_models(usecase, artifacts))
