"""LTX files, the pieces of a replica: what names and headers say, where files lie, how far a set of them reaches.

A file replica keeps them as `<replica>/ltx/<level>/<min>-<max>.ltx`, the TXIDs as 16 hexadecimal digits. Level 0 holds
single captures, 1 to 3 their compactions, 9 the snapshots: whole databases, complete by themselves.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SNAPSHOT_LEVEL = 9
# Litestream writes beside and renames: what ends otherwise is unfinished (`.ltx.tmp`) or not Litestream's.
_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.ltx")
_MAGIC = b"LTX1"
# Magic, flags, page size, pages, first TXID, last TXID, milliseconds since 1970; big endian.
_HEADER = struct.Struct(">4sIIIQQQ")
HEADER_BYTES = _HEADER.size


# Level, first and last TXID: what a file is here and at a destination alike, where its size is that of what is stored.
Span = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LtxFile:
    """One LTX file as its name and its place tell it; ordered by level, then by TXIDs."""

    level: int
    min_txid: int
    max_txid: int
    size_bytes: int

    @property
    def name(self) -> str:
        return file_name(self.min_txid, self.max_txid)

    @property
    def span(self) -> Span:
        return self.level, self.min_txid, self.max_txid

    @property
    def is_snapshot(self) -> bool:
        """A whole database that Litestream keeps as a snapshot: a restore begins with the newest of these."""
        return self.level == SNAPSHOT_LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class LtxHeader:
    """What the first bytes of an LTX file say.

    `timestamp_ms` is the wall time of its newest commit on the node that wrote it; it, and not the time of the file,
    is the time of what is inside. `database_bytes` is the size of the database after it is applied.
    """

    min_txid: int
    max_txid: int
    timestamp_ms: int
    page_bytes: int
    pages: int

    @property
    def database_bytes(self) -> int:
        return self.page_bytes * self.pages


def file_name(min_txid: int, max_txid: int) -> str:
    """The name of the file that holds these transactions."""
    return f"{min_txid:016x}-{max_txid:016x}.ltx"


def parse_name(name: str) -> tuple[int, int] | None:
    """The first and the last TXID in a file's name; None for every name that is not a finished LTX file's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    min_txid, max_txid = int(match[1], 16), int(match[2], 16)
    return (min_txid, max_txid) if 0 < min_txid <= max_txid else None


def read_header(source: Path | bytes) -> LtxHeader:
    """The header of a file, or of bytes that begin like one.

    Raises ValueError when it is not an LTX file, and OSError as reading does (FileNotFoundError: compacted away).
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(_HEADER.size)
    else:
        head = source[: _HEADER.size]
    if len(head) < _HEADER.size:
        raise ValueError(f"an LTX header has {_HEADER.size} bytes, here are {len(head)}")
    magic, _flags, page_bytes, pages, min_txid, max_txid, timestamp_ms = _HEADER.unpack(head)
    if magic != _MAGIC:
        raise ValueError(f"not an LTX file: it begins with {magic!r}, not {_MAGIC!r}")
    if not 0 < min_txid <= max_txid:
        raise ValueError(f"not an LTX file: its TXIDs are {min_txid} to {max_txid}")
    return LtxHeader(
        min_txid=min_txid, max_txid=max_txid, timestamp_ms=timestamp_ms, page_bytes=page_bytes, pages=pages
    )


def level_path(db_replica: Path, level: int) -> Path:
    """The folder of one level in the replica of one database."""
    return db_replica / "ltx" / str(level)


def local_path(db_replica: Path, file: LtxFile) -> Path:
    """Where this file lies in the replica of one database."""
    return level_path(db_replica, file.level) / file.name


def scan_level(db_replica: Path, level: int) -> list[LtxFile]:
    """The finished files of one level, ascending; empty when the level does not exist (yet)."""
    files = []
    try:
        entries = list(level_path(db_replica, level).iterdir())
    except FileNotFoundError:
        return []
    for entry in entries:
        txids = parse_name(entry.name)
        if txids is None:
            continue
        try:
            found = entry.stat()
        except FileNotFoundError:
            continue  # Compacted away since it was listed; the file that covers it is there.
        if stat.S_ISREG(found.st_mode):
            files.append(LtxFile(level=level, min_txid=txids[0], max_txid=txids[1], size_bytes=found.st_size))
    return sorted(files)


def scan(db_replica: Path) -> list[LtxFile]:
    """The finished files of all levels, ascending; empty when there is no replica (yet)."""
    return [file for level in range(SNAPSHOT_LEVEL + 1) for file in scan_level(db_replica, level)]


def head(files: Iterable[LtxFile]) -> int:
    """The newest TXID that any file holds, reachable or not; 0 without files."""
    return max((file.max_txid for file in files), default=0)


def frontier(files: Iterable[LtxFile]) -> int:
    """The newest TXID that a restore from these files reaches; 0 when it reaches nothing.

    Litestream begins with the newest snapshot and adds files that begin at or below the next TXID. Without a snapshot
    it begins with a file that holds TXID 1.
    """
    present = list(files)
    reach = max((file.max_txid for file in present if file.is_snapshot), default=0)
    for file in sorted(present, key=lambda file: (file.min_txid, -file.max_txid)):
        if file.min_txid > reach + 1:
            break
        reach = max(reach, file.max_txid)
    return reach


def first_hole(files: Iterable[LtxFile]) -> tuple[int, int] | None:
    """The first missing range of TXIDs above the frontier; None when everything that is there can be reached.

    With a hole `litestream restore` refuses ("non-contiguous ltx files") instead of stopping before it.
    """
    present = list(files)
    reach = frontier(present)
    above = min((file.min_txid for file in present if file.max_txid > reach), default=None)
    return None if above is None else (reach + 1, above - 1)


def is_contiguous(chain: Sequence[LtxFile]) -> bool:
    """Can these files, in this order, be applied one after another to an empty database?

    Each one must begin at or below the TXID after the one before, and carry on beyond it.
    """
    reach = 0
    for file in chain:
        if file.min_txid > reach + 1 or file.max_txid <= reach:
            return False
        reach = file.max_txid
    return bool(chain)
