"""Starts that got nowhere, as committed offsets tell of them from one process to the next."""

from stream_app.records.start_count import StartCount, failed_starts


class Broker:
    """Keeps a committed offset with its metadata."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.metadata = "stream-app/1 topic-id"

    def assign(self, *, region: int = 100) -> StartCount:
        """A worker begins: it reads what is committed and commits its start."""
        starts = StartCount(self.offset, failed_starts(self.metadata))
        starts.rebuilding = False
        if starts.found:
            starts.region(self.offset + region)
        self.commit(starts, self.offset)
        return starts

    def commit(self, starts: StartCount, offset: int) -> None:
        """A worker commits an offset."""
        self.offset = offset
        self.metadata = f"stream-app/1 topic-id{starts.tag(offset)}"


def test_each_start_that_gets_nowhere_is_counted() -> None:
    """Over the lives of processes that die at once."""
    broker = Broker(7)
    assert [broker.assign().found for _ in range(4)] == [0, 1, 2, 3]
    assert broker.metadata == "stream-app/1 topic-id starts=4"


def test_getting_on_clears_the_count_of_a_first_start() -> None:
    """Any offset further on will do: nothing was suspected."""
    broker = Broker(7)
    broker.commit(broker.assign(), 8)
    assert broker.metadata == "stream-app/1 topic-id"
    assert broker.assign().found == 0


def test_after_a_start_that_got_nowhere_the_count_goes_on_to_the_end_of_the_region() -> None:
    """A little progress before each death must not hide the record that kills."""
    broker = Broker(0)
    broker.assign()
    found = []
    for offset in (10, 20, 30):
        starts = broker.assign(region=100)
        found.append(starts.found)
        broker.commit(starts, offset)
    assert found == [1, 2, 3]
    starts = broker.assign(region=100)
    broker.commit(starts, 129)
    assert broker.metadata.endswith(" starts=5")
    broker.commit(starts, 130)
    assert broker.assign().found == 0


def test_the_end_of_the_partition_ends_the_region() -> None:
    """What came later was in nobody's hands."""
    broker = Broker(0)
    broker.assign()
    starts = broker.assign(region=100)
    starts.at_end(40)
    assert not starts.must_be_told(), "the count goes with a commit that is to come anyway"
    broker.commit(starts, 39)
    assert broker.metadata.endswith(" starts=2")
    broker.commit(starts, 40)
    assert broker.assign().found == 0


def test_a_region_that_begins_anew_does_not_reach_beyond_the_end() -> None:
    """Or the count would stay until more records come."""
    starts = Broker(0).assign()
    starts.at_end(40)
    starts.region(30 + 100)
    assert starts.until == 40


def test_a_start_with_nothing_to_read_does_not_count() -> None:
    """The broker is told so, once."""
    broker = Broker(5)
    for _ in range(3):
        starts = broker.assign()
        assert starts.found == 0
        starts.at_end(5)
        assert starts.must_be_told()
        broker.commit(starts, 5)
        assert broker.metadata == "stream-app/1 topic-id"
        assert not starts.must_be_told()


def test_an_orderly_end_takes_the_start_back() -> None:
    """It leaves the count as it was found."""
    broker = Broker(5)
    broker.assign()
    broker.assign()
    starts = broker.assign()
    assert not starts.must_be_told()
    starts.leave_in_order()
    assert starts.must_be_told()
    broker.commit(starts, starts.start)
    assert broker.metadata.endswith(" starts=2")
    assert not starts.must_be_told()


def test_what_was_committed_further_on_is_never_committed_again() -> None:
    """Whether that arrived is not known here: an older offset might overtake it."""
    broker = Broker(5)
    starts = broker.assign()
    broker.commit(starts, 9)
    starts.at_end(9)
    starts.leave_in_order()
    assert not starts.must_be_told()


def test_while_the_state_is_rebuilt_nothing_clears_the_count() -> None:
    """What is read again for it may be what kills, however far new records get meanwhile."""
    broker = Broker(5)
    for found in range(3):
        starts = broker.assign()
        starts.rebuilding = True
        assert starts.found == found
        starts.at_end(broker.offset)
        assert not starts.must_be_told()
        broker.commit(starts, broker.offset + 1)
    starts.rebuilding = False
    broker.commit(starts, broker.offset + 1)
    assert broker.assign().found == 0


def test_metadata_of_others_is_no_count() -> None:
    """Whatever a person or another tool wrote."""
    for metadata in (None, "", "starts=3", "stream-app/1 id starts=-1", "x starts=three"):
        assert failed_starts(metadata) == 0, metadata
