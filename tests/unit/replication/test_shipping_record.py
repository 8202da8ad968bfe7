"""What is remembered of a destination."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edge_node.replication.ltx import LtxFile
from edge_node.replication.shipping_record import Confirmed, ShippingRecord

NEWEST = Confirmed(level=0, min_txid=7, max_txid=7, time_ms=1_800_000_000_000, sha256="ab")


def test_reads_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "shipping" / "cloud.json"
    record = ShippingRecord(path)
    assert not record.is_known
    copy = record.copy("e0001/his")
    for txid in (5, 6, 7, 9):
        copy.held.add(LtxFile(level=0, min_txid=txid, max_txid=txid, size_bytes=1))
    copy.newest, copy.set_back = NEWEST, "why"
    record.mark_known()
    record.save()
    again = ShippingRecord(path)
    assert again.is_known
    assert again.copy("e0001/his").held.runs() == {0: [[5, 7], [9, 9]]}
    assert (again.copy("e0001/his").newest, again.copy("e0001/his").set_back) == (NEWEST, "why")
    assert again.copy("e0002/his").newest is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writes_only_what_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    record = ShippingRecord(path)
    record.save()
    assert not path.exists()
    record.mark_known()
    record.save()
    path.unlink()
    record.mark_known()
    record.save()
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"known": true}', '{"known": true, "copies": {"e0001/his": {}}}'])
def test_a_damaged_record_is_an_empty_one(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cloud.json"
    path.write_text(content)
    record = ShippingRecord(path)
    assert record.copy("e0001/his").newest is None
    assert record.is_known, "an empty mount point is not filled"
    assert "shipping_record_unreadable" in capsys.readouterr().err


def test_a_record_that_cannot_be_read_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cloud.json"
    path.symlink_to(path)
    record = ShippingRecord(path)
    assert record.is_known and record.copy("e0001/his").newest is None
    record.mark_known()
    record.copy("e0001/his").newest = NEWEST
    record.is_dirty = True
    record.save()
    assert ShippingRecord(path).copy("e0001/his").newest == NEWEST
    assert capsys.readouterr().err.count("shipping_record_unreadable") == 1
