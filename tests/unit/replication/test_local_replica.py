"""The index of a local replica's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.ltx import scan
from tests.support.ltx_files import write_ltx


@pytest.fixture
def replica(tmp_path: Path) -> LocalReplica:
    return LocalReplica(tmp_path)


def spans(replica: LocalReplica) -> list[tuple[int, int, int]]:
    return [file.span for file in replica.files]


def test_there_is_nothing_before_litestream_has_begun(replica: LocalReplica) -> None:
    assert not replica.refresh()
    assert (replica.files, replica.head, replica.newest, replica.above(0)) == ([], 0, None, [])


def test_how_far_a_restore_from_it_reaches(replica: LocalReplica) -> None:
    write_ltx(replica.path, 0, 7, 7)
    replica.refresh()
    assert (replica.reach, replica.head) == (0, 7), "it lacks its beginning"
    write_ltx(replica.path, 9, 1, 7)
    lost = write_ltx(replica.path, 0, 8, 8)
    write_ltx(replica.path, 0, 9, 9)
    replica.refresh()
    assert (replica.reach, replica.head) == (9, 9)
    lost.unlink()
    replica.refresh()
    assert (replica.reach, replica.head) == (7, 9), "it lacks something in between"
    write_ltx(replica.path, 1, 8, 9)
    replica.refresh()
    assert (replica.reach, replica.head) == (9, 9), "a coarser file holds the same"


def test_a_disk_that_cannot_be_read_takes_nothing_away(replica: LocalReplica, tmp_path: Path) -> None:
    write_ltx(replica.path, 9, 1, 2)
    replica.refresh()
    (replica.path / "ltx").rename(tmp_path / "elsewhere")
    (replica.path / "ltx").symlink_to("ltx")  # Read as a folder, the kernel gives an error: too many links.
    assert not replica.refresh()
    assert "symbolic links" in (replica.trouble or "")
    assert spans(replica) == [(9, 1, 2)]
    (replica.path / "ltx").unlink()
    (tmp_path / "elsewhere").rename(replica.path / "ltx")
    write_ltx(replica.path, 0, 3, 3)
    assert replica.refresh()
    assert replica.trouble is None
    assert spans(replica) == [(0, 3, 3), (9, 1, 2)]


def test_what_is_no_file_is_none(replica: LocalReplica) -> None:
    folder = replica.path / "ltx" / "0"
    for name in (3, 4):
        (folder / f"{name:016x}-{name:016x}.ltx").mkdir(parents=True)
    assert not replica.refresh()
    assert replica.files == scan(replica.path) == []


def test_a_file_that_was_left_out_is_tried_again_and_told_until_it_can_be_sent(replica: LocalReplica) -> None:
    write_ltx(replica.path, 9, 1, 2)
    replica.refresh()
    (file,) = replica.files
    replica.leave_out(file, "input/output error")
    assert (replica.usable, replica.usable_above(0), list(replica.unsound)) == ([], [], [file])
    replica.try_again()
    assert (replica.usable, list(replica.unsound)) == ([file], [file])
    replica.take_in(file)
    assert replica.unsound == {}


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
