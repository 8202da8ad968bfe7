"""Weeks of copies at a destination, made by hand: a snapshot every fifth day, captures, coarser files over them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge_node.replication.ltx import file_name
from tests.support.ltx_files import ltx_bytes

DAY_MS = 86_400_000


def history(prefix: str, *, days: int, until_ms: int) -> Iterator[tuple[str, bytes, int]]:
    """A snapshot every fifth day, two captures a day, and a coarser file over both: keys, contents, times."""
    for day in range(days):
        time_ms = until_ms - (days - day) * DAY_MS
        first, last = 2 * day + 1, 2 * day + 2
        spans = [(0, first, first), (0, last, last), (3, first, last)]
        if day % 5 == 0:
            spans.append((9, 1, last))
        for level, low, high in spans:
            name = f"{prefix}/{level:04x}/{file_name(low, high)}"
            yield name, ltx_bytes(low, high, time_ms=time_ms), time_ms


def put_history(cloud: Path, prefix: str, *, days: int, until_ms: int) -> None:
    """The same as files of a destination that is a folder."""
    for key, content, time_ms in history(prefix, days=days, until_ms=until_ms):
        path = cloud / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        set_time(path, time_ms)


def set_time(path: Path, time_ms: int) -> None:
    os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
