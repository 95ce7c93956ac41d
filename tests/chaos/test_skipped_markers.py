"""Whether it was a broker that left a transaction open."""

from tests.chaos.skipped_markers import skipped

LOG = (
    "2026-11-29T06:00:49.526Z [TxnMarkerSenderThread-1] INFO kafka.coordinator.transaction."
    "TransactionMarkerChannelManager - [Transaction Marker Channel Manager 1]: Couldn't find leader "
    "endpoint for partitions Set(letters-1, __consumer_offsets-3) while trying to send transaction "
    "markers for meters:9de5, these partitions are likely deleted already and hence can be skipped\n"
)


def test_a_broker_that_skipped_the_marker_is_to_blame() -> None:
    """Its log names the partition, whichever broker of several it was."""
    assert skipped({"letters-1"}, ["", LOG])


def test_nobody_else_is_excused() -> None:
    """Not a partition that was not named, nor a round that failed without an open transaction."""
    assert not skipped({"letters-1", "letters-0"}, [LOG])
    assert not skipped({"letters-1"}, ["letters-1"])
    assert not skipped((), [LOG])
