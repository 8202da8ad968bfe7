"""What a watcher that starts must not have forgotten: falls, and an offline time that just ended.

It is told by the watcher's own file of transitions; whatever cannot be read of it is not remembered, and a start waits
for no disk. Times of this boot are taken as they are, older ones from the wall clock. Nobody gains by a restart: a line
that was fallen at the end of the record has to prove itself, and one that fell often is held as long as before.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_node.base.clock import parse_utc
from failover.core import flap
from failover.core.judge import PARDON_S
from failover.core.model import Code, Detect, Flap, LineHealth, Mode, Verdict

# Some thousand transitions; the memory of falls is six hours.
TAIL_BYTES = 512 * 1024
_FALLEN = (Verdict.DOWN, Verdict.DEGRADED)
_AWAY = (Code.LINE_DOWN, Code.REHEARSED, Code.BACK_ONLINE)  # from a line that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMemory:
    """`health` of the lines as a watcher begins with it. `used` is the line that traffic was last moved to, `left` the
    one that it was moved from in need, if nothing tells that its connections were ended. Times are boot time.
    """

    health: Mapping[str, LineHealth] = field(default_factory=dict)
    used: str | None = None
    left: str | None = None
    offline_until: float | None = None
    was_offline: bool = False


@dataclass(slots=True)
class _Fallen:
    """One line while the record is read."""

    flap: Flap = field(default_factory=Flap)
    before: Flap | None = None  # the last fall, should the cloud prove guilty
    fell_at: float = 0.0
    last: Verdict = Verdict.UNKNOWN
    last_at: float = float("-inf")


def read(path: Path, detects: Mapping[str, Detect], *, boot: str, boottime: float, wall_ms: int) -> LineMemory:
    """The memory in the file's tail; none where there is no file, or it cannot be read. `detects` by line."""
    lines: list[bytes] = []
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read(TAIL_BYTES).split(b"\n")
        if size > TAIL_BYTES:
            del lines[0]
    return remembered(lines, detects, boot=boot, boottime=boottime, wall_ms=wall_ms)


def remembered(
    lines: Iterable[bytes], detects: Mapping[str, Detect], *, boot: str, boottime: float, wall_ms: int
) -> LineMemory:
    """The memory in these lines, oldest first; what is no transition is left out. Pure."""
    fallen = {name: _Fallen() for name in detects}
    memory = LineMemory()
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            told = json.loads(line)
            at = _boottime(told, boot=boot, boottime=boottime, wall_ms=wall_ms)
            if at > boottime:
                continue  # a clock was set back: when that was cannot be known
            match told["kind"]:
                case "mode":
                    memory = _moved(memory, told, at)
                case "verdict" if told["subject"] in fallen:
                    name = told["subject"]
                    _judged(fallen[name], told, at, detects[name])
                case "connections" if told["subject"] == memory.left:
                    memory = replace(memory, left=None)
    health = {
        name: seen for name, record in fallen.items() if (seen := _health(record, boottime, detects[name])) is not None
    }
    return replace(memory, health=health)


def _boottime(told: Mapping[str, Any], *, boot: str, boottime: float, wall_ms: int) -> float:
    if told["boot_id"] == boot:
        return float(told["boottime"])
    return boottime - (wall_ms - parse_utc(str(told["at"]))) / 1000


def _moved(memory: LineMemory, told: Mapping[str, Any], at: float) -> LineMemory:
    before, after, line = Mode(told["from"]), Mode(told["to"]), told.get("to_line")
    came_back = after is not Mode.OFFLINE and (before is Mode.OFFLINE or memory.was_offline)
    memory = replace(
        memory,
        was_offline=after is Mode.OFFLINE,
        offline_until=at if came_back else memory.offline_until,
    )
    if line is None:
        return memory
    left = memory.used if memory.used != line and told["reason"]["code"] in _AWAY else None
    return replace(memory, used=str(line), left=left)


def _judged(record: _Fallen, told: Mapping[str, Any], at: float, detect: Detect) -> None:
    before, after, code = Verdict(told["from"]), Verdict(told["to"]), told["reason"]["code"]
    if before is Verdict.UP and after in _FALLEN and code != Code.CLOUD_SILENT:
        record.before, record.fell_at = record.flap, at
        record.flap = flap.fallen(record.flap, at, detect)
    elif before is after is Verdict.DOWN and code == Code.CLOUD_SILENT and record.before is not None:
        if at - record.fell_at <= PARDON_S:
            record.flap = record.before
        record.before = None
    elif after is not Verdict.DOWN:
        record.before = None
    record.last, record.last_at = after, at


def _health(record: _Fallen, now: float, detect: Detect) -> LineHealth | None:
    falls = tuple(at for at in record.flap.falls if now - at < detect.hold_memory_s)
    owes = record.last in _FALLEN and now - record.last_at < detect.hold_memory_s
    if not falls and not owes:
        return None
    return LineHealth(since=now, flap=replace(record.flap, falls=falls), owes_proof=owes)
