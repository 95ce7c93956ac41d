"""pathway: tables over Kafka topics, a user-defined function that scores, a table that is written.

``event``: the function is called for each row. ``batch``: it is called with up to a thousand rows
(`max_batch_size`). The library's fences want a partition's records in order, and a table has no order
within a commit: records that come behind a later one of their partition are not counted.

Guarantees: without persistence none: started again, it begins where the consumer group stands.

python -m benchmarks.peers.pathway_tables event|batch
"""

from __future__ import annotations

import sys
from typing import Any, Final

import pathway as pw

from benchmarks.contest.loops.library import Consumed, FeatureWork
from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told

_MOST_ROWS: Final = 1_000


def main() -> None:
    """Run the graph."""
    surroundings = Surroundings.read()
    work, counter = FeatureWork(surroundings), surroundings.counter()
    settings = {"bootstrap.servers": surroundings.bootstrap}
    reading = settings | {"group.id": surroundings.group, "auto.offset.reset": "earliest"}

    def process(rows: list[tuple[bytes | None, bytes | None, Any]]) -> list[tuple[bytes, str]]:
        """For each row the value that goes out and its topic, or two empty ones."""
        places = [row[2].as_dict() if hasattr(row[2], "as_dict") else row[2].value for row in rows]
        records = [
            Consumed(place["topic"], place["partition"], place["offset"], key, value)
            for (key, value, _), place in zip(rows, places, strict=True)
        ]
        # A table has no order; the library wants that of the offsets.
        order = sorted(range(len(records)), key=lambda at: records[at][:3])
        done = work.compute(records[at] for at in order)
        work.write(done)
        counter.add(done.records)
        by_source = {_source(out.headers): (out.value or b"", out.topic) for out in done.outgoing}
        return [by_source.get((r.topic, r.partition, r.offset), (b"", "")) for r in records]

    if "batch" in sys.argv[1:]:

        @pw.udf(max_batch_size=_MOST_ROWS, deterministic=True)  # type: ignore[untyped-decorator]
        def score(
            keys: list[bytes], values: list[bytes], places: list[pw.Json]
        ) -> list[tuple[bytes, str]]:
            return process(list(zip(keys, values, places, strict=True)))
    else:

        @pw.udf(deterministic=True)  # type: ignore[untyped-decorator]
        def score(key: bytes, value: bytes, place: pw.Json) -> tuple[bytes, str]:
            return process([(key, value, place)])[0]

    # A table is read from one topic.
    events = pw.Table.concat_reindex(
        *(
            pw.io.kafka.read(reading, topic=topic, format="raw", with_metadata=True)
            for topic in work.topics
        )
    )
    scored = events.select(key=pw.this.key, out=score(pw.this.key, pw.this.data, pw.this._metadata))
    made = scored.select(key=pw.this.key, value=pw.this.out[0], topic=pw.this.out[1])
    made = made.filter(pw.this.topic != "")
    pw.io.kafka.write(made, settings, made.topic, format="raw", key=made.key, value=made.value)
    end_at_once_when_told()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


def _source(headers: list[tuple[str, Any]]) -> tuple[str, int, int]:
    named = dict(headers)
    return (
        named["source-topic"].decode(),
        int(named["source-partition"]),
        int(named["source-offset"]),
    )


if __name__ == "__main__":
    main()
