"""Two claims to one epoch: whoever compares them, from whichever side, finds the same one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge_node.replication.contest import prevails
from edge_node.replication.epoch import Claim, Epoch, is_proven, make_claim, make_epoch, parse_claim
from edge_node.replication.fence import FIRST_TXID, Fence
from tests.support.clock import FakeClock

KEY = bytes(range(32))
EARLY, LATE = "2026-11-26T08:00:00.000Z", "2026-11-26T08:00:09.000Z"


def an_epoch(nonce: str, *, number: int = 2, from_epoch: int | None = 1, from_txid: int | None = 70,
             at: str | None = EARLY, from_nonce: str | None = "first") -> Epoch:  # fmt: skip
    return Epoch(number=number, nonce=nonce, from_epoch=from_epoch, from_txid=from_txid, from_nonce=from_nonce,
                 claimed_at=at)  # fmt: skip


def a_claim(epoch: Epoch, *, key: bytes | None = KEY) -> Claim:
    made = make_claim(epoch, node_id="clinic-0042", from_txid=0, now_ms=1_800_000_000_000, reason="fire", key=key)
    return parse_claim(made.to_json())


@pytest.mark.parametrize(
    "better, worse",
    [
        pytest.param(an_epoch("z", from_txid=71, at=LATE), an_epoch("a", from_txid=70), id="more-of-the-clinic"),
        pytest.param(an_epoch("z", from_epoch=2, from_txid=3), an_epoch("a", from_txid=9000), id="a-later-epoch"),
        pytest.param(an_epoch("z"), an_epoch("a", at=LATE), id="who-claimed-first"),
        pytest.param(an_epoch("a"), an_epoch("z"), id="somebody-must"),
        pytest.param(an_epoch("z"), an_epoch("a", from_epoch=None, from_txid=None), id="began-with-nothing"),
    ],
)
def test_of_two_the_same_one_goes_on_whoever_asks(better: Epoch, worse: Epoch) -> None:
    assert prevails(a_claim(better), [a_claim(worse)])
    assert not prevails(a_claim(worse), [a_claim(better)])


def test_of_any_number_exactly_one_goes_on() -> None:
    chance = random.Random(7)
    for _ in range(500):
        claims = [
            a_claim(an_epoch(f"n{n}", from_txid=chance.randrange(3), at=chance.choice((EARLY, LATE))), key=None)
            for n in range(chance.randrange(2, 6))
        ]
        winners = [one for one in claims if prevails(one, [other for other in claims if other is not one])]
        assert len(winners) == 1


def a_fence(folder: Path, epoch: Epoch) -> Fence:
    folder.mkdir(exist_ok=True)
    return Fence(folder, node_id="clinic-0042", epoch=epoch, key=KEY, clock=FakeClock())


def test_each_finds_the_other_and_one_is_replaced(tmp_path: Path) -> None:
    mine, theirs = an_epoch("mine", from_txid=80), an_epoch("theirs", from_txid=70)
    winner, loser = a_fence(tmp_path / "b", mine), a_fence(tmp_path / "c", theirs)
    winner.meet([a_claim(theirs)], destination="nas", reach=0)
    assert winner.superseded is None
    assert winner.rival is not None and winner.rival.nonce == "theirs"
    loser.meet([a_claim(mine)], destination="cloud", reach=0)
    assert loser.rival is None
    assert loser.superseded is not None
    found = loser.superseded
    # Nothing of what it has written in its epoch was taken over, however much it has shipped.
    assert (found.epoch, found.taken_epoch, found.taken_txid) == (2, 2, FIRST_TXID)


def test_the_heir_of_a_rival_is_no_heir_of_ours(tmp_path: Path) -> None:
    """The winner's next epoch goes on from epoch 2, and so is ours called: the nonce tells whose it was."""
    fence = a_fence(tmp_path, an_epoch("theirs"))
    next_epoch = an_epoch("next", number=3, from_epoch=2, from_txid=55, from_nonce="mine")
    fence.meet([a_claim(next_epoch)], destination="nas", reach=44)
    assert fence.superseded is not None
    assert (fence.superseded.epoch, fence.superseded.taken_txid) == (3, FIRST_TXID)
    heir = a_fence(tmp_path / "a", an_epoch("mine"))
    heir.meet([a_claim(next_epoch)], destination="nas", reach=44)
    assert heir.superseded is not None and heir.superseded.taken_txid == 55


def test_a_claim_that_is_not_proven_is_no_rival(tmp_path: Path) -> None:
    fence = a_fence(tmp_path, an_epoch("mine"))
    fence.meet([a_claim(an_epoch("theirs", from_txid=1), key=None)], destination="nas", reach=0)
    assert (fence.rival, fence.superseded) == (None, None)


def test_one_that_does_not_know_when_it_claimed_gives_way(tmp_path: Path) -> None:
    fence = a_fence(tmp_path, an_epoch("mine", at=None, from_txid=99))
    fence.meet([a_claim(an_epoch("theirs", from_txid=1))], destination="nas", reach=0)
    assert fence.superseded is not None


def test_claims_of_before_are_proven_as_they_were(tmp_path: Path) -> None:
    """A claim without `from_nonce` has the proof that a program gave it which knew no such thing."""
    old = a_claim(an_epoch("old", from_nonce=None))
    assert '"from_nonce": null' in old.to_json().decode()
    assert is_proven(old, KEY)
    assert is_proven(a_claim(an_epoch("new")), KEY)
    assert a_claim(an_epoch("new")).proof != a_claim(an_epoch("new", from_nonce="other")).proof
    folder = tmp_path / "state"
    made = make_epoch(folder, tmp_path / "replica", 2, new=an_epoch("mine"))
    assert made == an_epoch("mine") == make_epoch(folder, tmp_path / "replica", 2)
