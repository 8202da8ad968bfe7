"""Did the wall clock jump? Boot time goes on evenly beside it: what the two differ by changes only when it is set.

A clock that jumps makes times of restore points wrong, and whatever is judged by age. So a jump is told, and while it
stands nothing is deleted at destinations. (What the local replica keeps does not go by the clock: `ages`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import Clock, utc_text

# A time service steps by less when it first reaches its servers; slewing never comes near.
JUMP_S = 60.0
TOLD_FOR_S = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """`by_s` is positive for a clock that was set ahead. `at_boot_s` is when it was noticed."""

    by_s: float
    at_ms: int
    at_boot_s: float


class ClockWatch:
    """Asked every second or so; remembers a jump until it is taken back, or for a day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = self._offset()
        self.jump: Jump | None = None

    def _offset(self) -> float:
        return self._clock.wall_ms() / 1000 - self._clock.boottime()

    def turn(self) -> None:
        """Look at both clocks."""
        now_s, offset_s = self._clock.boottime(), self._offset()
        by_s = offset_s - self._offset_s
        if abs(by_s) > JUMP_S:
            self._offset_s = offset_s
            total_s = by_s + (self.jump.by_s if self.jump else 0.0)
            at_ms = self._clock.wall_ms()
            self.jump = Jump(by_s=total_s, at_ms=at_ms, at_boot_s=now_s) if abs(total_s) > JUMP_S else None
        elif self.jump is not None and now_s - self.jump.at_boot_s > TOLD_FOR_S:
            self.jump = None

    def problems(self) -> list[dict[str, Any]]:
        """For the status file: reasons with code and args."""
        if self.jump is None:
            return []
        ahead = self.jump.by_s > 0
        args = {"by_s": round(abs(self.jump.by_s)), "at": utc_text(self.jump.at_ms)}
        return [{"code": "clock-set-ahead" if ahead else "clock-set-back", "args": args}]
