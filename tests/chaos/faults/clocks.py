"""Workers whose clock is off."""

from tests.chaos import clock
from tests.chaos.faults.base import Context
from tests.chaos.faults.workers import OnWorker

__all__ = ["ClockAhead", "ClockBehind"]


class _ClockOff(OnWorker):
    """A worker is started again with a clock that is off, and later with the right one."""

    shortest_seconds, longest_seconds = 6.0, 9.0
    weight = 1.5
    most = 2
    shift_seconds: int

    @classmethod
    def lacks(cls) -> str:
        return clock.lacks()

    def begin(self, context: Context) -> None:
        member = self.member(context)
        member.stop()
        member.worker.environment(**clock.shifted(self.shift_seconds))
        member.start()

    def heal(self, context: Context) -> None:
        member = self.member(context)
        member.notice_end()
        member.stop()
        member.worker.environment(**clock.RIGHT)
        member.start()


class ClockBehind(_ClockOff):
    """Two days: every record seems to come from the future."""

    kind = "clock-behind"
    shift_seconds = -2 * 86_400
    ends_workers = (r"records have timestamps more than \S+ s ahead of this machine's clock",)


class ClockAhead(_ClockOff):
    """Two hours: more than brokers believe of a record's timestamp."""

    kind = "clock-ahead"
    shift_seconds = 7_200
    ends_workers = (
        r"Broker: Invalid timestamp; the clocks of worker and brokers are apart",
        r"^kafka refuses .*, probably for its timestamp: the worker's clock shows",
    )
