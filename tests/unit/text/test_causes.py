"""What raised is told so that a person finds it, and quotes nothing of a record."""

from types import SimpleNamespace
from typing import Any

from stream_app.text.causes import cause_of


def told(function: Any, *given: Any) -> str:
    """How the failure of a call is told."""
    try:
        function(*given)
    except Exception as error:  # noqa: BLE001
        return cause_of(error)
    raise AssertionError


def test_a_name_that_the_source_has_and_nothing_else_is_told() -> None:
    """An attribute or a variable that was misspelt: nobody need open the file to see it."""
    event = SimpleNamespace(amount=1.0)
    assert told(lambda e: e.amont, event).startswith("AttributeError 'amont' in <lambda> (")
    assert told(lambda _: amont, event).startswith("NameError 'amont' in <lambda> (")  # type: ignore[name-defined] # noqa: F821


def test_a_name_that_came_with_the_record_is_not_told() -> None:
    """It may be a card number: neither as an attribute nor as a key."""
    secret = "4929-1234"
    assert "4929" not in told(lambda e: getattr(e, secret), SimpleNamespace())
    assert "4929" not in told(lambda key: {}[key], secret)
    assert "DE" not in told(lambda country: {"FR": 1, "DE": 2}[country[:1] + "E" + "DE"], "DE")
