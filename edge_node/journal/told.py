"""What the watcher tells: its file of transitions, one JSON line each, read as it grows.

The file has one writer and may end in a torn line (a power cut), be cut short, or be moved aside to `….1`. A reader
that is not sure where it stands begins at the beginning: whoever records knows by number what it has already.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_node.base.clock import parse_utc

# Of one reading: the rest follows with the next.
BATCH_BYTES = 1 << 20
# No transition is that long; what is, is none.
LONGEST_LINE_BYTES = 64 * 1024
# Whole numbers that JSON carries without loss; far beyond any count or time.
LARGEST_NUMBER = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of mode or line (`mode`), or of what is believed of a line (`verdict`); `at_ms` is UTC.

    A newer watcher may tell of other kinds: they are kept as they are. Where nothing but the reason changed, `to_state`
    is `from_state`: what the time from then on is charged to may be another.
    """

    seq: int
    at_ms: int
    boottime: float
    boot_id: str
    kind: str
    subject: str
    from_state: str
    to_state: str
    from_line: str | None
    to_line: str | None
    reason: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A batch: what was understood, and how many lines were not. `more`: the file has further lines."""

    transitions: tuple[Transition, ...] = ()
    unreadable: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a file: known again by the file's number and by the line that ends there."""

    inode: int
    offset: int
    last_line: bytes


class TransitionTail:
    """Reads what has been added since `advance` was called; without it, the same again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place: _Place | None = None
        self._reached: _Place | None = None

    def read(self) -> Told:
        """The complete lines behind the place that was reached; no file, no lines. Raises OSError."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self.forget()
            return _told(self._aside())
        with file:
            inode = os.fstat(file.fileno()).st_ino
            place = self._place if self._place is not None and _stands(file, inode, self._place) else None
            # What was moved aside may hold lines that nobody has read.
            before = self._aside() if place is None else []
            place = place or _Place(inode, 0, b"")
            file.seek(place.offset)
            content = file.read(BATCH_BYTES)
        whole, newline, rest = content.rpartition(b"\n")
        lines = whole.split(b"\n") if newline else []
        if len(rest) > LONGEST_LINE_BYTES and not newline:
            lines = [content]  # no line at all, however long it grows: leave it behind
            self._reached = _Place(inode, place.offset + len(content), content[-LONGEST_LINE_BYTES:])
        elif lines:
            self._reached = _Place(inode, place.offset + len(whole) + 1, lines[-1][-LONGEST_LINE_BYTES:] + b"\n")
        else:
            self._reached = place
        return _told([*before, *lines], more=len(content) == BATCH_BYTES)

    def _aside(self) -> list[bytes]:
        try:
            return self._path.with_name(self._path.name + ".1").read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def advance(self) -> None:
        """What was read last is recorded: go on behind it."""
        self._place = self._reached

    def forget(self) -> None:
        """Begin at the beginning."""
        self._place = self._reached = None


def _told(lines: Sequence[bytes], *, more: bool = False) -> Told:
    understood = [transition for line in lines if (transition := parse_line(line)) is not None]
    return Told(transitions=tuple(understood), unreadable=len(lines) - len(understood), more=more)


def parse_line(line: bytes) -> Transition | None:
    """One line; None for one that is not a transition."""
    try:
        raw = json.loads(line)
        reason = raw["reason"]
        args = reason.get("args", {})
        if not isinstance(args, dict):
            return None
        at = raw["at"]
        told = Transition(
            seq=int(raw["seq"]),
            at_ms=at if isinstance(at, int) else parse_utc(str(at)),
            boottime=float(raw["boottime"]),
            boot_id=str(raw["boot_id"]),
            kind=str(raw["kind"]),
            subject=str(raw["subject"]),
            from_state=_state(raw, "from"),
            to_state=_state(raw, "to"),
            from_line=_line(raw.get("from_line")),
            to_line=_line(raw.get("to_line")),
            reason=str(reason["code"]),
            args=args,
        )
        return told if _fits(told) else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _fits(told: Transition) -> bool:
    """Can a database hold it? A line that it refuses would be tried for ever, and stop all that follows."""
    texts = (told.boot_id, told.kind, told.subject, told.from_state, told.to_state, told.from_line or "",
             told.to_line or "", told.reason, json.dumps(told.args, ensure_ascii=False))  # fmt: skip
    "".join(texts).encode()  # half of a surrogate pair is a ValueError here
    numbers = 0 <= told.seq < LARGEST_NUMBER and abs(told.at_ms) < LARGEST_NUMBER
    return numbers and math.isfinite(told.boottime) and "\0" not in "".join(texts)


def _state(raw: Mapping[str, Any], key: str) -> str:
    """States make a change of mode or verdict what it is; other kinds may have none."""
    return str(raw[key] if raw["kind"] in ("mode", "verdict") else raw.get(key, ""))


def _line(value: object) -> str | None:
    return None if value is None else str(value)


def _stands(file: IO[bytes], inode: int, place: _Place) -> bool:
    """Is this the file that was read, as far as it was read?"""
    if inode != place.inode:
        return False
    file.seek(max(place.offset - len(place.last_line), 0))
    return file.read(len(place.last_line)) == place.last_line
