"""What Litestream says, one JSON object a line: kept for the next error, and passed on where it matters.

Its steady state stays out of our log; a repeated complaint is logged the first time and at every power of ten.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge_node.base.logs import Repeated, event
from edge_node.base.process import TAIL_LINES

# A line longer than this is cut: a Go panic is long, and memory is not for it.
_LONGEST_LINE_BYTES = 16 * 1024
# Which complaint about capturing is over when Litestream says which sentence.
_ENDED_BY = {
    "sync recovered": ("sync error", "disk full while staging ltx file, replication paused until space is freed"),
    "replica sync recovered": ("monitor error",),
}
_CAPTURE_TROUBLE = frozenset(message for messages in _ENDED_BY.values() for message in messages)
# Said as INFO, and yet a sign that the database or the replica was exchanged behind Litestream's back.
_REMARKABLE = frozenset({"detected database behind replica", "fetched latest L0 file from replica"})
# Said at every start as a warning of what our configuration asks for: no news for an operator.
_INTENDED = frozenset({"retention disabled; cloud provider lifecycle policies must handle retention"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One line of Litestream's. A line that is no JSON (a panic, a refused configuration) has level ERROR."""

    level: str
    message: str
    database: str | None
    error: str | None


def parse_line(line: str) -> Said:
    """What a line says; every line can be parsed."""
    try:
        raw = json.loads(line, object_pairs_hook=_first_of_each)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or "msg" not in raw:
        return Said(level="ERROR", message="", database=None, error=line)
    error = raw.get("error", raw.get("err"))
    return Said(
        level=str(raw.get("level", "INFO")),
        message=str(raw["msg"]),
        database=None if raw.get("db") is None else str(raw["db"]),
        error=None if error is None else str(error),
    )


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A failed compaction names "level" twice, first that of the line (ERROR), then that of the files (1).
    return dict(reversed(pairs))


class LineSplitter:
    """Bytes as they come in, whole lines out; an endless line costs no memory."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._skipping and line:
                yield line[:_LONGEST_LINE_BYTES].decode(errors="replace")
            self._skipping = False
        if len(self._rest) > _LONGEST_LINE_BYTES:
            if not self._skipping:
                yield self._rest[:_LONGEST_LINE_BYTES].decode(errors="replace")
            self._rest, self._skipping = b"", True

    def end(self) -> Iterator[str]:
        """What stood behind the last line end."""
        if self._rest and not self._skipping:
            yield self._rest.decode(errors="replace")
        self._rest, self._skipping = b"", False


class LogRelay:
    """Listens to one Litestream after the other."""

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._repeated: dict[tuple[str, str | None], Repeated] = {}
        self._troubles: dict[tuple[str, str | None], str] = {}

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, oldest first."""
        return tuple(self._tail)

    @property
    def trouble(self) -> str | None:
        """What keeps Litestream from capturing, in its own words; None when it complains of nothing."""
        return next(iter(self._troubles.values()), None)

    def begin(self) -> None:
        """A new Litestream starts: what the last one complained of is over or will be said again."""
        self._troubles.clear()

    def hear(self, line: str) -> None:
        """Take one line: keep it, judge it, and log it where it is worth a line."""
        self._tail.append(line)
        said = parse_line(line)
        if said.message in _ENDED_BY:
            self._ended(said)
        elif said.message in _CAPTURE_TROUBLE:
            self._troubles[said.message, said.database] = f"{said.message}: {said.error or 'no reason given'}"
        if said.message in _INTENDED:
            pass
        elif said.level in ("WARN", "ERROR"):
            self._log("warning" if said.level == "WARN" else "error", said)
        elif said.message in _REMARKABLE:
            self._log("warning", said)

    def _log(self, level: str, said: Said) -> None:
        if self._repeated.setdefault((said.message, said.database), Repeated()).failed():
            times = self._repeated[said.message, said.database].count
            event(
                f"litestream_{level}",
                level=level,
                message=said.message,
                db=said.database,
                error=said.error,
                times=times,
            )

    def _ended(self, said: Said) -> None:
        times = 0
        for message in _ENDED_BY[said.message]:
            self._troubles.pop((message, said.database), None)
            if repeated := self._repeated.get((message, said.database)):
                times += repeated.recovered()
        event("litestream_recovered", message=said.message, db=said.database, times=times)
