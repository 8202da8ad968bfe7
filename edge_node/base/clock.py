"""Time: boot time for durations, wall time for records. Nothing else in the program asks the system for the time."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Protocol

# Before this program was written: a wall clock earlier than this has lost its battery.
EARLIEST_SANE_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
# adjtimex(2): returned while the kernel's clock is not disciplined by anyone.
_TIME_ERROR = 5


class Clock(Protocol):
    """What the program may know of time."""

    def boottime(self) -> float:
        """Seconds since boot, counting suspend; for durations."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970 in UTC; for records."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ClockState(StrEnum):
    """How far the wall clock is to be trusted; stored with every signature."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    SUSPECT = "suspect"


def clock_state(wall_ms: int, *, synchronised: bool | None, newest_record_ms: int | None) -> ClockState:
    """Judge the wall clock: it must be later than this program and than what was recorded before.

    `newest_record_ms` is the newest time that this node has written down, if known. Two seconds of going back are
    forgiven (a correction by the time server).
    """
    if wall_ms < EARLIEST_SANE_MS:
        return ClockState.SUSPECT
    if newest_record_ms is not None and wall_ms < newest_record_ms - 2_000:
        return ClockState.SUSPECT
    return ClockState.SYNCED if synchronised else ClockState.HOLDOVER


class _Timex(ctypes.Structure):
    # struct timex of adjtimex(2); 208 bytes on 64-bit Linux, of which only `modes` is ours to set.
    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 252))


def kernel_synchronised() -> bool | None:
    """Does the kernel say that a time service disciplines its clock? None where it cannot be asked."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex(modes=0)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


@cache
def boot_id() -> str:
    """The kernel's identifier of this boot; a status file of another boot is stale whatever its times say."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def utc_text(wall_ms: int) -> str:
    """A wall time for JSON: RFC 3339 in UTC to the millisecond, such as 2026-11-22T01:14:02.000Z."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> int:
    """The reverse of utc_text; also takes any RFC 3339 time with an offset.

    Raises ValueError for anything else, a time without offset included.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-11-22T09:00:00+08:00 or with a final Z")
    return round(moment.timestamp() * 1000)
