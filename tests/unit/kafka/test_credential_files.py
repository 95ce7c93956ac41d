"""Certificates that are renewed while the worker runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError, RestartError
from stream_app.kafka.credential_files import CredentialFiles


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A certificate."""
    path = tmp_path / "client.pem"
    path.write_text("one")
    return path


def watch(path: Path, check: Callable[[], None] = lambda: None) -> CredentialFiles:
    """Of one file; not started."""
    return CredentialFiles(
        {"ssl.certificate.location": path}, check=check, on_changed=lambda _: None
    )


def test_another_content_is_told_once_it_has_settled(file: Path) -> None:
    """A file may be half written when it is looked at."""
    files = watch(file)
    assert files.look() is None
    file.write_text("tw")
    assert files.look() is None
    file.write_text("two")
    assert files.look() is None
    found = files.look()
    assert isinstance(found, RestartError)
    assert f"ssl.certificate.location ({file}) has changed" in str(found)


def test_the_same_content_written_again_is_no_change(file: Path) -> None:
    """A secret is mounted anew although only its neighbour has changed."""
    files = watch(file)
    file.unlink()
    for _ in range(3):
        assert files.look() is None
    file.write_text("one")
    for _ in range(3):
        assert files.look() is None


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """So Kubernetes replaces the files of a secret, all at once."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ca.pem").write_text(name)
    link = tmp_path / "current"
    link.symlink_to("first")
    files = watch(link / "ca.pem")
    link.unlink()
    link.symlink_to("second")
    assert files.look() is None
    assert files.look() is not None


def test_a_folder_of_authorities_is_looked_into(tmp_path: Path) -> None:
    """ssl.ca.location may be one."""
    files = watch(tmp_path)
    (tmp_path / "new.pem").write_text("another authority")
    assert files.look() is None
    assert files.look() is not None


def test_what_no_client_can_be_made_of_is_waited_out(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate comes before its key: to end then would be not to start again."""
    usable = False

    def check() -> None:
        if not usable:
            raise ConfigurationError("the key is another certificate's")

    files = watch(file, check)
    file.write_text("two")
    for _ in range(5):
        assert files.look() is None
    assert caplog.text.count("the key is another certificate's") == 1
    usable = True
    file.write_text("three")
    assert files.look() is None
    assert files.look() is not None


def test_the_files_are_those_that_clients_read_when_they_are_made() -> None:
    """Of every kind of client; not a folder that librdkafka looks for by itself."""
    settings = Settings(
        kafka={"ssl.ca.location": "/ca.pem", "security.protocol": "SSL"},
        producer={"ssl.key.location": "/key.pem", "ssl.certificate.location": "/cert.pem"},
        consumer={"ssl.ca.location": "probe"},
    )
    assert settings.credential_files() == {
        "ssl.ca.location": Path("/ca.pem"),
        "ssl.key.location": Path("/key.pem"),
        "ssl.certificate.location": Path("/cert.pem"),
    }
