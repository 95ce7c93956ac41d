"""Faust gets nothing from the environment: its variables have names that mean other things elsewhere.

`APP_VERSION`, `BROKER_URL`, `TIMEZONE` or `WEB_PORT` of a container are rarely meant for Faust, and
Faust lets them win over what its app is given. `app.FaustSettings` are its settings without them. What
Faust reads while it is imported (`FAUST_*` and `F_*`: a Kubernetes service named faust-web is enough
for a `FAUST_WEB_PORT` that is no number) is hidden from it by `hidden_from_faust`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["hidden_from_faust"]

_READ_AT_IMPORT: Final = ("FAUST_", "F_")


@contextmanager
def hidden_from_faust() -> Iterator[None]:
    """Import Faust within this block; afterwards the process's environment is what it was."""
    hidden = {name: os.environ[name] for name in os.environ if name.startswith(_READ_AT_IMPORT)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
