"""Running a training script from the command line, where a mistake is a sentence and no traceback."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable

from stream_app.errors import StreamAppError, exit_status

__all__ = ["run_script"]

_WRONG = 2


def run_script(main: Callable[..., None]) -> None:
    """Call `main` with the arguments of the command line, each as text; for ``if __name__ == ...``.

    What stream_app raises (a log that cannot be read, a model that is refused, a service that is away)
    becomes one line on stderr and the exit status of its commands: 2, or 3 for a service that is
    away. So do missing arguments. Any other exception is a defect, and shows where it is.
    """
    arguments = sys.argv[1:]
    try:
        inspect.signature(main).bind(*arguments)
    except TypeError as error:
        names = " ".join(name.upper() for name in inspect.signature(main).parameters)
        _end(f"{error}; usage: {_called()} {names}", _WRONG)
    try:
        main(*arguments)
    except StreamAppError as error:
        _end(str(error), exit_status(error))


def _called() -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return f"python -m {spec.name}" if spec else f"python {sys.argv[0]}"


def _end(message: str, status: int) -> None:
    print(f"{_called()}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)
