"""What changed is told from slices of time."""

import json
from collections import Counter

from stream_app.audit.over_time import Slice, changes


def one(at: float, served: str, *, reasons: str = "", code: str = "") -> Slice:
    """A slice in which one thing served."""
    letters = Counter([reasons]) if reasons else Counter()
    codes = Counter([code]) if code else Counter()
    return Slice(at, at + 60.0, 1, len(letters), Counter([served]), codes, letters)


def test_what_is_new_and_what_is_gone_is_told_with_its_time() -> None:
    """A model, a version of the code and a reason."""
    found = changes(
        [
            one(0.0, "late 1", reasons="bad-time", code="0.1"),
            one(60.0, "late 1", reasons="bad-time", code="0.1"),
            one(120.0, "late 2", reasons="wrong-type", code="0.2"),
        ]
    )
    assert {(each.at, each.what) for each in found} == {
        (120.0, "late 2 serves, and did not before"),
        (120.0, "dead letters of code 0.2, and none before"),
        (120.0, "dead letters for wrong-type, and none before"),
        (120.0, "no more late 1 serves"),
        (120.0, "no more dead letters of code 0.1"),
    }


def test_a_beginning_and_an_end_without_traffic_are_no_changes() -> None:
    """The first slice in which anything is seen is where it begins."""
    empty = Slice(0.0, 60.0)
    assert list(changes([empty, one(60.0, "late 1"), Slice(120.0, 180.0)])) == []
    assert list(changes([empty, empty])) == []


def test_a_slice_is_json_for_scripts() -> None:
    """Counts by name."""
    told = json.loads(json.dumps(one(0.0, "late 1", reasons="bad-time", code="0.1").as_json()))
    assert told["served"] == {"late 1": 1}
    assert (told["code"], told["reasons"], told["until"]) == ({"0.1": 1}, {"bad-time": 1}, 60.0)
