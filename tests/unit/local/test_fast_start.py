"""Java's cache is made once for each environment, and those that are old go."""

import os
import time
from pathlib import Path

import pytest

from stream_app.local.fast_start import fast_start_options


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was recorded, into a cache directory that is the test's."""
    monkeypatch.setenv("STREAM_APP_CACHE", str(tmp_path / "cache"))
    return []


def ask(made: list[Path], folder: Path, name: str) -> list[str]:
    """The options of an environment with a runtime of its own."""
    java = folder / name
    if not java.exists():
        java.touch()

    def record(cache: Path) -> None:
        made.append(cache)
        cache.write_bytes(b"classes")

    return fast_start_options(java, str(java), record)


def test_environments_do_not_take_each_others_caches(made: list[Path], tmp_path: Path) -> None:
    """Two that run Kafka in turns make one each, not one a start."""
    first, other = ask(made, tmp_path, "java-a"), ask(made, tmp_path, "java-b")
    assert ask(made, tmp_path, "java-a") == first != other
    assert len(made) == 2


def test_a_cache_of_an_earlier_installation_is_removed(made: list[Path], tmp_path: Path) -> None:
    """A week after it was made, when another one is."""
    ask(made, tmp_path, "java-a")
    (cache,) = (tmp_path / "cache" / "java").glob("*.aot")
    week_ago = time.time() - 8 * 86_400
    os.utime(cache, (week_ago, week_ago))
    ask(made, tmp_path, "java-b")
    assert not cache.exists()


def test_nothing_is_made_for_who_waits_for_one_broker(made: list[Path], tmp_path: Path) -> None:
    """Its start takes some seconds more; a cache that is there is used all the same."""
    java = tmp_path / "java"
    java.touch()
    assert fast_start_options(java, str(java), None) == []
    assert not (tmp_path / "cache").exists()
    assert ask(made, tmp_path, "java") == fast_start_options(java, str(java), None) != []


def test_a_cache_that_cannot_be_written_costs_time_alone(made: list[Path], tmp_path: Path) -> None:
    """A file stands where its folder should be."""
    (tmp_path / "cache").touch()
    assert ask(made, tmp_path, "java") == []
    assert made == []
