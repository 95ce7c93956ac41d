"""The table that says what each error of Kafka means."""

import ast
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.errors import ConfigurationError, FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.error_table import TABLE
from stream_app.kafka.errors import Kind, asked_by_command, failure, verdict

CODES = {
    code: name
    for name in dir(KafkaError)
    if name.isupper() and isinstance(code := getattr(KafkaError, name), int)
}


@pytest.mark.parametrize("code", sorted(CODES), ids=lambda code: CODES[code])
def test_every_code_of_the_installed_library_has_a_row(code: int) -> None:
    """An error that a newer librdkafka brings is noticed when it is installed, not at night."""
    assert code in TABLE


def test_a_code_that_nobody_knows_is_permanent() -> None:
    """To wait for what nobody knows would be to wait for ever."""
    assert verdict(KafkaError(9_999)).kind is Kind.PERMANENT


@pytest.mark.parametrize("code", sorted(CODES), ids=lambda code: CODES[code])
def test_a_permanent_error_says_what_to_do(code: int) -> None:
    """So does one that a record is to blame for; the others need nobody."""
    row = TABLE[code]
    assert bool(row.remedy) is (row.kind in {Kind.PERMANENT, Kind.RECORD})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TRANSPORT, ServiceAwayError),
        (KafkaError._AUTHENTICATION, RefusedError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, RefusedError),
        (KafkaError._FATAL, FatalError),
        (KafkaError._BAD_COMPRESSION, FatalError),
        (KafkaError._STATE, KafkaException),
    ],
)
def test_a_failed_request_raises_what_the_table_says(code: int, kind: type[Exception]) -> None:
    """The worker waits, waits for a while, ends with a sentence, or ends as by a bug."""
    assert type(failure(KafkaError(code), "describing the topic events")) is kind


def test_the_sentence_names_what_was_asked_and_the_remedy() -> None:
    """It is the last line in the log of a worker that ended."""
    sentence = str(failure(KafkaError(KafkaError.FENCED_INSTANCE_ID), "consuming"))
    assert "consuming" in sentence
    assert "group_instance_id" in sentence


@pytest.mark.parametrize("code", [KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT])
def test_a_command_tells_brokers_that_are_away_from_a_refusal(code: int) -> None:
    """Status 3 asks to try again later; a missing right does not come back by itself."""
    with pytest.raises(ServiceAwayError, match="Kafka does not answer: describing orders"):
        answer(code)
    with pytest.raises(ConfigurationError, match=r"refuses describing orders.*grant the worker"):
        answer(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(ConfigurationError, match="Erroneous state"):
        answer(KafkaError._STATE)


def answer(code: int) -> None:
    """Ask as a command does, and be refused so."""
    refused = KafkaException(KafkaError(code))
    with asked_by_command():
        raise failure(refused.args[0], "describing orders") from refused


#: Modules that look at codes, and why they must.
LOOKS_AT_CODES = {
    "stream_app/kafka/errors.py": "the one place where they become ours",
    "stream_app/kafka/error_table.py": "its table",
    "stream_app/delivery/refusals.py": "takes one refusal of each code, whatever the codes are",
    "stream_app/kafka/consumer/error_events.py": (
        "logs each code now and then, and knows librdkafka's names of all"
    ),
    "benchmarks/contest/loops/alone.py": "a loop as people write it, without the rooms of the worker",
    "stream_app/local/topics.py": "lies below `kafka`: a topic that exists need not be created",
}


def looks_at_codes(path: Path) -> bool:
    """Whether a module names a code of `KafkaError`, or asks an error for its code."""
    return any(
        (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "code"
        )
        or (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "KafkaError"
        )
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_errors_of_librdkafka_become_ours_in_one_place() -> None:
    """No other module compares codes, but for those that have a reason."""
    root = Path(__file__).parents[3]
    found = {
        str(path.relative_to(root))
        for room in ("stream_app", "demo", "features", "benchmarks")
        for path in (root / room).rglob("*.py")
        if looks_at_codes(path)
    }
    assert found == LOOKS_AT_CODES.keys()
