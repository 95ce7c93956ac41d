"""Kinds of state: what an entity's state holds, how events update it, what columns read from it.

A file a kind; `contract` says what all of them promise.
"""

from stream_app.features.kinds.checks import plain_updates
from stream_app.features.kinds.compiled import EXPRESSION_NAMES, Formula, Statements
from stream_app.features.kinds.contract import (
    Apply,
    InvalidUpdateError,
    Read,
    State,
    StateOverflowError,
    Update,
    Values,
)
from stream_app.features.kinds.decayed_moments import DecayedMoments
from stream_app.features.kinds.decayed_share import DecayedShare
from stream_app.features.kinds.decayed_sums import DecayedSums
from stream_app.features.kinds.distinct import Distinct
from stream_app.features.kinds.distinct_ever import DistinctEver
from stream_app.features.kinds.extremes import Extremes
from stream_app.features.kinds.last_n import LastN
from stream_app.features.kinds.last_text import LastText
from stream_app.features.kinds.last_value import LastValue
from stream_app.features.kinds.open_items import OpenItems
from stream_app.features.kinds.windows import Windows

__all__ = [
    "EXPRESSION_NAMES", "Apply", "DecayedMoments", "DecayedShare", "DecayedSums", "Distinct",
    "DistinctEver", "Extremes", "Formula", "InvalidUpdateError", "LastN", "LastText", "LastValue",
    "OpenItems", "Read", "State", "StateOverflowError", "Statements", "Update", "Values", "Windows",
    "plain_updates",
]  # fmt: skip
