"""The index of a local replica's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.replication.local_replica import LocalReplica
from tests.support.ltx_files import write_ltx


@pytest.fixture
def replica(tmp_path: Path) -> LocalReplica:
    return LocalReplica(tmp_path)


def spans(replica: LocalReplica) -> list[tuple[int, int, int]]:
    return [(file.level, file.min_txid, file.max_txid) for file in replica.files]


def test_there_is_nothing_before_litestream_has_begun(replica: LocalReplica) -> None:
    assert not replica.refresh()
    assert (replica.files, replica.head, replica.newest, replica.above(0)) == ([], 0, None, [])


def test_without_its_beginning_nothing_can_be_restored(replica: LocalReplica) -> None:
    write_ltx(replica.path, 0, 7, 7)
    replica.refresh()
    assert not replica.has_beginning
    write_ltx(replica.path, 9, 1, 7)
    replica.refresh()
    assert replica.has_beginning


def test_finds_what_has_appeared_and_what_has_gone(replica: LocalReplica) -> None:
    write_ltx(replica.path, 9, 1, 2)
    gone = write_ltx(replica.path, 0, 3, 3)
    (gone.parent / "0000000000000004-0000000000000004.ltx.tmp").touch()
    assert replica.refresh()
    assert spans(replica) == [(0, 3, 3), (9, 1, 2)]
    assert not replica.refresh()
    gone.unlink()
    write_ltx(replica.path, 1, 3, 3)
    before = replica.version
    assert replica.refresh()
    assert spans(replica) == [(1, 3, 3), (9, 1, 2)]
    assert replica.version > before


def test_a_notice_is_a_hint(replica: LocalReplica) -> None:
    path = write_ltx(replica.path, 0, 3, 3)
    assert replica.saw(0, path.name)
    assert not replica.saw(0, path.name), "it is known already"
    assert not replica.saw(0, "0000000000000004-0000000000000004.ltx"), "it has gone already"
    assert not replica.saw(0, f"{path.name}.tmp")
    assert spans(replica) == [(0, 3, 3)]


def test_above_looks_at_the_end_of_each_level_only(replica: LocalReplica) -> None:
    for txid in (3, 5, 4):
        replica.saw(0, write_ltx(replica.path, 0, txid, txid).name)
    replica.saw(1, write_ltx(replica.path, 1, 1, 4).name)
    assert sorted((file.level, file.max_txid) for file in replica.above(3)) == [(0, 4), (0, 5), (1, 4)]
    assert replica.head == 5
    assert replica.newest is not None
    assert (replica.newest.level, replica.newest.max_txid) == (0, 5)


def test_the_time_of_a_file_is_its_header_s(replica: LocalReplica) -> None:
    path = write_ltx(replica.path, 0, 1, 1, time_ms=1_800_000_000_123)
    replica.refresh()
    path.touch()
    (file,) = replica.files
    assert replica.time_ms(file) == 1_800_000_000_123
    path.unlink()
    replica.refresh()
    assert replica.time_ms(file) is None
