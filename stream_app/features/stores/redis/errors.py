"""What each error of Redis means: one table for every class of redis-py and every code of servers.

An error is one of five kinds:

- passing: wait and try again, with backoff;
- doubtful: a refusal that servers also give while they start or fail over, believed after a while;
- settings: address, database or rights cannot work as they were given;
- permanent: a person has to change something at the server;
- a bug: of ours or of redis-py, raised as it is.

What no row names is permanent: to wait for what nobody knows would be to wait for ever. Rows go by
the exact class, lest a new class of redis-py be taken for its parent; a `ResponseError`, which has no
class of its own, goes by the code that its text begins with, and `ERR`, which is many things, by its
words.

It is the one place where redis-py's errors become the contract's. Other modules obey what a server
says in the form of an error (where a slot is, that a script is unknown), and a test holds which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from ssl import SSLError
from typing import Final, NamedTuple

from redis import exceptions as of

from stream_app.features.stores.contract import (
    StoreMismatchError,
    StoreRefusedError,
    StoreUnavailableError,
)
from stream_app.text.foreign import bounded

__all__ = [
    "CLASSES",
    "CODES",
    "Kind",
    "Verdict",
    "answered",
    "failure",
    "in_form",
    "in_the_contract",
    "understood",
    "verdict",
]


class Kind(Enum):
    """What an error is, and so what is done about it."""

    PASSING = "passing"
    DOUBTFUL = "doubtful"
    SETTINGS = "settings"
    PERMANENT = "permanent"
    BUG = "bug"


class Verdict(NamedTuple):
    """A row of the table."""

    kind: Kind
    remedy: str = ""
    """What a person should do, as the end of a sentence; empty where nothing is to be done."""


_PASSING: Final = Verdict(Kind.PASSING)
_BUG: Final = Verdict(Kind.BUG)
_UNKNOWN: Final = Verdict(Kind.PERMANENT, "this version of the worker does not know the error")

_PASSWORD: Final = Verdict(Kind.DOUBTFUL, "check user name and password in redis_url")
_RIGHTS: Final = Verdict(
    Kind.SETTINGS,
    "grant the user of redis_url its rights (docs/delivery.md lists them)",
)
_REPLICA: Final = Verdict(Kind.DOUBTFUL, "redis_url has to name the primary, not a replica")
_DATABASE: Final = Verdict(Kind.SETTINGS, "the database in redis_url does not exist there")
_COMMAND: Final = Verdict(
    Kind.SETTINGS,
    "the server of redis_url, or a proxy before it, lacks a command that states need "
    "(docs/delivery.md lists them)",
)
_NO_CLUSTER: Final = Verdict(
    Kind.SETTINGS, "redis_url says +cluster, and the server is none: write redis:// or rediss://"
)
_TLS: Final = Verdict(
    Kind.DOUBTFUL,
    "check the certificates (ssl_ca_certs in redis_url), and whether the server speaks TLS",
)
_NO_REDIS: Final = Verdict(
    Kind.DOUBTFUL, "what answers at redis_url does not speak the protocol of Redis"
)
_FOREIGN: Final = Verdict(
    Kind.PERMANENT,
    "something else wrote under a key of the worker: delete that key and run `stream-app state "
    "rebuild`, or give `application` another name",
)
_SLOTS: Final = Verdict(
    Kind.PERMANENT, "a proxy in between has to know the hash tags of Redis Cluster"
)

#: By exact class; a `ResponseError` is looked at further.
CLASSES: Final[dict[type[Exception], Verdict]] = {
    of.ConnectionError: _PASSING,
    of.TimeoutError: _PASSING,
    of.BusyLoadingError: _PASSING,
    of.MaxConnectionsError: _PASSING,
    of.ClusterDownError: _PASSING,
    of.ClusterError: _PASSING,
    of.MasterDownError: _PASSING,
    of.TryAgainError: _PASSING,
    of.SlotNotCoveredError: _PASSING,
    of.RedisClusterException: _PASSING,  # unless its cause says more
    of.OutOfMemoryError: _PASSING,
    # Of a cluster whose slots move; of a single server `OneNode` says what is wrong.
    of.MovedError: _PASSING,
    of.AskError: _PASSING,
    of.NoScriptError: _PASSING,
    of.ReadOnlyError: _REPLICA,
    of.AuthenticationError: _PASSWORD,
    of.AuthenticationWrongNumberOfArgsError: _PASSWORD,
    of.AuthorizationError: _PASSWORD,
    of.InvalidResponse: _NO_REDIS,
    of.NoPermissionError: _RIGHTS,
    of.ClusterCrossSlotError: _SLOTS,
    of.CrossSlotTransactionError: _BUG,
    of.ResponseError: _UNKNOWN,
    of.RedisError: _UNKNOWN,
    of.ExecAbortError: _BUG,
    of.DataError: _BUG,
    of.PubSubError: _BUG,
    of.WatchError: _BUG,
    of.ModuleError: _BUG,
    of.LockError: _BUG,
    of.LockNotOwnedError: _BUG,
    of.ChildDeadlockedError: _BUG,
}
# What not every version of redis-py that is allowed has.
for _name, _row in {
    "ExternalAuthProviderError": _PASSWORD,
    "NoSuchFieldsetError": _BUG,
    "InvalidPipelineStack": _BUG,
    "IncorrectPolicyType": _BUG,
}.items():
    if hasattr(of, _name):
        CLASSES[getattr(of, _name)] = _row

#: By the code that a server's answer begins with.
CODES: Final[dict[str, Verdict]] = {
    "ASK": _PASSING,
    "BUSY": _PASSING,
    "CLUSTERDOWN": _PASSING,
    "LOADING": _PASSING,
    "MASTERDOWN": _PASSING,
    "MISCONF": _PASSING,
    "MOVED": _PASSING,
    "NOREPLICAS": _PASSING,
    "NOSCRIPT": _PASSING,
    "OOM": _PASSING,
    "REDIRECT": _PASSING,
    "TRYAGAIN": _PASSING,
    "UNBLOCKED": _PASSING,
    "READONLY": _REPLICA,
    "NOAUTH": _PASSWORD,
    "WRONGPASS": _PASSWORD,
    "NOPERM": _RIGHTS,
    "NOPROTO": Verdict(Kind.SETTINGS, "leave the option protocol out of redis_url"),
    "DENIED": Verdict(Kind.SETTINGS, "the server is in protected mode: set a password there"),
    "WRONGTYPE": _FOREIGN,
    "CROSSSLOT": _SLOTS,
    "BUSYGROUP": _BUG,
    "BUSYKEY": _BUG,
    "EXECABORT": _BUG,
    "INPROG": _BUG,
    "IOERR": _BUG,
    "NOGROUP": _BUG,
    "NOTBUSY": _BUG,
    "UNKILLABLE": _BUG,
}

# Words of answers with the code ERR, of servers old and new and of proxies.
_WORDS: Final[tuple[tuple[re.Pattern[str], Verdict], ...]] = tuple(
    (re.compile(words, re.IGNORECASE), row)
    for words, row in (
        (r"max number of clients", _PASSING),
        (r"no upstream host|upstream failure|no server connection", _PASSING),
        (r"connection (refused|reset|timed out)", _PASSING),
        (
            r"\bDB index\b|invalid DB|^value is out of range, value must|SELECT is not allowed",
            _DATABASE,
        ),
        (r"ACL failure|can't run this command|can't access|no permissions?\b", _RIGHTS),
        (r"unknown (redis )?command|unknown subcommand|unsupported command", _COMMAND),
        (r"cluster support disabled", _NO_CLUSTER),
        (r"operation not permitted|invalid password|\bAUTH\b|username-password", _PASSWORD),
        (r"Protocol error|wrong number of arg|syntax error|not an integer", _BUG),
    )
)

# Before Redis 7 a script's error is wrapped, its code in the middle.
_WRAPPED: Final = re.compile(
    r"^Error running script \(.*?\): (?:@user_script: ?\d+: ?)+-?(.*)", re.DOTALL
)
_SCRIPT: Final = re.compile(r" script: (?:\w+, )?on @\S+$")


@contextmanager
def in_the_contract(on_error: Callable[[], None]) -> Iterator[None]:
    """Raise redis-py's errors as the contract's; `on_error` is called before."""
    try:
        yield
    except (of.RedisError, of.RedisClusterException) as error:
        on_error()
        known = failure(error)
        if known is error:
            raise
        raise known from error


def answered(text: str) -> Exception:
    """The error that a server's answer is, where redis-py was not asked to make one of it."""
    return of.ResponseError(text.removeprefix("ERR "))


