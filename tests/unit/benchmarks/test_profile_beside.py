"""The profile of the worker beside the loop, the part that needs neither."""

from benchmarks.profile.beside import table
from benchmarks.profile.stages import stacks


def test_the_table_has_the_medians_of_the_rounds_and_what_one_of_them_lacks_is_nothing() -> None:
    """A line a thread and stage, a column a contender."""
    found = {
        "loop": [
            {("compute", "ONNX"): 2.0},
            {("compute", "ONNX"): 4.0},
            {("compute", "ONNX"): 3.0},
        ],
        "worker": [{("compute", "align"): 1.0, ("compute", "ONNX"): 3.0}],
    }
    assert table(found).splitlines() == [
        "| thread | stage | loop | worker |",
        "|---|---|---:|---:|",
        "| compute | ONNX | 3.00 | 3.00 |",
        "| compute | align | 0.00 | 1.00 |",
        "| all | | 3.0 | 4.0 |",
    ]


def test_the_loops_own_frames_belong_to_the_stages_of_the_worker() -> None:
    """So that a line of the table has the same work of both."""
    recorded = [
        "HandWrittenLoop._consume (benchmarks/contest/loops/hand_written.py:91);consume (cimpl.so)",
        "FeatureWork._predictions (benchmarks/contest/loops/library.py:219);encode (msgspec/_core.so)",
        "HandWrittenLoop._deliver (benchmarks/contest/loops/hand_written.py:131);malloc (libc.so.6)",
    ]
    told = "\n".join(f"thread (7): Thread-1 (run);{frames} 1" for frames in recorded)
    assert [each.stage for each in stacks(told)] == ["poll", "outgoing", "produce"]
