"""What the refusals of a store mean for the worker; an absence is waited for as it is (`waiting.retry`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stream_app.errors import ConfigurationError, FatalError, RefusedError
from stream_app.features.stores import StoreMismatchError, StoreRefusedError

__all__ = ["ask"]

_T = TypeVar("_T")


def ask(call: Callable[[], _T]) -> _T:
    """What a call to a store returns.

    Raises `ConfigurationError` where the store cannot be used with these settings, `RefusedError`
    for a refusal that is believed after a while, and `FatalError` for one that is for ever.
    """
    try:
        return call()
    except StoreMismatchError as error:
        raise ConfigurationError(str(error)) from error
    except StoreRefusedError as error:
        if error.is_doubtful:
            raise RefusedError("redis", str(error)) from error
        raise FatalError(str(error)) from error
