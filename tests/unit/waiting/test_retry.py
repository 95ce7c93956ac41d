"""Waiting: for absences alone, and only until told to stop."""

from collections.abc import Callable

import pytest

from stream_app.errors import FatalError, ServiceAwayError, StoppingError
from stream_app.features.stores import StoreUnavailableError
from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer, on
from stream_app.waiting.retry import Retry


class Service:
    """Raises what it is given, one a call, then answers."""

    def __init__(self, *errors: Exception, on_error: Callable[[], None] = lambda: None) -> None:
        self.errors = list(errors)
        self.on_error = on_error

    def __call__(self) -> str:
        """Fail or answer."""
        if self.errors:
            self.on_error()
            raise self.errors.pop(0)
        return "answer"


def away() -> ServiceAwayError:
    """An absence."""
    return ServiceAwayError("kafka", "gone")


@pytest.fixture
def notes() -> list[tuple[str, bool]]:
    """What was told about waiting."""
    return []


@pytest.fixture
def retry(notes: list[tuple[str, bool]]) -> Retry:
    """Patience whose waits take no time."""
    return Retry(
        initial_seconds=0.0,
        max_seconds=0.0,
        observer=Observer(
            [
                on(WaitingBegan, lambda wait: notes.append((wait.service, True))),
                on(WaitingEnded, lambda wait: notes.append((wait.service, False))),
            ]
        ),
    )


def test_a_call_that_succeeds_waits_for_nothing(
    retry: Retry, notes: list[tuple[str, bool]]
) -> None:
    """And nothing is told."""
    assert retry("kafka", Service()) == "answer"
    assert notes == []


@pytest.mark.parametrize(
    "error", [ServiceAwayError("redis", "gone"), StoreUnavailableError("gone")]
)
def test_an_absence_is_waited_for(
    retry: Retry, notes: list[tuple[str, bool]], error: Exception
) -> None:
    """Each failure is told, for its reason may change, and the end once."""
    assert retry("redis", Service(*[error] * 5)) == "answer"
    assert notes == [*[("redis", True)] * 5, ("redis", False)]


def test_an_absence_of_another_service_is_told_under_its_own_name(
    retry: Retry, notes: list[tuple[str, bool]]
) -> None:
    """A call may need several services, and a person wants to know which one is away."""
    registry = ServiceAwayError("schema registry", "gone")
    service = Service(
        StoreUnavailableError("gone"), registry, registry, StoreUnavailableError("no")
    )
    assert retry("redis", service) == "answer"
    redis, other = ("redis", True), ("schema registry", True)
    ended = [("redis", False), ("schema registry", False)]
    assert notes == [redis, ended[0], other, other, ended[1], redis, ended[0]]


@pytest.mark.parametrize("error", [FatalError("no"), ValueError("no"), KeyError("no")])
def test_what_is_no_absence_is_raised_at_once(
    retry: Retry, notes: list[tuple[str, bool]], error: Exception
) -> None:
    """Waiting heals no bug."""
    service = Service(error, error)
    with pytest.raises(type(error)):
        retry("redis", service)
    assert len(service.errors) == 1
    assert notes == []


def test_stopping_ends_a_wait(retry: Retry) -> None:
    """The call is not tried again."""
    service = Service(away(), away(), away(), on_error=retry.stop)
    with pytest.raises(StoppingError, match="stopped while waiting for kafka"):
        retry("kafka", service)
    assert len(service.errors) == 2
    assert retry.stopped()


def test_after_stopping_a_call_that_succeeds_still_succeeds(retry: Retry) -> None:
    """What is under way may finish; it is only not waited for."""
    retry.stop()
    assert retry("kafka", Service()) == "answer"
    with pytest.raises(StoppingError):
        retry("kafka", Service(away()))


def test_waits_grow_to_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is drawn from a range that doubles until it reaches the longest wait."""
    ranges: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        ranges.append((low, high))
        return 0.0

    monkeypatch.setattr("stream_app.waiting.retry.random.uniform", draw)
    retry = Retry(initial_seconds=0.5, max_seconds=3.0, observer=Observer())
    retry("kafka", Service(*[away()] * 5))
    assert ranges == [(0.25, high) for high in (0.5, 1.0, 2.0, 3.0, 3.0)]
