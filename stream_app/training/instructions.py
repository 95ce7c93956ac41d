"""Watching the instructions of some functions: by ``sys.monitoring``, and on Python 3.11 by tracing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any, Final

__all__ = ["ENTRY", "watch_code"]

ENTRY: Final = -1
"""Stands for the offset of a call."""

#: Told of a frame and the offset it is at, or `ENTRY`; says whether its function is still of interest.
OnStep = Callable[[FrameType, int], bool]

_NAME: Final = "stream_app.training"


def watch_code(codes: Iterable[CodeType], on_step: OnStep) -> Callable[[], None]:
    """Tell `on_step` of each instruction of these functions; returns what ends it."""
    if sys.version_info >= (3, 12):
        return _monitor(list(codes), on_step)
    return _trace(frozenset(codes), on_step)


if sys.version_info >= (3, 12):

    def _monitor(codes: list[CodeType], on_step: OnStep) -> Callable[[], None]:
        monitoring = sys.monitoring
        events = monitoring.events
        # 0 to 2 and 5 are a debugger's, coverage's, a profiler's and an optimizer's.
        tool = next(each for each in (3, 4, 2, 1, 0) if monitoring.get_tool(each) is None)
        monitoring.use_tool_id(tool, _NAME)
        # What an earlier watch was no more interested in is of interest again.
        monitoring.restart_events()

        def on_start(_code: CodeType, _offset: int) -> None:
            on_step(sys._getframe(1), ENTRY)

        def on_instruction(_code: CodeType, offset: int) -> Any:
            on_step(sys._getframe(1), offset)
            # Once is enough: the second time tells nothing new.
            return monitoring.DISABLE

        monitoring.register_callback(tool, events.PY_START, on_start)
        monitoring.register_callback(tool, events.INSTRUCTION, on_instruction)
        for code in codes:
            monitoring.set_local_events(tool, code, events.PY_START | events.INSTRUCTION)

        def leave() -> None:
            for code in codes:
                monitoring.set_local_events(tool, code, 0)
            for event in (events.PY_START, events.INSTRUCTION):
                monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

        return leave

else:

    def _trace(codes: frozenset[CodeType], on_step: OnStep) -> Callable[[], None]:
        # By identity: a code object's own hash reads all of it.
        open_ = {id(code) for code in codes}
        before = sys.gettrace()

        def on_call(frame: FrameType, event: str, _: Any) -> Any:
            if id(frame.f_code) not in open_ or event != "call":
                return None
            on_step(frame, ENTRY)
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
            return on_opcode

        def on_opcode(frame: FrameType, event: str, _: Any) -> Any:
            if event == "opcode" and not on_step(frame, frame.f_lasti):
                open_.discard(id(frame.f_code))
            return on_opcode

        sys.settrace(on_call)
        return lambda: sys.settrace(before)
