"""What a replay does with each letter."""

from typing import Any

from stream_app.dead_letters.letter import Letter, letter_of
from stream_app.dead_letters.mending import FixRaisedError
from stream_app.dead_letters.origins import OriginGoneError
from stream_app.dead_letters.outgoing_replay import OutgoingReplay, resolution
from stream_app.dead_letters.planning import Obstacle, Planner
from stream_app.dead_letters.resolutions import Resolutions
from stream_app.records.failure import Failure
from stream_app.records.places import PartitionId
from tests.unit.dead_letters.letters import LETTERS_ID, REPLAYS, Message, letter, said


class Origins:
    """Event topics that hold no record any more."""

    def completed(self, found: Letter) -> Letter:
        """The letter where it is whole."""
        if found.cut:
            raise OriginGoneError("retention removed its record")
        return found


def planner(**how: Any) -> Planner:
    """A planner of letters of which none is dealt with."""
    given = {"resolutions": Resolutions(), "predicted": (), "max_attempts": 3, **how}
    return Planner(
        replays=REPLAYS,
        origins=Origins(),  # type: ignore[arg-type]
        partitions={"orders": 2},
        **given,
    )


def obstacle(found: Letter, **how: Any) -> Obstacle | None:
    """Why a letter is left; None: it is replayed."""
    (planned,) = planner(**how)([found])
    assert (planned.replay is None) == (planned.obstacle is not None)
    return planned.obstacle


def told(**about: Any) -> Letter:
    """A letter that says this of its record."""
    message = Message(b"k", b"v", said(**about).headers(), 0, 0.0)
    return letter_of(message, LETTERS_ID, REPLAYS)


def known(found: Letter, target: PartitionId | None) -> Resolutions:
    """A mark of one letter."""
    made = Resolutions()
    made.add(found.id, resolution(found, by="anna", note="", replayed_to=target))
    return made


def test_a_letter_goes_to_where_its_record_came_from_or_is_left_for_a_reason() -> None:
    """Each obstacle has its own name."""
    found = letter()
    assert obstacle(found) is None
    marks = known(found, PartitionId("orders", 1))
    assert obstacle(found, resolutions=marks) is Obstacle.REPLAYED
    assert obstacle(found, resolutions=known(found, None)) is Obstacle.RESOLVED
    assert obstacle(found, predicted={found.first_origin}) is Obstacle.PREDICTED
    assert obstacle(letter(attempts=3)) is Obstacle.ATTEMPTS
    assert obstacle(letter(topic="another")) is Obstacle.NO_TOPIC
    for odd in ({"topic_id": ""}, {"topic_id": "short"}, {"partition": 2**31}, {"offset_": 2**63}):
        about = {name.rstrip("_"): value for name, value in odd.items()}
        assert obstacle(told(**about)) is Obstacle.NO_RECORD
        assert known(told(**about), None).of(told(**about)) is not None  # it can be resolved
    cut = letter(None, came=[("dead-letter.value-omitted-bytes", b"9"),
                             ("dead-letter.value-omitted-sha256", b"00")])  # fmt: skip
    assert obstacle(cut) is Obstacle.CUT


def test_one_record_is_replayed_once_though_it_has_two_letters() -> None:
    """A worker that crashed may have written both."""
    planned = list(planner()([letter(offset=0), letter(offset=1)]))
    assert [each.obstacle for each in planned] == [None, Obstacle.TWICE]


def test_another_partition_may_be_named() -> None:
    """Without a number the record's own stays, within those that there are."""

    def target(to: tuple[str, int | None], **about: Any) -> PartitionId:
        (planned,) = planner(target=to)([letter(**about)])
        assert planned.replay is not None
        return planned.replay.target

    assert target(("orders", 0)) == PartitionId("orders", 0)
    assert target(("orders", None)) == PartitionId("orders", 1)
    assert target(("orders", None), partition=4) == PartitionId("orders", 0)


def test_a_fix_that_raises_leaves_the_letter_and_its_neighbours_go() -> None:
    """What it raised is told in words that quote no payload."""

    def fix(value: bytes | None) -> bytes:
        if value == b"bad":
            raise FixRaisedError("the fix: ValueError in fix (fixes.py:1)")
        return b"mended"

    planned = list(planner(mend=fix)([letter(b"bad"), letter(b"good", partition=0)]))
    assert planned[0].obstacle is Obstacle.FIX
    assert planned[1].replay is not None
    assert planned[1].replay.value == b"mended"


def test_what_would_fail_again_is_left_and_says_why() -> None:
    """The trial sees the very record that would be sent."""

    def trial(replays: list[OutgoingReplay]) -> list[Failure | None]:
        return [
            Failure("score", "unscorable", "no model") if replay.value == b"bad" else None
            for replay in replays
        ]

    letters = [letter(b"bad"), letter(b"good", partition=0), letter(attempts=3)]
    planned = list(planner(trial=trial)(letters))
    assert [each.obstacle for each in planned] == [Obstacle.FAILS, None, Obstacle.ATTEMPTS]
    assert planned[0].detail == "score unscorable: no model"
