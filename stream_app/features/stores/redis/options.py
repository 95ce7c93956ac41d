"""Options for redis-py in a URL: those that states can be kept with, and no others.

redis-py takes any of its parameters from there: with `decode_responses` every state would be read as
text, and one that the kind of connection does not know ends in a traceback when it is first used.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

__all__ = ["OPTIONS", "check_options"]

_FLAG: Final = r"(?i:true|false|yes|no|on|off|[01ytnf])"
_INTEGER: Final = r"\d{1,9}"
_SECONDS: Final = r"(?=.*[1-9])\d{1,9}(\.\d+)?"  # 0 is no time at all: every call would fail
_TEXT: Final = r".+"

#: What the value of each has to look like.
OPTIONS: Final = {
    "client_name": "[!-~]{1,200}",
    "db": _INTEGER,
    "health_check_interval": _INTEGER,
    "password": _TEXT,
    "protocol": "[23]",
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _FLAG,
    "socket_timeout": _SECONDS,
    "ssl_ca_certs": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_cert_reqs": "none|optional|required",
    "ssl_certfile": _TEXT,
    "ssl_check_hostname": _FLAG,
    "ssl_ciphers": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_min_version": "769|77[0-2]",
    "username": _TEXT,
}

_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def check_options(url: str) -> None:
    """Raise `ValueError` with a sentence where a URL asks for more; nothing secret is in it."""
    parts = urlsplit(url)
    if "@" in parts.query or parts.fragment:
        raise ValueError(
            "a password's /, ?, # and @ have to be written as %2F, %3F, %23 and %40 in redis_url"
        )
    options = parse_qs(parts.query, keep_blank_values=True)
    for name, values in options.items():
        if name not in OPTIONS:
            shown = f"the option {name}" if re.fullmatch(r"[a-z_]{1,40}", name) else "an option"
            raise ValueError(f"redis_url has {shown}; allowed are {', '.join(OPTIONS)}")
        if len(values) > 1 or re.fullmatch(OPTIONS[name], values[0]) is None:
            raise ValueError(f"redis_url: what the option {name} is given cannot be right")
        if name.startswith("ssl_") and not parts.scheme.startswith("rediss"):
            raise ValueError(f"redis_url: the option {name} needs rediss:// or rediss+cluster://")
        if name in _FILES and not _exists(values[0]):
            # Later it would look as if Redis were away.
            raise ValueError(f"redis_url: there is no such file as the option {name} names")
        if name == "socket_keepalive" and parts.scheme == "unix":
            raise ValueError(f"redis_url: the option {name} is none of a unix:// socket")
        if name == "db" and "cluster" in parts.scheme and values[0].strip("0"):
            raise ValueError("redis_url: a Redis Cluster has database 0 alone")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("redis_url: the option ssl_keyfile needs ssl_certfile beside it")


def _exists(path: str) -> bool:
    return "\0" not in path and Path(path).exists()
