"""The real Litestream and the fake one, side by side, and a database for them to replicate."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edge_node.replication import litestream, ltx
from edge_node.replication.commands import ReplicatedDb
from edge_node.store import connection

T = TypeVar("T")
_FAKE = Path(__file__).with_name("fake_litestream")


def program(kind: str, folder: Path, *, faults: str = "") -> Path:
    """The Litestream of this kind, "real" or "fake"; `faults` is what goes wrong with the fake one.

    The fake is wrapped in a script that carries its faults, since no variable of ours reaches a child.
    """
    if kind == "real":
        assert not faults, "only the fake fails on request"
        return litestream.binary()
    wrapper = folder / "fake-litestream"
    command = shlex.join([sys.executable, "-S", "-E", str(_FAKE)])
    wrapper.write_text(f'#!/bin/sh\nFAKE_LITESTREAM={shlex.quote(faults)} exec {command} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def replicated(folder: Path, name: str = "his") -> ReplicatedDb:
    """Where a database, its replica and Litestream's records lie under one folder, as on a node."""
    return ReplicatedDb(
        path=folder / "data" / f"{name}.db",
        meta_path=folder / "litestream" / "e0001" / name,
        replica_path=folder / "replica" / "e0001" / name,
    )


def make_database(database: ReplicatedDb) -> None:
    """An empty table in a new database."""
    database.path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(connection.create(database.path)) as conn:
        conn.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT")


@contextlib.contextmanager
def writing(database: ReplicatedDb) -> Iterator[Callable[[str], None]]:
    """A function that commits one visit; the connection stays open meanwhile, as the HIS keeps its own."""
    with contextlib.closing(connection.connect(database.path)) as conn:

        def write(note: str) -> None:
            conn.execute("INSERT INTO visit (note) VALUES (?)", (note,))

        yield write


def notes(path: Path) -> list[str]:
    """What the visits of a database say, in order."""
    with contextlib.closing(connection.connect_reader(path)) as conn:
        return [row["note"] for row in conn.execute("SELECT note FROM visit ORDER BY id")]


def newest(database: ReplicatedDb) -> int:
    """The newest TXID in the replica."""
    return ltx.head(ltx.scan(database.replica_path))


def header(min_txid: int, max_txid: int, *, timestamp_ms: int = 1_795_000_000_000) -> bytes:
    """The first bytes of an LTX file of a database of three pages."""
    return struct.pack(">4sIIIQQQ", b"LTX1", 0, 4096, 3, min_txid, max_txid, timestamp_ms).ljust(100, b"\0")


def plant(replica: Path, level: int, min_txid: int, max_txid: int) -> Path:
    """An LTX file of nothing but a header."""
    path = ltx.level_path(replica, level) / ltx.file_name(min_txid, max_txid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header(min_txid, max_txid))
    return path


async def soon(condition: Callable[[], T | None], *, within_s: float = 20.0) -> T:
    """As waiting.until, for what happens in the running event loop."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s; the last value was {value!r}")
        await asyncio.sleep(0.02)
    return value
