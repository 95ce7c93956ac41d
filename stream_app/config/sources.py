"""Where settings come from: environment, TOML file, command line; and what came from where.

Variables and file are read by pydantic-settings' own sources. To unite them is left to it as little
as to look for mistakes in them: it does not say which source a value came from, passes over a file
that is not there and a variable that is no setting, names a mistake over several lines that quote the
value, and takes two spellings of one librdkafka property for two.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from stream_app.compiled import PYTHON_ONLY
from stream_app.config.kafka_properties import canonical
from stream_app.errors import ConfigurationError

__all__ = ["explain", "load"]

_PREFIX = "STREAM_APP_"
_FILE_VARIABLE = "STREAM_APP_CONFIG"
_FILE_NAME = "stream_app.toml"

#: Variables with our prefix that are no settings of the worker.
_OTHER_VARIABLES = {_FILE_VARIABLE, "STREAM_APP_CACHE", "STREAM_APP_COMPILE", PYTHON_ONLY}

# Kubernetes sets such variables in every pod for a service whose name begins with stream-app.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")
_SERVICE_ADDRESS = re.compile(r"^(tcp|udp|sctp)://")

_TABLES = ("kafka", "consumer", "producer")

_Settings = TypeVar("_Settings", bound=BaseSettings)

#: Stands for a secret.
MASK = "********"


class SettingsError(ConfigurationError):
    """A setting is wrong. `str(error)` is one line that names it and quotes no value."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Shown(NamedTuple):
    """A setting as a person may see it."""

    name: str
    value: str
    """Secrets are `MASK`."""
    source: str
    """Default, or the environment variable, file or command line that it came from."""


def load(cls: type[_Settings], given: Mapping[str, Any]) -> tuple[_Settings, dict[str, str]]:
    """Read every source and check the whole; also says what came from where."""
    path = _file()
    sources: dict[str, str] = {}
    values: dict[str, Any] = {}
    _merge(values, sources, *_from_file(path, cls))
    _merge(values, sources, *_from_environment(cls))
    arguments = {name: value for name, value in given.items() if value is not None}
    _merge(values, sources, arguments, dict.fromkeys(arguments, "command line"))
    problem = None
    try:
        settings = cls(**values)
    except ValidationError as error:
        problem = _sentence(cls, error, sources)
    if problem:  # outside of `except`: no traceback may carry the values along
        raise SettingsError(problem)
    return settings, sources


def explain(settings: BaseSettings, sources: Mapping[str, str]) -> list[Shown]:
    """Every setting with its shown value and its source; properties one by one."""
    shown: list[Shown] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        unnamed = "code" if name in settings.model_fields_set else "default"
        source = sources.get(name, unnamed)
        if name in _TABLES and value:
            for key in sorted(value):
                whole = f"{name}.{key}"
                shown.append(Shown(whole, _shown(value[key]), sources.get(whole, source)))
        elif name == "redis_url":
            shown.append(Shown(name, _masked_url(value.get_secret_value()), source))
        else:
            shown.append(Shown(name, _shown(value), source))
    return shown


def _shown(value: Any) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    # An address among librdkafka's properties may carry a password of its own.
    return str(value)


def _masked_url(url: str) -> str:
    # Up to the last @: a password may hold any character, written by whoever did not quote it.
    masked = re.sub(r"://.*@", f"://{MASK}@", url, flags=re.DOTALL)
    address, question, _ = masked.partition("?")  # a query may hold a password, too
    return f"{address}?{MASK}" if question else address


def _merge(
    values: dict[str, Any],
    sources: dict[str, str],
    more: Mapping[str, Any],
    more_sources: Mapping[str, str],
) -> None:
    """Let `more` win over `values`; tables of properties are united property by property."""
    for name, value in more.items():
        present = values.get(name)
        if name in _TABLES and isinstance(value, dict) and isinstance(present, dict):
            values[name] = {**present, **value}
        else:
            values[name] = value
    sources.update(more_sources)


def _property_sources(values: Mapping[str, Any], source: str) -> dict[str, str]:
    names = dict.fromkeys(values, source)
    for table in _TABLES:
        properties = values.get(table)
        if isinstance(properties, dict):
            names.update({f"{table}.{canonical(key)}": source for key in properties})
    return names


def _file() -> Path | None:
    named = os.environ.get(_FILE_VARIABLE)
    if named:
        return Path(named)
    path = Path(_FILE_NAME)
    return path if path.is_file() else None


