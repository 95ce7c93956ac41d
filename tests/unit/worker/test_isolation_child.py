"""What a child says of an error: only what the record asked for is the record's fault."""

import pytest

from stream_app.errors import ConfigurationError, FatalError, RefusedError, ServiceAwayError
from stream_app.features.stores import StateLostError, StoreUnavailableError
from stream_app.worker.isolation_child import _AskOnce, _told_of


def out_of_the_store(error: Exception) -> Exception:
    """As it comes out of a call to the store, or to any service that is waited for."""

    def call() -> None:
        raise error

    with pytest.raises(Exception) as raised:
        _AskOnce()("redis", call)
    return raised.value


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("of a function"), ("raised", "builtins.ValueError")),
        (KeyError("of the engine"), ("raised", "builtins.KeyError")),
        (OSError(24, "Too many open files"), ("failed", "builtins.OSError: [Errno 24] Too many")),
        (MemoryError(), ("failed", "builtins.MemoryError")),
        (FatalError("what the store holds is no state"), ("failed", "what the store holds")),
        (out_of_the_store(ConfigurationError("Redis refuses")), ("failed", "Redis refuses")),
        (out_of_the_store(RuntimeError("of redis-py")), ("failed", "builtins.RuntimeError")),
        (out_of_the_store(TypeError("a bug of ours")), ("failed", "builtins.TypeError")),
        (out_of_the_store(RefusedError("redis", "NOAUTH")), ("refused", "NOAUTH")),
        (out_of_the_store(ServiceAwayError("redis", "gone")), ("away", "gone")),
        (out_of_the_store(StoreUnavailableError("gone")), ("away", "gone")),
        (out_of_the_store(StateLostError("lost")), ("away", "lost")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else repr(value),
)
def test_what_ended_a_trial(error: Exception, told: tuple[str, str]) -> None:
    """Blamed is what was raised beside the store and is none of the system's."""
    what, detail, *_ = _told_of(error)
    assert what == told[0]
    assert detail.startswith(told[1])


@pytest.mark.parametrize("kind", [ServiceAwayError, RefusedError])
def test_a_service_that_a_decoder_asks_is_told_by_its_name(kind: type[ServiceAwayError]) -> None:
    """So that the worker waits for that one, and says so."""
    error = out_of_the_store(kind("schema registry", "no answer"))
    what = "refused" if kind is RefusedError else "away"
    assert _told_of(error) == (what, "no answer", "schema registry")
