"""What the watcher saw: probe traces, read as they grow, one file for each day (UTC).

A file is a row of gzip members, each whole by itself (`failover/trace.py` describes them). A place in it is the offset
of a member; a torn one at the end is not there yet. Only what the roll-up needs is read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

SUFFIX = ".jsonl.gz"
_GZIP = 31  # window bits: with a gzip header and trailer
_CHUNK_BYTES = 1 << 16
# A member is a few seconds of probes; one that unpacks to more is no trace.
LARGEST_MEMBER_BYTES = 64 << 20
# Nobody waits that long for an answer.
LONGEST_ANSWER_S = 86_400.0


class Direction(StrEnum):
    """Which way an unanswered question was lost, where that is known."""

    OUT = "out"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question: when it was asked (UTC), and how long the answer took; None for none.

    `is_late`: an answer after all, to a question that was told before as unanswered, or not at all.
    """

    at_ms: int
    line: str
    target: str
    rtt_s: float | None
    is_late: bool = False
    lost: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How the interface of a line was from a moment (UTC) on; None where that was not known."""

    at_ms: int
    line: str
    present: bool | None
    carrier: bool | None
    has_address: bool | None
    has_route: bool | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples and links in the order in which they were written, and the place behind them."""

    next_place: int
    samples: Sequence[Sample]
    links: Sequence[Link] = ()


class TraceSource(Protocol):
    """Where samples come from. Places of a day grow; 0 is its beginning."""

    def days(self) -> Sequence[str]:
        """The days that have a file, as 2026-10-12, in order."""
        ...

    def chunks(self, day: str, place: int) -> Iterator[Chunk]:
        """What stands behind a place, as far as it is complete; nothing where the day or the place is gone."""
        ...


class TraceFolder:
    """The watcher's own files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def days(self) -> Sequence[str]:
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"????-??-??{SUFFIX}"))

    def chunks(self, day: str, place: int) -> Iterator[Chunk]:
        for end, content in self.members(day, place):
            yield Chunk(end, samples_of(content), links_of(content))

    def members(self, day: str, place: int = 0) -> Iterator[tuple[int, bytes]]:
        """The content of each whole member behind a place, and where it ends."""
        try:
            file = (self._folder / f"{day}{SUFFIX}").open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(place)
            rest = b""
            while True:
                decoder, parts, used = zlib.decompressobj(_GZIP), [], 0
                room = LARGEST_MEMBER_BYTES
                while not decoder.eof:
                    chunk = rest or file.read(_CHUNK_BYTES)
                    if not chunk:
                        return
                    try:
                        parts.append(decoder.decompress(chunk, room))
                    except zlib.error:
                        return
                    used += len(chunk) - len(decoder.unconsumed_tail)
                    rest = decoder.unconsumed_tail
                    room -= len(parts[-1])
                    if room <= 0:
                        return
                rest = decoder.unused_data
                place += used - len(rest)
                yield place, b"".join(parts)


# Outcomes that are evidence; a blind one proves nothing, and one that this program does not know is left out.
_ANSWERED, _LATE = "answered", "late"
_UNANSWERED = frozenset({"lost", "unreachable", "refused"})


def samples_of(content: bytes) -> list[Sample]:
    """The samples of one member. Lines that are not understood are left out: a newer watcher may write more."""
    found: list[Sample] = []
    offset_ms: float | None = None  # wall time less boot time
    for line in content.splitlines():
        try:
            row = json.loads(line)
            if isinstance(row, dict):
                offset_ms = int(row["wall_ms"]) - float(row["boottime"]) * 1000
            elif row[0] == "p" and offset_ms is not None:
                sample = _sample(row, offset_ms)
                found += [sample] if sample else []
        except (ValueError, KeyError, TypeError, IndexError, OverflowError):
            continue
    return found


def links_of(content: bytes) -> list[Link]:
    """The links of one member; few lines are one, so that the others are not parsed."""
    found: list[Link] = []
    if b'["l"' not in content:
        return found
    offset_ms: float | None = None
    for line in content.splitlines():
        if not line.startswith((b"{", b'["l"')):
            continue
        try:
            row = json.loads(line)
            if isinstance(row, dict):
                offset_ms = int(row["wall_ms"]) - float(row["boottime"]) * 1000
            elif offset_ms is not None:
                _, at, name, link = row[:4]
                present, carrier, has_address, has_route = (
                    value if isinstance(value := link[key], bool) else None
                    for key in ("present", "carrier", "has_address", "has_route")
                )
                check_fits(round(float(at) * 1000 + offset_ms), str(name), None)
                found.append(
                    Link(at_ms=round(float(at) * 1000 + offset_ms), line=str(name), present=present, carrier=carrier,
                         has_address=has_address, has_route=has_route)
                )  # fmt: skip
        except (ValueError, KeyError, TypeError, IndexError, OverflowError):
            continue
    return found


def check_fits(at_ms: int, names: str, rtt_s: object) -> None:
    """Raises ValueError for what no watcher of ours writes and no database takes."""
    names.encode()  # half of a surrogate pair
    if not -(2**53) < at_ms < 2**53 or (rtt_s is not None and not 0 <= float(str(rtt_s)) < LONGEST_ANSWER_S):
        raise ValueError("beyond any time")


def _sample(row: list[Any], offset_ms: float) -> Sample | None:
    _, asked_at, line, target, outcome, rtt_s = row[:6]
    at_ms = round(float(asked_at) * 1000 + offset_ms)
    check_fits(at_ms, f"{line}{target}", rtt_s)
    if outcome in (_ANSWERED, _LATE) and rtt_s is not None:
        return Sample(at_ms=at_ms, line=str(line), target=str(target), rtt_s=float(rtt_s), is_late=outcome == _LATE)
    if outcome in _UNANSWERED:
        lost = Direction(row[6]) if len(row) > 6 and row[6] in ("out", "back") else None
        return Sample(at_ms=at_ms, line=str(line), target=str(target), rtt_s=None, lost=lost)
    return None
