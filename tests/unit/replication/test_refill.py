"""What a local replica lost comes back from what Litestream has staged, and never over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.refill import lacking, refill
from tests.support.ltx_files import write_ltx

TIME_MS = 1_800_000_000_000


@pytest.fixture
def replica(tmp_path: Path) -> LocalReplica:
    """A snapshot and captures up to 7, of which 4 and 5 were written while the disk was away."""
    replica = LocalReplica(tmp_path / "replica")
    write_ltx(replica.path, 9, 1, 2)
    for txid in (3, 6, 7):
        write_ltx(replica.path, 0, txid, txid, content=b"as it was")
    replica.refresh()
    return replica


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    folder = tmp_path / "meta"
    for txid in range(2, 10):
        write_ltx(folder, 0, txid, txid, time_ms=TIME_MS + txid, content=b"staged")
    return folder


def held(replica: LocalReplica) -> list[int]:
    return [file.max_txid for file in replica.files if file.level == 0]


def refilled(replica: LocalReplica, meta: Path) -> list[int]:
    wanted = lacking(replica)
    assert wanted is not None
    done = refill(wanted, meta)
    for file in done:
        replica.take_in(file)
    replica.refresh()
    return [file.max_txid for file in done]


def test_a_hole_is_filled_and_nothing_beyond_the_newest(replica: LocalReplica, meta: Path) -> None:
    assert refilled(replica, meta) == [4, 5]
    assert (replica.reach, replica.head, held(replica)) == (7, 7, [3, 4, 5, 6, 7])
    path = replica.path / "ltx/0" / f"{4:016x}-{4:016x}.ltx"
    assert path.stat().st_mtime_ns == (TIME_MS + 4) * 1_000_000
    assert path.stat().st_mode & 0o777 == 0o600
    assert {found.suffix for found in path.parent.iterdir()} == {".ltx"}
    assert lacking(replica) is None


def test_a_beginning_that_was_removed_comes_back_where_it_is_staged(tmp_path: Path) -> None:
    replica, meta = LocalReplica(tmp_path / "replica"), tmp_path / "meta"
    write_ltx(replica.path, 0, 3, 3)
    for txid in (1, 2, 3):
        write_ltx(meta, 0, txid, txid)
    replica.refresh()
    assert refilled(replica, meta) == [1, 2]
    assert replica.reach == 3


def test_what_its_disk_does_not_give_is_replaced(replica: LocalReplica, meta: Path) -> None:
    refilled(replica, meta)
    bad = next(file for file in replica.files if file.max_txid == 6)
    path = replica.path / "ltx/0" / bad.name
    path.unlink()
    path.symlink_to("/proc/self/mem")
    replica.leave_out(bad, "input/output error")
    assert refilled(replica, meta) == [6]
    assert path.read_bytes().endswith(b"staged")
    assert (replica.unsound, bad in replica.usable) == ({}, True)


def test_a_staged_file_that_is_not_what_its_name_says_is_not_put_there(replica: LocalReplica, meta: Path) -> None:
    (meta / "ltx/0" / f"{4:016x}-{4:016x}.ltx").write_bytes(b"garbage")
    assert refilled(replica, meta) == []
    assert held(replica) == [3, 6, 7]


def test_where_nothing_is_staged_nothing_happens(replica: LocalReplica, tmp_path: Path) -> None:
    assert refilled(replica, tmp_path / "nowhere") == []
