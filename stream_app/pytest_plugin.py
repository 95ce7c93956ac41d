"""pytest's plugin: the fixture `rehearse`, in memory or, with `--stream-app-services`, for real.

It is loaded in every run of pytest where stream_app is installed, so it imports nothing early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from stream_app.testing import Seen, Sent

__all__ = ["pytest_addoption", "pytest_runtest_setup", "rehearse"]

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

_RUNNING: Final = pytest.StashKey[pytest.Item]()
"""The test that runs now."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch, and the settings that name the use case."""
    parser.addini("stream_app_usecase", "The use case that `rehearse` tries, as MODULE:OBJECT.")
    parser.addini("stream_app_artifacts", "The folder of its model versions.", default="artifacts")
    parser.getgroup("stream_app").addoption(
        "--stream-app-services",
        action="store_true",
        help="Let `rehearse` run a worker on a real Kafka and a real Redis, started for each call.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which test is told of what `rehearse` saw."""
    item.config.stash[_RUNNING] = item


@pytest.fixture(scope="session")
def rehearse(request: pytest.FixtureRequest) -> Callable[[Sequence[Sent]], Seen]:
    """Send records to a worker of the use case; returns what became of each.

    Each call has topics and a state of its own. A test that fails shows the dead letters that came.
    """
    config = request.config
    send = _or_short_failure(_rehearsal, config)

    def rehearse(records: Sequence[Sent]) -> Seen:
        __tracebackhide__ = True
        seen = _or_short_failure(send, records)
        if seen.dead_letters:
            config.stash[_RUNNING].add_report_section("call", "rehearse", str(seen))
        return seen

    return rehearse


def _or_short_failure(function: Callable[[_Given], _Made], given: _Given) -> _Made:
    """What stream_app refuses fails a test by its sentence: a traceback through it would tell nothing."""
    __tracebackhide__ = True
    from stream_app.errors import StreamAppError

    try:
        return function(given)
    except StreamAppError as error:
        refused = str(error)
    # Here, so that no exception is shown as the cause of another.
    pytest.fail(refused, pytrace=False)


def _rehearsal(config: pytest.Config) -> Callable[[Sequence[Sent]], Seen]:
    from stream_app.config.usecase import load_usecase

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