def _from_file(path: Path | None, cls: type[BaseSettings]) -> tuple[dict[str, Any], dict[str, str]]:
    if path is None:
        return {}, {}
    values = _read(path, cls)
    for name in values:
        if name not in cls.model_fields:
            hint = _closest(name, cls.model_fields)
            raise SettingsError(f"{name} in the file {path}: there is no such setting{hint}.")
    # Two spellings of a property are one, or the file's would not give way to the environment's.
    for table in _TABLES:
        if isinstance(values.get(table), dict):
            values[table] = {canonical(key): value for key, value in values[table].items()}
    return values, _property_sources(values, f"file {path}")


def _read(path: Path, cls: type[BaseSettings]) -> dict[str, Any]:
    problem = None
    try:
        # The source passes over what is not there, and over a folder or a pipe.
        if stat.S_ISFIFO(mode := path.stat().st_mode) or stat.S_ISDIR(mode):
            problem = "is no regular file"
        else:
            return TomlConfigSettingsSource(cls, path.absolute()).toml_data
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    raise SettingsError(f"The settings file {path} {problem}.")


def _from_environment(cls: type[BaseSettings]) -> tuple[dict[str, Any], dict[str, str]]:
    sources = _variables(cls)
    values: dict[str, Any] = {}
    problem = None
    try:
        values = EnvSettingsSource(cls)()
    except SourceError as error:
        cause = error.__cause__
        where = f" (character {cause.pos})" if isinstance(cause, json.JSONDecodeError) else ""
        name = next((name for name in _TABLES if f'"{name}"' in str(error)), _TABLES[0])
        variable = f"{_PREFIX}{name.upper()}"
        problem = (
            f"{name} (environment variable {variable}): the value is not JSON{where}. "
            f"Example: {_example(cls, name)}"
        )
    if problem:  # outside of `except`: the JSON error carries the value along
        raise SettingsError(problem)
    for table in _TABLES:
        properties = values.get(table)
        if isinstance(properties, dict):
            values[table] = {canonical(key): value for key, value in properties.items()}
            for key in values[table]:
                sources.setdefault(f"{table}.{key}", sources.get(table, "environment"))
    return values, sources


def _variables(cls: type[BaseSettings]) -> dict[str, str]:
    """Setting (or table.property) to the variable that gives it; raises for an unknown variable."""
    known = {f"{_PREFIX}{name}".upper(): name for name in cls.model_fields}
    sources: dict[str, str] = {}
    for variable, text in os.environ.items():
        upper = variable.upper()
        if not upper.startswith(_PREFIX) or upper in _OTHER_VARIABLES or not text:
            continue
        if _SERVICE_LINK.search(upper) or _SERVICE_ADDRESS.match(text):
            continue
        table, _, key = upper.partition("__")
        if upper in known:
            sources[known[upper]] = f"environment variable {variable}"
        elif known.get(table) in _TABLES and key:
            sources[f"{known[table]}.{canonical(key)}"] = f"environment variable {variable}"
        else:
            hint = _closest(upper, known)
            raise SettingsError(f"The environment variable {variable} is no setting{hint}.")
    return sources


def _closest(name: str, names: Any) -> str:
    found = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _sentence(cls: type[BaseSettings], error: ValidationError, sources: Mapping[str, str]) -> str:
    """Turn the first thing wrong into one line; pydantic's own would run over several."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    more = error.error_count() - 1
    suffix = f" ({more} more wrong)" if more else ""
    if not first["loc"]:
        return f"{message}.{suffix}"
    name = str(first["loc"][0])
    if name not in cls.model_fields:
        return f"{name}: there is no such setting{_closest(name, cls.model_fields)}.{suffix}"
    source = sources.get(name, "")
    if name in _TABLES:  # the message begins with the property's name, where one is to blame
        source = sources.get(f"{name}.{message.split()[0]}", source)
    where = f" ({source})" if source else ""
    example = _example(cls, name, in_file=source.startswith("file"))
    return f"{name}{where}: {message}. Example: {example}{suffix}"


def _example(cls: type[BaseSettings], name: str, *, in_file: bool = False) -> str:
    """An example of a setting, as a variable of the environment or as a line of the file."""
    variable = f"{_PREFIX}{name.upper()}"
    field = cls.model_fields[name]
    value = field.examples[0] if field.examples else field.default
    if value is PydanticUndefined:
        value = {}
    if isinstance(value, SecretStr):
        value = value.get_secret_value()  # a default, hence public
    if in_file:
        items = value.items() if isinstance(value, dict) else ()
        table = ", ".join(f'"{key}" = {json.dumps(each)}' for key, each in items)
        plain = str(value) if isinstance(value, Path) else value
        return (
            f"{name} = {{ {table} }}"
            if isinstance(value, dict)
            else f"{name} = {json.dumps(plain)}"
        )
    if isinstance(value, dict):
        return f"{variable}='{json.dumps(value)}'"
    return f"{variable}={str(value).lower() if isinstance(value, bool) else value}"
