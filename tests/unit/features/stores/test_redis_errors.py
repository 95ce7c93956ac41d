"""Each error of Redis has its row; what has none is not waited for."""

import ast
import inspect
from pathlib import Path
from ssl import SSLError

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from stream_app.features.stores import StoreMismatchError, StoreRefusedError, StoreUnavailableError
from stream_app.features.stores.redis.errors import CLASSES, CODES, Kind, failure, verdict


def answered(text: str) -> Exception:
    """What redis-py makes of a server's answer."""
    error = BaseParser.parse_error(text)
    assert isinstance(error, Exception)
    return error


def test_every_exception_of_the_installed_library_has_a_row() -> None:
    """A new version of redis-py with a new class fails here before it fails in service."""
    classes = {
        each
        for _, each in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(each, Exception) and each.__module__ == exceptions.__name__
    }
    assert classes - CLASSES.keys() == set()


#: Modules that name classes of redis-py's errors, and why they must.
NAMES_CLASSES = {
    "stream_app/features/stores/redis/errors.py": "the one place where they become the contract's",
    "stream_app/features/stores/redis/nodes.py": "follows redirections, and sends unknown scripts",
    "stream_app/features/stores/redis/cluster.py": "follows redirections",
    "stream_app/local/redis.py": "only looks whether the server that it started answers",
}


def names_a_class(path: Path) -> bool:
    """Whether a module imports or names an exception of redis-py."""
    classes = {each.__name__ for each in CLASSES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "redis":
            if node.module == "redis.exceptions":
                return True
            if {each.name for each in node.names} & (classes | {"exceptions"}):
                return True
        if (
            isinstance(node, ast.Attribute)
            and node.attr in classes | {"exceptions"}
            and isinstance(node.value, ast.Name)
            and node.value.id == "redis"
        ):
            return True
    return False


def test_errors_of_redis_py_become_ours_in_one_place() -> None:
    """No other module tells its classes apart, but for those that have a reason."""
    root = Path(__file__).parents[4]
    found = {
        str(path.relative_to(root))
        for room in ("stream_app", "demo", "features", "benchmarks")
        for path in (root / room).rglob("*.py")
        if names_a_class(path)
    }
    assert found == NAMES_CLASSES.keys()


def test_every_code_that_the_installed_library_knows_has_a_row() -> None:
    """And its class says the same as its row."""
    codes = BaseParser.EXCEPTION_CLASSES.keys() - {"ERR"}
    assert codes <= CODES.keys()
    for code in codes:
        assert verdict(answered(f"{code} 1 host:1")) == CODES[code], code


@pytest.mark.parametrize(
    "error",
    [
        answered("ERR something that nobody ever said"),
        answered("NEWCODE of a version to come"),
        exceptions.RedisError("of what?"),
        type("NewError", (exceptions.ConnectionError,), {})("of a version to come"),
    ],
    ids=str,
)
def test_what_no_row_knows_is_not_waited_for(error: Exception) -> None:
    """It ends the worker with a sentence."""
    refused = failure(error)
    assert isinstance(refused, StoreRefusedError)
    assert not refused.is_doubtful
    assert "does not know" in str(refused)


@pytest.mark.parametrize(
    "text",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Errors writing to the AOF file: No space left on device",
        "NOREPLICAS Not enough good replicas to write.",
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script.",
        "MASTERDOWN Link with MASTER is down",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "UNBLOCKED force unblock from blocking operation",
        "ERR max number of clients reached",
        "ERR Error running script (call to f_0): @user_script:112: @user_script: 112: -OOM no memory",
    ],
)
def test_what_passes_is_an_absence(text: str) -> None:
    """It is waited for; the reason is told."""
    assert isinstance(failure(answered(text)), StoreUnavailableError)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("READONLY You can't write against a read only replica.", "name the primary"),
        ("NOAUTH Authentication required.", "user name and password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "user name and password"),
        ("ERR Client sent AUTH, but no password is set", "user name and password"),
        ("ERR operation not permitted", "user name and password"),
    ],
)
def test_a_refusal_of_servers_that_fail_over_is_believed_after_a_while(
    text: str, remedy: str
) -> None:
    """It says what to do should it last."""
    refused = failure(answered(text))
    assert isinstance(refused, StoreRefusedError)
    assert refused.is_doubtful
    assert remedy in str(refused)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("NOPERM User default has no permissions to run the 'mget' command", "its rights"),
        ("NOPERM this user has no permissions to run the 'mget' command or its subcommand", "its"),
        (
            "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.",
            "",
        ),
        (
            "ERR The user executing the script can't run this command or subcommand script: 1",
            "rights",
        ),
        ("ERR unknown command 'EVALSHA', with args beginning with: ", "lacks a command"),
        ("ERR Unknown Redis command called from script script: 12, on @user_script:9.", "lacks"),
        ("ERR DB index is out of range", "database in redis_url"),
        ("ERR SELECT is not allowed in cluster mode", "database in redis_url"),
        ("ERR This instance has cluster support disabled", "write redis://"),
        ("DENIED Redis is running in protected mode", "protected mode"),
    ],
)
def test_what_the_settings_cannot_reach_ends_with_the_remedy(text: str, remedy: str) -> None:
    """Address, database and rights are for a person to change."""
    refused = failure(answered(text))
    assert isinstance(refused, StoreMismatchError)
    assert remedy in str(refused)
    assert "\n" not in str(refused)


def test_a_client_of_a_cluster_that_gave_up_is_judged_by_its_cause() -> None:
    """redis-py says the same of a cluster that forms itself, a wrong password and a single server."""

    def given_up(text: str) -> Exception:
        try:
            try:
                raise answered(text)
            except exceptions.RedisError as error:
                raise exceptions.RedisClusterException("cannot be connected") from error
        except exceptions.RedisClusterException as error:
            return error

    assert verdict(given_up("WRONGPASS invalid")).kind is Kind.DOUBTFUL
    assert verdict(given_up("ERR This instance has cluster support disabled")).kind is Kind.SETTINGS
    assert verdict(given_up("LOADING the dataset")).kind is Kind.PASSING
    assert verdict(exceptions.RedisClusterException("slots not covered")).kind is Kind.PASSING


def test_a_certificate_that_is_not_trusted_is_a_refusal() -> None:
    """redis-py calls it a connection that failed, like a server that is gone."""
    try:
        try:
            raise SSLError(1, "certificate verify failed")
        except OSError as error:
            raise exceptions.ConnectionError(f"Error 1 connecting: {error}")  # noqa: B904  as redis-py
    except exceptions.ConnectionError as error:
        refused = failure(error)
    assert isinstance(refused, StoreRefusedError)
    assert refused.is_doubtful
    assert "ssl_ca_certs" in str(refused)


def test_a_bug_is_raised_as_it_is() -> None:
    """Its traceback is what is needed."""
    for text in ("ERR wrong number of arguments for 'mget' command", "EXECABORT discarded"):
        error = answered(text)
        assert failure(error) is error


def test_what_a_server_says_is_bounded() -> None:
    """A line of the log may not grow with it, nor be forged by it."""
    told = str(failure(answered("ERR " + "x" * 100_000 + "\nCRITICAL forged")))
    assert len(told) < 500
    assert "\n" not in told
