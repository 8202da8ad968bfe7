"""Epochs and their claims."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edge_node.base.errors import ReplicaError
from edge_node.replication.epoch import (
    Epoch,
    claim_key,
    claimed_epochs,
    current_epoch,
    make_claim,
    make_epoch,
    meta_path,
    parse_claim,
    replica_path,
)


def test_the_first_epoch_needs_no_folder(tmp_path: Path) -> None:
    assert current_epoch(tmp_path) == 1


def test_the_highest_folder_is_the_current_epoch(tmp_path: Path) -> None:
    for number in (1, 12, 7):
        make_epoch(tmp_path, tmp_path / "replica", number)
    (tmp_path / "litestream" / "e9x").mkdir()
    assert current_epoch(tmp_path) == 12


def test_an_epoch_keeps_its_nonce_and_its_folders_are_private(tmp_path: Path) -> None:
    made = make_epoch(tmp_path, tmp_path / "replica", 3)
    assert make_epoch(tmp_path, tmp_path / "replica", 3) == made
    assert make_epoch(tmp_path, tmp_path / "replica", 4).nonce != made.nonce
    assert meta_path(tmp_path, 3, "his").parent.is_dir()
    assert replica_path(tmp_path / "replica", 3, "his").parent.is_dir()
    for folder in (tmp_path / "litestream", tmp_path / "litestream" / "e0003", tmp_path / "replica" / "e0003"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_damaged_record_is_never_replaced(tmp_path: Path) -> None:
    make_epoch(tmp_path, tmp_path / "replica", 1)
    record = tmp_path / "litestream" / "e0001" / "epoch.json"
    record.write_bytes(b"{}")
    with pytest.raises(ReplicaError) as caught:
        make_epoch(tmp_path, tmp_path / "replica", 1)
    assert caught.value.code == "epoch-unreadable"
    assert record.read_bytes() == b"{}"


def test_a_claim_reads_back_and_carries_the_nonce() -> None:
    claim = make_claim(Epoch(number=7, nonce="ab12"), node_id="clinic-0042", from_txid=5, now_ms=1_800_000_000_000)
    assert parse_claim(claim.to_json()) == claim
    assert (claim.nonce, claim.claimed_at) == ("ab12", "2027-01-15T08:00:00.000Z")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"epoch": 1}', b"\xff"])
def test_not_a_claim(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_claim(body)


def test_claimed_epochs_reads_only_claims() -> None:
    keys = [claim_key("c", 2), claim_key("c", 11), "c/claims/readme.txt", "c/claims/e0003.json.part"]
    assert claimed_epochs(keys) == [2, 11]
