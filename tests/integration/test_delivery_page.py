"""What docs/delivery.md shows consumers works as it stands."""

from itertools import islice
from pathlib import Path
from typing import Any

from tests.integration.testbed import Testbed

PAGE = Path(__file__).parents[2] / "docs" / "delivery.md"


def test_the_consumer_of_the_page_yields_each_prediction_once(meters: Testbed) -> None:
    """Published again after a crash, a prediction is recognised by its id."""
    meters.cluster.produce(meters.meters(900))
    with meters.worker(commit_interval_seconds=60.0) as worker:
        worker.until("all is finished", lambda: worker.metric("stream_app_records_total") == 900)
        worker.kill()
    with meters.worker() as worker:
        worker.until("it is done again", meters.drained)
    topic = meters.usecase.predictions_topic
    assert meters.cluster.count(topic) == 600
    names: dict[str, Any] = {}
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    exec(compile(code, str(PAGE), "exec"), names)
    # One more, so that reading on to the last copy is part of the test.
    meters.cluster.produce(meters.meters(3, seed=9))
    with meters.worker() as worker:
        worker.until("the last is done", meters.drained)
    each = names["predictions"](meters.cluster.bootstrap, topic, f"reader-{meters.suffix}")
    read = [dict(message.headers())["prediction-id"] for message in islice(each, 301)]
    each.close()
    assert len(set(read)) == len(read) == 301
