"""LTX files for tests that need names, headers and times, and no database inside."""

from __future__ import annotations

import os
import struct
from pathlib import Path

HEADER = struct.Struct(">4sIIIQQQ")


def ltx_bytes(first: int, last: int, *, time_ms: int, content: bytes = b"") -> bytes:
    """A file whose header is as Litestream writes it; the rest is what the test wants."""
    return HEADER.pack(b"LTX1", 0, 4096, 1, first, last, time_ms) + bytes(60) + content


def write_ltx(
    replica: Path, level: int, first: int, last: int, *, time_ms: int = 1_800_000_000_000, content: bytes = b""
) -> Path:
    """A file in a replica, appearing as Litestream lets it appear: by a rename, its time set after that."""
    folder = replica / "ltx" / str(level)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{first:016x}-{last:016x}.ltx"
    beside = path.with_name(path.name + ".tmp")
    beside.write_bytes(ltx_bytes(first, last, time_ms=time_ms, content=content))
    beside.rename(path)
    os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
    return path
