from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from edge_node.base import files
from edge_node.base.clock import boot_id
from tests.support.clock import FakeClock


def test_atomic_write_replaces_whole_and_sets_the_mode(tmp_path: Path) -> None:
    target = tmp_path / "orders.json"
    target.write_text("old")
    files.atomic_write(target, b"new", mode=0o600)
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "orders.json"
    target.write_text("old")
    with pytest.raises(TypeError):
        files.atomic_write(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "transitions.jsonl"
    with path.open("ab") as file:
        files.append_line(file, {"seq": 1})
        files.append_line(file, {"seq": 2})
        file.write(b'{"seq": 3')
    assert [line["seq"] for line in files.read_lines(path)] == [1, 2]


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "db.lock"
    with files.file_lock(path), pytest.raises(BlockingIOError), files.file_lock(path, wait=False):
        pass
    with files.file_lock(path, wait=False):
        pass


class TestStatusFile:
    def write(self, tmp_path: Path, clock: FakeClock, *, stopped: bool = False) -> files.ServiceStatus:
        files.StatusFile(tmp_path, "his", every_s=2.0).write({"writable": True}, clock, stopped=stopped)
        status = files.read_status(tmp_path, "his")
        assert status is not None
        return status

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        status = self.write(tmp_path, FakeClock())
        assert status.state == {"writable": True}
        assert status.written_at == status.started_at == "2026-11-18T11:06:40.000Z"
        assert not status.stopped

    @pytest.mark.parametrize("age_s, stale", [(0.0, False), (5.9, False), (6.1, True)])
    def test_it_is_believed_for_three_ticks(self, tmp_path: Path, age_s: float, stale: bool) -> None:
        clock = FakeClock()
        status = self.write(tmp_path, clock)
        clock.advance(age_s)
        assert status.is_stale(clock.boottime(), this_boot=boot_id()) is stale

    def test_a_file_of_another_boot_is_stale_however_young(self, tmp_path: Path) -> None:
        clock = FakeClock()
        assert self.write(tmp_path, clock).is_stale(clock.boottime(), this_boot="another")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b'{"pid": "x"}'])
    def test_what_is_not_ours_is_nothing(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "his").mkdir()
        (tmp_path / "his/status.json").write_bytes(content)
        assert files.read_status(tmp_path, "his") is None

    def test_the_start_is_kept_over_ticks(self, tmp_path: Path) -> None:
        clock, file = FakeClock(), files.StatusFile(tmp_path, "his", every_s=2.0)
        file.write({}, clock)
        clock.advance(60)
        file.write({}, clock)
        document = json.loads(file.path.read_bytes())
        assert (document["started_at"], document["written_at"]) == (
            "2026-11-18T11:06:40.000Z",
            "2026-11-18T11:07:40.000Z",
        )


def test_a_status_that_is_looked_at_often_is_read_when_it_was_replaced(tmp_path: Path) -> None:
    clock, file, look = (
        FakeClock(),
        files.StatusFile(tmp_path, "links", every_s=1.0),
        files.StatusReader(tmp_path, "links"),
    )
    assert look() is None
    file.write({"mode": "online"}, clock)
    first = look()
    assert first is not None and first.state == {"mode": "online"}
    assert look() is first
    file.write({"mode": "backup"}, clock)
    second = look()
    assert second is not None and second.state == {"mode": "backup"}
    file.path.write_bytes(b"{")
    assert look() is None
    file.path.unlink()
    assert look() is None


def test_free_of_size_is_the_share_that_df_shows(tmp_path: Path) -> None:
    free, size = files.disk_free_bytes(tmp_path), files.disk_size_bytes(tmp_path)
    assert free is not None and size is not None
    argv = ["df", "--output=pcent", str(tmp_path)]
    percent = int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[-1].rstrip("%"))
    assert abs(100 * (1 - free / size) - percent) <= 1.5, "others write at the same time"
    assert files.disk_size_bytes(tmp_path / "none") is None
