"""The --services option: what a missing service means, without starting any."""

import pytest

from tests.services import SERVICES, choose, describe, missing


def test_a_missing_service_skips_on_a_developers_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is in the report."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Kafka here"):
        missing("no Kafka here")


def test_a_missing_service_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped there without somebody seeing it."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Kafka here"):
        missing("no Kafka here")


@pytest.mark.parametrize(("installed", "choice"), [(True, "local"), (False, "containers")])
def test_auto_takes_what_is_there(
    monkeypatch: pytest.MonkeyPatch, installed: bool, choice: str
) -> None:
    """Local services if their packages are installed, else containers."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert choose("auto") == choice


@pytest.mark.parametrize("option", SERVICES)
def test_the_header_says_which_services_run(option: str) -> None:
    """Every choice has a sentence, and auto is described as what it comes to."""
    assert describe(option) == describe(choose(option))
