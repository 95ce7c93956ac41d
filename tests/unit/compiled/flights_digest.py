"""Takes the demo's events through a predictor and prints what came of them: a process of its own.

    python -m tests.unit.compiled.flights_digest 30000

One record in a hundred is spoiled. Every seventh batch loses its compare-and-set to a writer that was
not there, and is applied again.
"""

import hashlib
import sys
from collections import Counter
from pathlib import Path
from random import Random

from benchmarks.in_process import _as_consumed
from benchmarks.workload import load
from features.flights import usecase
from stream_app.compiled import why_python
from stream_app.config.settings import Settings
from stream_app.features.stores import MemoryStore
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.models import load_model
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import make_predictor
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry
from stream_app.wire.assembly import make_emitters
from stream_app.wire.outgoing import OutgoingRecords

TIMES = ("dead-letter.failed-at", "dead-letter.timestamp")
"""Headers that tell when this process ran."""
ROOT = Path(__file__).parents[3]


class Contended(MemoryStore):
    """A store in which every seventh write of a batch is lost at first."""

    calls = 0

    def write(self, writes, progress):  # type: ignore[no-untyped-def]
        """Say that states are as they were read, with another version."""
        self.calls += 1
        if self.calls % 7 == 0 and writes:
            with self._shared.lock:
                for write in writes:
                    states = self._states[write.view]
                    if write.entity in states:
                        states[write.entity] = (
                            bytes([1, 2, 3, 4, 5, 6, 7, 8]) + states[write.entity][8:]
                        )
        return super().write(writes, progress)


def spoiled(records: list[Record]) -> None:
    """Change a byte of one record in a hundred."""
    random = Random(4)
    for record in records:
        if record.value and random.random() < 0.01:
            value = bytearray(record.value)
            value[random.randrange(len(value))] = random.choice(b'"{}:,0-9.eaZ\x00\xff')
            record.value = bytes(value)


def main(count: int) -> None:
    """Print the way it went, the counts, and a hash of states, predictions and dead letters each."""
    observer = Observer([])
    settings = Settings()
    models = [
        load_model(ROOT / "artifacts" / name, usecase.features, usecase.topics)
        for name in usecase.models
    ]
    store = Contended(usecase.features)
    retry = Retry(initial_seconds=0.1, max_seconds=1.0, observer=observer)
    predictor = make_predictor(settings, usecase, models, store, retry, observer)
    outgoing = OutgoingRecords(make_emitters(settings, usecase, "champion/1").in_order)
    tracker = OffsetTracker()
    partitions, records = _as_consumed(load(count), usecase)
    spoiled(records)
    predictor.state.register(dict.fromkeys(partitions, 0))
    hashes = {kind: hashlib.sha256() for kind in ("prediction", "dead letter", "state")}
    counts = Counter[str]()
    for start in range(0, len(records), 700):
        items, ends = tracker.admit(predictor.decode(records[start : start + 700]))
        batch = predictor.batch(items, ends)
        predictor.answer(batch)
        outgoing(batch)
        for record in batch.outgoing:
            kind = "prediction" if record.kind == "prediction" else "dead letter"
            headers = [each for each in record.headers if each[0] not in TIMES]
            hashes[kind].update(repr((record.topic, record.key, record.value, headers)).encode())
            counts[kind] += 1
        predictor.state.write(batch)
        if predictor.state.conflicted.is_set():
            predictor.state.forget_all()
            counts["conflict"] += 1
        tracker.finished(batch)
    for view, states in zip(usecase.features.views, store._states, strict=True):
        for entity in sorted(states):
            # The version is a random number.
            hashes["state"].update(repr((view.name, entity, states[entity][8:])).encode())
            counts["state"] += 1
    print("python" if why_python() else "compiled")
    print(dict(sorted(counts.items())))
    for kind, found in hashes.items():
        print(kind, found.hexdigest())


if __name__ == "__main__":
    main(int(sys.argv[1]))
