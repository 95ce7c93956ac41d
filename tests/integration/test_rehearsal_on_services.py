"""The harness sees the same on a real Kafka and a real Redis as it sees in memory."""

from pathlib import Path

import pytest

from stream_app.testing import Seen, Sent, rehearse
from stream_app.testing.on_services import WorkerEndedError, rehearse_on_services
from tests.usecases import regression
from tests.usecases.regression import topic_of, train, usecase

SPEC = "tests.usecases.regression:usecase"


def comparable(seen: Seen) -> object:
    """What has to be equal: all but ids of topics and times of writing."""
    return (
        [{**answer.fields, "prediction_id": "", "row": repr(answer.row)} for answer in seen.predictions],
        [(each.reason, each.field, each.sent) for each in seen.dead_letters],
        {view: {key: repr(state) for key, state in states.items()} for view, states in seen.states.items()},
    )  # fmt: skip


def test_a_list_of_records_has_the_same_fate_in_memory_and_on_services(
    local_only: None, tmp_path: Path
) -> None:
    """Predictions, dead letters, rows and states, of events of 2023."""
    train(tmp_path)
    records = [
        Sent(topic=topic_of(each, usecase), value=each, key=each["meter"])
        for each in regression.events(200, 1_700_000_000.0)
    ]
    records.insert(50, Sent(topic="meters.readings", value=b"{"))
    in_memory = rehearse(usecase, records, artifacts=tmp_path)
    on_services = rehearse_on_services(usecase, records, spec=SPEC, artifacts=tmp_path)
    assert len(in_memory.predictions) == 66
    assert comparable(on_services) == comparable(in_memory)


def test_a_worker_that_ends_shows_its_log(local_only: None, tmp_path: Path) -> None:
    """There is no model version in the folder, so it does not start."""
    record = Sent(topic="meters.readings", value={})
    with pytest.raises(WorkerEndedError, match=r"(?s)the worker ended:.*not trained yet"):
        rehearse_on_services(usecase, [record], spec=SPEC, artifacts=tmp_path)