@contextmanager
def understood() -> Iterator[None]:
    """Numbers and names are read here: what is none was written by somebody else."""
    try:
        yield
    except ValueError as error:
        raise StoreRefusedError(
            f"Redis holds what no worker wrote: {bounded(str(error))}; {_FOREIGN.remedy}"
        ) from error


@contextmanager
def in_form() -> Iterator[None]:
    """What is asked here Redis answers in one form; in another one something else answers.

    redis-py believes what it is told, and fails anywhere. So it does where it cannot read an address.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        text = bounded(f"{type(error).__name__}: {error}")
        raise StoreRefusedError(
            f"Redis cannot be understood ({text}); {_NO_REDIS.remedy}, or its address is none",
            is_doubtful=True,
        ) from error


def verdict(error: Exception) -> Verdict:
    """The row of an error."""
    if isinstance(error, of.RedisClusterException) and (cause := _cause(error)) is not None:
        return verdict(cause)
    if type(error) is of.ConnectionError and isinstance(error.__context__, SSLError):
        return _TLS
    if type(error) is of.ResponseError:
        return _by_text(str(error))
    return CLASSES.get(type(error), _UNKNOWN)


def _cause(error: Exception) -> Exception | None:
    """What made the client of a cluster give up: it says so in an exception of its own."""
    seen: BaseException | None = error
    while isinstance(seen, of.RedisClusterException):
        seen = seen.__cause__ or seen.__context__
    return seen if isinstance(seen, of.RedisError) else None


def _by_text(text: str) -> Verdict:
    wrapped = _WRAPPED.match(text)
    text = wrapped[1] if wrapped else text
    code = text.partition(" ")[0]
    if code in CODES:
        return CODES[code]
    return next((row for words, row in _WORDS if words.search(text)), _UNKNOWN)


def failure(error: Exception) -> Exception:
    """The exception to raise for an error of redis-py: of the store's contract, or itself if a bug."""
    kind, remedy = verdict(error)
    text = bounded(_SCRIPT.sub("", str(error))).rstrip(". ")
    if kind is Kind.BUG:
        return error
    if kind is Kind.PASSING:
        away = (of.ConnectionError, of.TimeoutError, of.RedisClusterException)
        what = "is away" if isinstance(error, away) else "cannot serve"
        return StoreUnavailableError(f"Redis {what}: {text}")
    sentence = f"Redis refuses: {text}; {remedy}"
    if kind is Kind.SETTINGS:
        return StoreMismatchError(sentence)
    return StoreRefusedError(sentence, is_doubtful=kind is Kind.DOUBTFUL)
