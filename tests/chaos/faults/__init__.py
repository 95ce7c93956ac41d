"""The faults: what each does, to whom, and how it is healed."""

from tests.chaos.faults.base import Context, Fault
from tests.chaos.faults.brokers import BrokerFrozen, BrokerKilled, BrokerRestarted, LeaderKilled
from tests.chaos.faults.clocks import ClockAhead, ClockBehind
from tests.chaos.faults.elections import EventsTruncated, OutputsTruncated
from tests.chaos.faults.hostile import (
    Bombs,
    Burst,
    ExtremeNumbers,
    ForgedReplays,
    HostileMoments,
    HugeKeys,
    ManyHeaders,
    OddHeaders,
    OneMoment,
)
from tests.chaos.faults.links import (
    KafkaBlackHole,
    KafkaCut,
    KafkaRefused,
    KafkaSlow,
    RedisBlackHole,
    RedisCut,
    RedisRefused,
    RedisSlow,
)
from tests.chaos.faults.redis import (
    STATE_LOSS,
    KilledInRebuild,
    RedisAnswersWithErrors,
    RedisCutShort,
    RedisFlushed,
    RedisFrozen,
    RedisKilled,
    RedisRestarted,
    RedisRolledBack,
    RedisRolledBackUnderAWriter,
    RedisRolledBackWhileHeld,
)
from tests.chaos.faults.topics import (
    PartitionsAdded,
    TopicMadeAnew,
    TopicMadeAnewWhileFrozen,
)
from tests.chaos.faults.workers import (
    AllWorkersKilled,
    WorkerFrozen,
    WorkerJoins,
    WorkerKilled,
    WorkerLeaves,
    WorkerRestarted,
)

__all__ = ["CATALOGUE", "STATE_LOSS", "Context", "Fault"]

_ALL: tuple[type[Fault], ...] = (
    WorkerKilled, WorkerFrozen, WorkerRestarted, WorkerLeaves, WorkerJoins, AllWorkersKilled,
    ClockBehind, ClockAhead,
    BrokerKilled, BrokerRestarted, BrokerFrozen, LeaderKilled, OutputsTruncated, EventsTruncated,
    KafkaCut, KafkaRefused, KafkaSlow, KafkaBlackHole,
    RedisKilled, RedisRestarted, RedisFrozen, RedisAnswersWithErrors,
    RedisCut, RedisRefused, RedisSlow, RedisBlackHole,
    RedisFlushed, RedisCutShort, RedisRolledBack,
    RedisRolledBackUnderAWriter, RedisRolledBackWhileHeld, KilledInRebuild,
    PartitionsAdded, TopicMadeAnew, TopicMadeAnewWhileFrozen,
    Burst, OneMoment, ExtremeNumbers,
    OddHeaders, ManyHeaders, HugeKeys, Bombs, HostileMoments, ForgedReplays,
)  # fmt: skip

#: Every fault by its kind.
CATALOGUE: dict[str, type[Fault]] = {fault.kind: fault for fault in _ALL}
