"""Which objects may go: after every single deletion everything that is kept restores as before."""

from __future__ import annotations

import random

import pytest

from edge_node.replication.expire import ages, plan_expiry
from edge_node.replication.ltx import LtxFile, first_hole, frontier
from edge_node.replication.shipping_plan import restore_chain

DAY_S, DAY_MS = 86_400.0, 86_400_000


def ltx(level: int, first: int, last: int, size_bytes: int = 100) -> LtxFile:
    return LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=size_bytes)


def a_remote(chance: random.Random, days: int) -> tuple[list[LtxFile], dict[LtxFile, int]]:
    """What a destination holds after so many days: captures, coarser files over some of them, a snapshot now and then.

    Ten TXIDs are a day. Some captures were never shipped, where a coarser file went in their place.
    """
    head = days * 10 + chance.randrange(10)
    files = {ltx(0, txid, txid) for txid in range(1, head + 1)}
    for level, step in ((2, 2), (3, 5)):
        for first in range(1, head, step):
            if first + step - 1 <= head:
                files.add(ltx(level, first, first + step - 1, 100 * step // 2))
    covered = [file for file in files if file.level == 0 and any(o.level > 0 and o.min_txid <= file.min_txid and o.max_txid >= file.max_txid for o in files)]  # fmt: skip # noqa: E501
    files -= set(chance.sample(sorted(covered), len(covered) // 5))
    snapshots = {}
    for day in range(1, days + 1):
        if chance.random() < 0.6 or day == 1:
            snapshots[ltx(9, 1, day * 10, 5000)] = day * DAY_MS
    return sorted(files | set(snapshots)), snapshots


@pytest.mark.parametrize("seed", range(30))
def test_after_every_deletion_what_is_kept_restores(seed: int) -> None:
    chance = random.Random(seed)
    days = chance.randrange(5, 30)
    files, snapshots = a_remote(chance, days)
    keep_s, fine_s = chance.uniform(1, 20) * DAY_S, chance.uniform(1, 20) * DAY_S
    now_ms = days * DAY_MS + chance.randrange(DAY_MS)
    expiry = plan_expiry(files, snapshots, now_ms=now_ms, keep_s=keep_s, fine_s=min(keep_s, fine_s))
    newest = max(snapshots, key=lambda file: file.max_txid)
    assert newest not in expiry.goes
    assert not set(restore_chain(files)) & set(expiry.goes)
    # TXID n at n tenths of a day: the first state that must stay.
    edge_ms = min(now_ms, snapshots[newest]) - keep_s * 1000
    kept_from = max((t for t in range(1, days * 10) if t * DAY_MS / 10 <= edge_ms), default=None)
    present = list(files)
    for file in expiry.goes:
        present.remove(file)
        assert frontier(present) == frontier(files)
        assert first_hole(present) is None
        assert restore_chain(present) == restore_chain(files)
        if kept_from is not None:
            for txid in (kept_from, kept_from + 3, days * 10):
                before, after = restore_chain(files, txid=txid), restore_chain(present, txid=txid)
                # To the level that is kept for that time, at least a step of five.
                assert (after and after[-1].max_txid > txid - 5) or not before, (txid, after)
    assert all(file.max_txid > (expiry.oldest.max_txid if expiry.oldest else 0) or file == expiry.oldest for file in present)  # fmt: skip # noqa: E501


def test_single_captures_stay_for_their_time() -> None:
    files, snapshots = a_remote(random.Random(1), 20)
    expiry = plan_expiry(files, snapshots, now_ms=20 * DAY_MS, keep_s=15 * DAY_S, fine_s=5 * DAY_S)
    assert expiry.oldest is not None
    gone = set(expiry.goes)
    fine_from = 20 * 10 - 5 * 10
    assert not [file for file in gone if file.level == 0 and file.max_txid > fine_from]
    thinned = [file for file in gone if expiry.oldest.max_txid < file.max_txid <= fine_from]
    assert thinned
    assert {file.level for file in thinned} <= {0, 2}


@pytest.mark.parametrize(
    ("by_s", "since_day"),
    [pytest.param(-3 * 3600, 10, id="set-back-three-hours"), pytest.param(86_400, 10, id="set-ahead-a-day")],
)
def test_a_clock_that_jumps_makes_nothing_old(by_s: int, since_day: int) -> None:
    """Row 15: snapshots made after the jump carry the wrong time, and now is wrong as well."""
    files, snapshots = a_remote(random.Random(3), 20)
    jumped = {
        file: time_ms + (by_s * 1000 if file.max_txid > since_day * 10 else 0) for file, time_ms in snapshots.items()
    }
    now_ms = 20 * DAY_MS
    right = plan_expiry(files, snapshots, now_ms=now_ms, keep_s=12 * DAY_S, fine_s=None)
    # The clock is still wrong when it is judged, or was set right again.
    for present_ms in (now_ms + by_s * 1000, now_ms):
        wrong = plan_expiry(files, jumped, now_ms=present_ms, keep_s=12 * DAY_S, fine_s=None)
        if by_s < 0:
            assert set(wrong.goes) <= set(right.goes)
    # A clock that ran ahead for two days and is right again: what was written then does not make the rest older.
    ahead = {file: time_ms + (DAY_MS if 100 < file.max_txid <= 120 else 0) for file, time_ms in snapshots.items()}
    assert set(plan_expiry(files, ahead, now_ms=now_ms, keep_s=12 * DAY_S, fine_s=None).goes) <= set(right.goes)


def test_a_silent_node_loses_nothing() -> None:
    """A year later, without a new snapshot: the last ones stay as they were."""
    files, snapshots = a_remote(random.Random(3), 20)
    then = plan_expiry(files, snapshots, now_ms=20 * DAY_MS, keep_s=12 * DAY_S)
    assert plan_expiry(files, snapshots, now_ms=385 * DAY_MS, keep_s=12 * DAY_S) == then


def test_without_a_snapshot_nothing_goes() -> None:
    files = [ltx(0, txid, txid) for txid in range(1, 50)]
    assert plan_expiry(files, {}, now_ms=10**15).goes == ()


def test_ages_never_go_back() -> None:
    assert [time_ms for _, time_ms in ages({ltx(9, 1, 5): 500, ltx(9, 1, 9): 300, ltx(9, 1, 12): 700})] == [
        500,
        500,
        700,
    ]
