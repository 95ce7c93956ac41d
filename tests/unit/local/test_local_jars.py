"""Kafka's jars: nothing runs whose hash is not the lock file's."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.local import cache
from stream_app.local.errors import LocalServiceError
from stream_app.local.jars import LOCK_FILE, Jar, class_path, locked_jars

CONTENT = b"classes"
GOOD = Jar("org.example:thing:1.0", hashlib.sha256(CONTENT).hexdigest())


def serve(jar: Jar, directory: Path) -> Path:
    """Stand in for the download."""
    path = directory / "downloaded"
    path.write_bytes(CONTENT)
    return path


def refuse(jar: Jar, directory: Path) -> Path:
    """Stand in for a download without a network."""
    raise AssertionError("the network was used")


def test_what_is_missing_is_downloaded_once(tmp_path: Path) -> None:
    """The second call takes every file from the cache and uses no network."""
    first = class_path([GOOD], tmp_path, serve)
    assert Path(first).read_bytes() == CONTENT
    assert class_path([GOOD], tmp_path, refuse) == first


def test_a_download_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    """The error names the coordinate and both hashes, and the cache stays empty."""
    bad = Jar(GOOD.coordinate, "0" * 64)
    with pytest.raises(LocalServiceError, match=f"refused.*{GOOD.sha256}.*{bad.sha256}.*thing:1"):
        class_path([bad], tmp_path, serve)
    assert list(tmp_path.iterdir()) == []


def test_a_cached_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    """The hash is checked at every start, not only after the download."""
    path = Path(class_path([GOOD], tmp_path, serve))
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(LocalServiceError, match="Delete the file to download it again"):
        class_path([GOOD], tmp_path, refuse)


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """It names the folder and the variable that chooses another one."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "kafka"
    with pytest.raises(LocalServiceError, match=f"in {folder}: Not a directory.*STREAM_APP_CACHE"):
        class_path([GOOD], folder, serve)


def test_the_folder_of_the_downloads_is_told_without_any_package(tmp_path: Path) -> None:
    """`make distclean` asks for it, with or without a virtual environment."""
    told = subprocess.run(
        [sys.executable, "-I", "-S", cache.__file__],
        env={"STREAM_APP_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == f"{tmp_path}\n"


def test_the_lock_file_names_no_place() -> None:
    """Coordinates and hashes are enough; where they come from is whoever's who downloads."""
    text = LOCK_FILE.read_text()
    assert "://" not in text
    assert set(json.loads(text)) == {"required", "jars"}
    jars = locked_jars()
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
