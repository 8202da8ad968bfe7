"""Probe traces: every question and every change of a link, in a file for each day (UTC), compressed.

A file is a row of gzip members, each of which is whole by itself: a batch of JSON lines, written in one go. A member
begins with the moment in both clocks, since everything else in it is in boot time:

    {"boot_id": "…", "boottime": 812.4, "wall_ms": 1795000000000}
    ["p", asked_at, line, target, outcome, rtt_s or null]               and "out" or "back", where it is known
                                                                        which way a lost one was lost
    ["l", at, line, {"present": …, "carrier": …, "has_address": …, "has_route": …}]

After a SIGKILL the file ends with the last whole member; after a power cut it may have a torn tail, which is cut off
before anything is appended, and which a reader leaves out.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from failover.core.model import LinkState
from failover.probes.outcome import Direction, Outcome, Sample

KEEP_DAYS = 14
LARGEST_BYTES = 1 << 30  # of all days together: the oldest go first
SUFFIX = ".jsonl.gz"

_LEVEL = 6
_CHUNK_BYTES = 1 << 16
_GZIP = 31  # window bits: a gzip header and trailer
_LINK_FIELDS = ("present", "carrier", "has_address", "has_route")


@dataclass(frozen=True, slots=True)
class Moment:
    """The same instant in both clocks; holds for what follows until the next one."""

    boot_id: str
    boottime: float
    wall_ms: int


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A line's link as it was from `at` on."""

    at: float
    line: str
    link: LinkState


Entry = Sample | LinkChange


class TraceWriter:
    """Appends to the day's file. Not for the process's loop: writing waits for the disk."""

    def __init__(self, folder: Path, *, keep_days: int = KEEP_DAYS, largest_bytes: int = LARGEST_BYTES) -> None:
        self._folder, self._keep_days, self._largest_bytes = folder, keep_days, largest_bytes
        self._day = ""

    def append(self, entries: Sequence[Entry], moment: Moment) -> None:
        """Write one batch as one member. Raises OSError, and then nothing of the batch stands in the file."""
        day = datetime.fromtimestamp(moment.wall_ms / 1000, UTC).strftime("%Y-%m-%d")
        path = self._folder / f"{day}{SUFFIX}"
        if day != self._day:
            self._folder.mkdir(mode=0o2750, parents=True, exist_ok=True)
            mend(path)
            self._day = day
            self._shed(day)
        member = gzip.compress(_encoded(entries, moment), _LEVEL)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            before = os.fstat(handle).st_size
            if before + len(member) > self._largest_bytes:
                return  # one day alone fills the room: its beginning is worth more than its end
            try:
                written = os.write(handle, member)
                if written != len(member):
                    raise OSError(f"only {written} of {len(member)} bytes could be written to {path}")
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)

    def _shed(self, today: str) -> None:
        """Remove what is too old, and the oldest while all together is too much; never today's."""
        oldest = (datetime.fromisoformat(today) - timedelta(days=self._keep_days - 1)).strftime("%Y-%m-%d")
        days = sorted(path for path in self._folder.glob(f"*{SUFFIX}") if path.name < f"{today}{SUFFIX}")
        sizes = {path: path.stat().st_size for path in days}
        for path in days:
            if path.name < oldest or sum(sizes.values()) > self._largest_bytes:
                path.unlink(missing_ok=True)
                del sizes[path]


def mend(path: Path) -> int:
    """Cut off a torn tail; returns how many bytes were cut. Harmless where there is no file."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    whole = 0
    for end, _ in _members(path):
        whole = end
    if whole < size:
        os.truncate(path, whole)
    return size - whole


def read(path: Path) -> Iterator[Moment | Entry]:
    """Everything of the whole members of a file, in the order in which it was written.

    Lines of a kind that this program does not know (a newer one wrote them) are left out.
    """
    for _, content in _members(path):
        for line in content.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
                found = _decoded(json.loads(line))
                if found is not None:
                    yield found


def _members(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each whole member's content, with the place in the file where it ends; stops before what is torn."""
    end = 0
    with path.open("rb") as file:
        rest = b""
        while True:
            decoder, parts, used = zlib.decompressobj(_GZIP), [], 0
            while not decoder.eof:
                chunk = rest or file.read(_CHUNK_BYTES)
                if not chunk:
                    return
                rest = b""
                try:
                    parts.append(decoder.decompress(chunk))
                except zlib.error:
                    return
                used += len(chunk)
            rest = decoder.unused_data
            end += used - len(rest)
            yield end, b"".join(parts)


def _encoded(entries: Iterable[Entry], moment: Moment) -> bytes:
    head = {"boot_id": moment.boot_id, "boottime": round(moment.boottime, 3), "wall_ms": moment.wall_ms}
    rows: list[Any] = [head]
    for entry in entries:
        if isinstance(entry, Sample):
            rtt_s = None if entry.rtt_s is None else round(entry.rtt_s, 6)
            way = [] if entry.direction is None else [entry.direction]
            rows.append(["p", round(entry.asked_at, 4), entry.line, entry.target, entry.outcome, rtt_s, *way])
        else:
            link = {name: getattr(entry.link, name) for name in _LINK_FIELDS}
            rows.append(["l", round(entry.at, 4), entry.line, link])
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def _decoded(row: Any) -> Moment | Entry | None:
    if isinstance(row, dict):
        return Moment(str(row["boot_id"]), float(row["boottime"]), int(row["wall_ms"]))
    match row:
        case ["p", asked_at, line, target, outcome, rtt_s, *more]:
            rtt = None if rtt_s is None else float(rtt_s)
            way = Direction(more[0]) if more and more[0] in tuple(Direction) else None
            return Sample(float(asked_at), str(line), str(target), Outcome(outcome), rtt, way)
        case ["l", at, line, link]:
            present, carrier, has_address, has_route = (_three(link[name]) for name in _LINK_FIELDS)
            state = LinkState(present=present, carrier=carrier, has_address=has_address, has_route=has_route)
            return LinkChange(float(at), str(line), state)
    return None


def _three(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError("neither yes nor no nor unknown")
    return value
