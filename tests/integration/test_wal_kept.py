"""Why no close of ours takes the WAL away: Litestream then begins with a file of the size of a snapshot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_node.base import process
from edge_node.base.instruments import Histogram
from edge_node.replication import commands, ltx
from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from edge_node.replication.restore import restore
from edge_node.replication.source import LocalSource
from edge_node.store import inspect, migrate
from edge_node.store.connection import Connection, close_keeping_wal, connect, connect_reader
from edge_node.store.copies import copy_database
from edge_node.store.databases import DATABASES
from edge_node.store.writer import Writer
from tests.support import litestreams
from tests.support.waiting import until

SMALL_BYTES = 64 * 1024
SNAPSHOT_BYTES = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> ReplicatedDb:
    """A node's journal with more than a megabyte in it."""
    database = litestreams.replicated(tmp_path, "node")
    for path in (database.path.parent, database.replica_path, database.meta_path):
        path.mkdir(parents=True)
    migrate.create_database(database.path, DATABASES["node"])
    (tmp_path / "litestream.yml").write_text(
        commands.litestream_yaml([database], socket="litestream.sock", settings=CaptureSettings(sync_every_s=0.1))
    )
    return database


@contextlib.contextmanager
def litestream(database: ReplicatedDb) -> Iterator[None]:
    folder = database.path.parents[1]
    argv = commands.replicate_argv(litestreams.program("real", folder), "litestream.yml")
    with (folder / "stderr").open("ab") as stderr, process.spawn(argv, grace_s=10, stderr=stderr, cwd=folder):
        yield


@contextlib.contextmanager
def writing(database: ReplicatedDb) -> Iterator[Writer]:
    writer = Writer(
        database.path,
        commit_seconds=Histogram([1]),
        batch_size=Histogram([1]),
        wal_limit_bytes=1 << 30,
        litestream_alive=lambda: True,
    )
    writer.start()
    with contextlib.closing(writer):
        yield writer


def put(seq: int, size_bytes: int = 100) -> Callable[[Connection], object]:
    return lambda conn: conn.execute(
        "INSERT INTO transition (era, seq, at, boottime, boot_id, kind, subject, from_state, to_state, reason) "
        "VALUES (1, ?, 0, 0.0, '', 'line', 'telecom', 'up', 'down', hex(randomblob(?)))",
        (seq, size_bytes // 2),
    )


def captured(database: ReplicatedDb, above: int = 0) -> int:
    return until(lambda: (now := litestreams.newest(database)) > above and now, within_s=20)


def plain_close(path: Path) -> None:
    connect(path).close()


def careful_close(path: Path) -> None:
    conn = connect(path)
    conn.execute("UPDATE transition SET at = 1 WHERE seq = 1")
    close_keeping_wal(conn)


def look_at_it(path: Path) -> None:
    """What `db check` and `db copy` do."""
    migrate.check(path, DATABASES["node"])
    with contextlib.closing(connect_reader(path)) as conn:
        inspect.quick_check(conn)
        inspect.row_digest(conn)
    copy_database(path, path.with_name("copy.db"))


@pytest.mark.parametrize(
    "meanwhile, is_small",
    [(look_at_it, True), (careful_close, True), (plain_close, False)],
    ids=["checked and copied", "written and closed with care", "opened for writing and simply closed"],
)
def test_litestream_goes_on_from_where_it_was(
    database: ReplicatedDb, meanwhile: Callable[[Path], None], is_small: bool
) -> None:
    """The last case shows that the test can fail, and what all the care is for."""
    with writing(database) as writer:
        with litestream(database):
            writer.submit(put(1, SNAPSHOT_BYTES))
            txid = captured(database)
        # Litestream is gone first, against the order of stopping; the writer goes on and then stops.
        writer.submit(put(2))
    meanwhile(database.path)
    before = set(ltx.scan(database.replica_path))
    with writing(database) as writer, litestream(database):
        writer.submit(put(3))
        txid = captured(database, above=txid)
        until(lambda: restored_rows(database) == [1, 2, 3], within_s=20, every_s=0.3)
    largest = max(file.size_bytes for file in set(ltx.scan(database.replica_path)) - before)
    assert (largest < SMALL_BYTES) is is_small, f"the largest new file has {largest} bytes"


def restored_rows(database: ReplicatedDb) -> list[int]:
    to = database.path.with_name("restored.db")
    to.unlink(missing_ok=True)
    asyncio.run(restore(LocalSource(database.replica_path), to))
    with contextlib.closing(connect_reader(to)) as conn:
        rows = [row[0] for row in conn.execute("SELECT seq FROM transition ORDER BY seq")]
    for sidecar in (to.with_name("restored.db-wal"), to.with_name("restored.db-shm")):
        sidecar.unlink(missing_ok=True)
    return rows
