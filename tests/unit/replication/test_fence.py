"""Who is believed when it says that it owns the clinic, and what is written down then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.replication.epoch import Claim, Epoch, is_proven, make_claim, parse_claim
from edge_node.replication.fence import FIRST_TXID, Fence
from edge_node.status.superseded import read_superseded, superseded_path
from tests.support.clock import FakeClock

KEY = bytes(range(32))
OURS = Epoch(number=3, nonce="ours")


def a_fence(folder: Path, *, key: bytes | None = KEY) -> Fence:
    return Fence(folder, node_id="clinic-0042", epoch=OURS, key=key, clock=FakeClock())


def a_claim(number: int, nonce: str = "theirs", *, key: bytes | None = KEY, went_on_from: int | None = 3) -> Claim:
    epoch = Epoch(number=number, nonce=nonce, from_epoch=went_on_from, from_txid=77)
    claim = make_claim(epoch, node_id="clinic-0042", from_txid=0, now_ms=1_800_000_000_000, reason="fire", key=key)
    return parse_claim(claim.to_json())


def test_a_proof_is_of_the_whole_claim() -> None:
    claim = a_claim(4)
    assert is_proven(claim, KEY)
    assert not is_proven(replace(claim, from_txid=1), KEY)
    assert not is_proven(replace(claim, epoch=5), KEY)
    assert not is_proven(claim, bytes(32))
    assert not is_proven(a_claim(4, key=None), KEY)


@pytest.mark.parametrize("number", [3, 4, 9])
def test_a_proven_claim_of_another_machine_ends_it_for_ever(tmp_path: Path, number: int) -> None:
    fence = a_fence(tmp_path)
    fence.meet([a_claim(number)], destination="cloud", reach=70)
    found = fence.superseded
    assert found is not None
    assert (found.epoch, found.own_epoch, found.destination, found.why) == (number, 3, "cloud", "fire")
    # A rival with our own number has taken over nothing of what was written in it.
    assert (found.taken_epoch, found.taken_txid) == (3, FIRST_TXID if number == 3 else 77)
    assert read_superseded(tmp_path) == found
    assert superseded_path(tmp_path).stat().st_mode & 0o777 == 0o600
    # Also after a boot without a line, and whatever is found later.
    again = a_fence(tmp_path)
    assert again.superseded == found
    again.meet([a_claim(12)], destination="nas", reach=0)
    assert read_superseded(tmp_path) == found


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(a_claim(4, key=None), id="not-proven"),
        pytest.param(a_claim(4, key=bytes(32)), id="proven-with-another-key"),
        pytest.param(a_claim(4, "ours"), id="our-own"),
        pytest.param(replace(a_claim(4), node="clinic-0043"), id="of-another-clinic"),
    ],
)
def test_whoever_keeps_the_copies_cannot_stop_the_clinic(tmp_path: Path, claim: Claim) -> None:
    fence = a_fence(tmp_path)
    fence.meet([claim], destination="cloud", reach=70)
    assert fence.superseded is None
    assert not superseded_path(tmp_path).exists()


def test_who_has_lost_the_folders_of_its_epochs_was_not_replaced(tmp_path: Path) -> None:
    """The claims of before are its own, although it has begun anew with another nonce."""
    a_fence(tmp_path)
    fence = Fence(tmp_path, node_id="clinic-0042", epoch=Epoch(number=1, nonce="anew"), key=KEY, clock=FakeClock())
    fence.meet([a_claim(1, "ours"), a_claim(3, "ours")], destination="cloud", reach=0)
    assert fence.superseded is None
    fence.meet([a_claim(4)], destination="cloud", reach=0)
    assert fence.superseded is not None


def test_without_a_data_key_every_claim_is_believed(tmp_path: Path) -> None:
    fence = a_fence(tmp_path, key=None)
    fence.meet([a_claim(4, key=None)], destination="cloud", reach=70)
    assert fence.superseded is not None


def test_the_heir_of_our_epoch_says_what_was_taken_over_and_the_last_one_who_owns_it(tmp_path: Path) -> None:
    fence = a_fence(tmp_path)
    fence.meet([a_claim(4), a_claim(5, "third", went_on_from=4)], destination="cloud", reach=70)
    assert fence.superseded is not None
    assert (fence.superseded.epoch, fence.superseded.taken_txid) == (5, 77)


def test_where_no_claim_tells_it_is_what_the_destination_has_confirmed(tmp_path: Path) -> None:
    fence = a_fence(tmp_path)
    fence.meet([a_claim(5, went_on_from=4)], destination="cloud", reach=70)
    assert fence.superseded is not None
    assert (fence.superseded.taken_epoch, fence.superseded.taken_txid) == (3, 70)


def test_what_cannot_be_written_holds_in_memory_and_is_written_later(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    fence = a_fence(gone)
    fence.meet([a_claim(4)], destination="cloud", reach=0)
    assert fence.superseded is not None
    assert not gone.exists()
    gone.mkdir()
    fence.keep()
    assert read_superseded(gone) == fence.superseded


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", json.dumps({"by": 7, "epoch": -1}).encode()])
def test_a_file_that_cannot_be_understood_still_counts(tmp_path: Path, content: bytes) -> None:
    superseded_path(tmp_path).write_bytes(content)
    found = read_superseded(tmp_path)
    assert found is not None
    assert found.by == "another machine"
    assert "replaced by another machine" in found.refusal().message
