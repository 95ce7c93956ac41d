"""Where downloads are kept between runs. As a script it prints the folder, for `make distclean`."""

import os
import sys
from pathlib import Path


def cache_directory() -> Path:
    """Return the folder for downloads: STREAM_APP_CACHE, or the platform's cache folder."""
    chosen = os.environ.get("STREAM_APP_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "stream-app"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stream-app"


if __name__ == "__main__":
    print(cache_directory())
