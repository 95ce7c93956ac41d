"""What the settings of topics mean for the audit."""

import pytest

from stream_app.audit.topic_rules import _allowed_ahead


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"message.timestamp.after.max.ms": "3600000"}, 3_600.0),
        ({"message.timestamp.after.max.ms": str(2**63 - 1)}, 86_400.0),
        ({"message.timestamp.difference.max.ms": "60000"}, 60.0),
        ({"message.timestamp.type": "LogAppendTime"}, 0.0),
        ({}, 86_400.0),
    ],
)
def test_a_record_s_timestamp_may_be_ahead_as_far_as_its_topic_lets_it(
    told: dict[str, str], seconds: float
) -> None:
    """So an output that retention removed is not called missing because of a producer's clock."""
    assert _allowed_ahead(told) == seconds
