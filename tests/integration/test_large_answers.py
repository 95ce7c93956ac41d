"""Answers of megabytes: a prediction where the topic takes them, and else one dead letter."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import NO_REDIS
from tests.integration.test_refused_records import MODES, alter, ticket
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent
from tests.usecases import large

MEGABYTES = 5_000_000


@pytest.mark.parametrize("delivery", MODES)
def test_an_answer_of_megabytes_is_published_or_a_dead_letter(
    cluster: Cluster, tmp_path: Path, delivery: str
) -> None:
    """A dead letter where the producer's own bound is below, whose remedy is that bound; published
    where topic and producer take it. Its neighbours pass."""
    testbed = Testbed(large, tmp_path, cluster, NO_REDIS)
    alter(cluster, testbed.usecase.predictions_topic, max_message_bytes="10000000")
    words = [f"large {MEGABYTES}" if n % 10 == 5 else "where is it" for n in range(40)]
    (topic,) = testbed.topics
    sent = [Sent(topic, ticket(n, text), b"k%d" % n) for n, text in enumerate(words)]
    for producer in ({"message.max.bytes": 1_000_000}, {}):
        cluster.produce(sent)
        with testbed.worker(delivery=delivery, producer=json.dumps(producer)) as worker:
            worker.until("all offsets are committed", testbed.drained)
    assert len(testbed.predictions()) == 36 + 40
    letters = testbed.dead_letters()
    assert len(letters) == 4
    for letter in letters:
        assert letter.letter.reason == "prediction-refused"
        assert "larger than producer.message.max.bytes" in letter.letter.message
        assert "raise that property" in letter.letter.message
