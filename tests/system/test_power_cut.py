"""The power goes at a random instant: what was acknowledged is on the disk, and so is a replica that restores.

The control writes with `synchronous=NORMAL` and must lose something: else this disk forgets nothing, and a pass means
nothing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from edge_node.base.clock import SystemClock
from edge_node.base.instruments import Histogram
from edge_node.replication import litestream
from edge_node.store.connection import Connection, connect, connect_reader
from edge_node.store.writer import Writer
from tests.support import power
from tests.support.power import Disk, a_disk
from tests.support.replicated import Replicated, make_replicated, replicating
from tests.support.waiting import until

pytestmark = [
    pytest.mark.skipif(power.MISSING is not None, reason=str(power.MISSING)),
    pytest.mark.alone,  # a disk that is written without a pause is felt by every test beside it
]

DESKS = 4
# Row n is written with the sum of all numbers up to n: a history with a hole does not add up.
INSERT = (
    "INSERT INTO visit (id, at, note)"
    " SELECT coalesce(max(id), 0) + 1, coalesce(max(at), 0) + coalesce(max(id), 0) + 1, ? FROM visit RETURNING id"
)


@dataclass
class Ledger:
    """The highest row that was acknowledged; one writer at a time makes rows in order."""

    acknowledged: int = 0
    failures: list[BaseException] = field(default_factory=list)
    door: threading.Lock = field(default_factory=threading.Lock)

    def has_grown(self, beyond: int) -> bool:
        return self.acknowledged > beyond or bool(self.failures)

    def acknowledge(self, row: int) -> None:
        with self.door:
            self.acknowledged = max(self.acknowledged, row)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with a_disk(tmp_path / "power") as disk:
        yield disk


@contextmanager
def desks(write: Callable[[bytes], int], count: int) -> Iterator[Ledger]:
    """So many threads write without a pause."""
    ledger, over = Ledger(), threading.Event()

    def work(number: int) -> None:
        chance = random.Random(number)
        try:
            while not over.is_set():
                ledger.acknowledge(write(chance.randbytes(300)))
        except BaseException as error:
            ledger.failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield ledger
    finally:
        over.set()
        for thread in threads:
            thread.join()


def insert(conn: Connection, note: bytes) -> int:
    return int(conn.execute(INSERT, (note,)).fetchone()[0])


@contextmanager
def through_the_writer(node: Replicated) -> Iterator[Callable[[bytes], int]]:
    """As the HIS writes."""
    writer = Writer(
        node.his,
        commit_seconds=Histogram((1,)),
        batch_size=Histogram((1,)),
        wal_limit_bytes=64 << 20,
        litestream_alive=lambda: True,
        clock=SystemClock(),
    )
    writer.start()
    try:
        yield lambda note: writer.submit(lambda conn: insert(conn, note))
    finally:
        writer.close()


@contextmanager
def without_waiting_for_the_disk(node: Replicated) -> Iterator[Callable[[bytes], int]]:
    conn = connect(node.his)
    conn.execute("PRAGMA synchronous=NORMAL")
    try:
        yield lambda note: insert(conn, note)
    finally:
        conn.close()


def survived(path: Path) -> int:
    """How many rows; the file is whole and its rows add up."""
    conn = connect(path)  # the start after the cut: SQLite takes the WAL over
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        count, last, total = conn.execute(
            "SELECT count(*), coalesce(max(id), 0), coalesce(max(at), 0) FROM visit"
        ).fetchone()
        assert count == last and total == last * (last + 1) // 2
        return int(last)
    finally:
        conn.close()


def cuts(disk: Disk, node: Replicated, ledger: Ledger, count: int, scratch: Path) -> list[tuple[int, int, int]]:
    """Cut the power so often: acknowledged just before, found in the database, found by a restore of the replica."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, found = random.Random(seed), []
    for number in range(count):
        before = ledger.acknowledged
        until(partial(ledger.has_grown, before))
        time.sleep(chance.uniform(0.05, 0.5))
        assert not ledger.failures, ledger.failures
        acknowledged = ledger.acknowledged
        with disk.power_cut() as place:
            home = place / node.home.relative_to(disk.path)
            rows = survived(home / "data/his.db")
            found.append((acknowledged, rows, restored(home, scratch / f"{number}.db")))
    return found


def restored(home: Path, to: Path) -> int:
    """Rows in what Litestream makes of the replica that the cut left."""
    litestream.restore_from_files(home / "replica/e0001/his", to, timeout_s=60)
    conn = connect_reader(to)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        last, total = conn.execute("SELECT coalesce(max(id), 0), coalesce(max(at), 0) FROM visit").fetchone()
        assert total == last * (last + 1) // 2
        return int(last)
    finally:
        conn.close()


def check_acknowledged_rows_survive(disk: Disk, scratch: Path, count: int) -> None:
    node = make_replicated(disk.path / "node")
    with replicating(node), through_the_writer(node) as write, desks(write, DESKS) as ledger:
        found = cuts(disk, node, ledger, count, scratch)
    lost = [max(0, acknowledged - rows) for acknowledged, rows, _ in found]
    behind = [max(0, acknowledged - rows) for acknowledged, _, rows in found]
    print(f"{count} cuts, {found[-1][0]} rows acknowledged, {sum(lost)} lost; the replica lacked up to {max(behind)}")
    assert lost == [0] * count
    assert max(rows for *_, rows in found) > 0, "the replica never had a row"


@pytest.mark.timeout(180)
def test_what_was_acknowledged_survives_and_the_replica_restores(disk: Disk, tmp_path: Path) -> None:
    check_acknowledged_rows_survive(disk, tmp_path, 6)


@pytest.mark.long
def test_what_was_acknowledged_survives_thirty_cuts(disk: Disk, tmp_path: Path) -> None:
    check_acknowledged_rows_survive(disk, tmp_path, 30)


def test_the_control_loses_something(disk: Disk, tmp_path: Path) -> None:
    node = make_replicated(disk.path / "node")
    with without_waiting_for_the_disk(node) as write, desks(write, 1) as ledger:
        until(lambda: ledger.acknowledged > 200)
        for _ in range(10):
            time.sleep(0.3)
            acknowledged = ledger.acknowledged
            with disk.power_cut() as place:
                rows = survived(place / node.his.relative_to(disk.path))
            print(f"acknowledged {acknowledged}, found {rows}")
            if rows < acknowledged:
                return
    raise AssertionError("ten power cuts without a sync lost nothing: this disk forgets nothing")
