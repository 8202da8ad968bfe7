"""Which objects may go: after every single deletion everything that is kept restores as before."""

from __future__ import annotations

import random
import time

import pytest

from edge_node.replication.expire import FINE_S, KEEP_S, Expiry, History, ages, plan_expiries
from edge_node.replication.ltx import LtxFile, first_hole, frontier
from edge_node.replication.shipping_plan import restore_chain

DAY_S, DAY_MS = 86_400.0, 86_400_000


def ltx(level: int, first: int, last: int, size_bytes: int = 100) -> LtxFile:
    return LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=size_bytes)


def plan_expiry(
    files: list[LtxFile],
    snapshots: dict[LtxFile, int],
    *,
    now_ms: int,
    keep_s: float = KEEP_S,
    fine_s: float | None = FINE_S,
) -> Expiry:
    """The plan for a clinic of one epoch."""
    (found,) = plan_expiries(
        [History(files=tuple(files), snapshots=snapshots)], now_ms=now_ms, keep_s=keep_s, fine_s=fine_s
    )
    return found


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


def test_a_month_of_captures_is_judged_while_somebody_waits() -> None:
    """Each capture compared with each other file would take an hour."""
    minutes = range(1, 60_000, 30)
    files = [ltx(0, txid, txid) for txid in range(1, 60_001)] + [ltx(1, first, first + 29) for first in minutes]
    snapshots = {ltx(9, 1, day * 2_000, 5000): day * DAY_MS for day in range(1, 31)}
    began = time.monotonic()
    expiry = plan_expiry([*files, *snapshots], snapshots, now_ms=30 * DAY_MS, keep_s=29 * DAY_S, fine_s=2 * DAY_S)
    assert time.monotonic() - began < 20
    assert len([file for file in expiry.goes if file.level == 0]) > 50_000


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


def an_epoch(chance: random.Random, days: int, *, begins_day: int) -> History:
    """An epoch that began on a day: its TXIDs count from one again."""
    files, snapshots = a_remote(chance, days)
    shifted = {file: time_ms + begins_day * DAY_MS for file, time_ms in snapshots.items()}
    return History(files=tuple(files), snapshots=shifted)


@pytest.mark.parametrize("seed", range(20))
def test_over_epochs_every_kept_instant_still_begins_somewhere(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [chance.randrange(3, 15) for _ in range(3)]
    begins = [0, lengths[0], lengths[0] + lengths[1]]
    histories = [an_epoch(chance, days, begins_day=day) for days, day in zip(lengths, begins, strict=True)]
    now_ms, keep_s = sum(lengths) * DAY_MS, chance.uniform(1, 40) * DAY_S
    found = plan_expiries(histories, now_ms=now_ms, keep_s=keep_s, fine_s=keep_s)
    newest_ms = max(histories[-1].snapshots.values())
    edge_ms = min(now_ms, newest_ms) - keep_s * 1000
    left = [set(history.files) - set(one.goes) for history, one in zip(histories, found, strict=True)]

    def begins_by(instant_ms: float, *, kept: bool) -> bool:
        """Is there a snapshot to begin with, for what was so at this instant?"""
        return any(
            time_ms <= instant_ms and (not kept or file in left[place])
            for place, history in enumerate(histories)
            for file, time_ms in history.snapshots.items()
        )

    for step in range(20):
        instant_ms = edge_ms + step * (now_ms - edge_ms) / 20
        assert begins_by(instant_ms, kept=True) or not begins_by(instant_ms, kept=False)
    assert restore_chain(left[-1]) == restore_chain(histories[-1].files), "the newest is the clinic"
    for place, one in enumerate(found):
        assert one.is_whole == (not left[place])
        if one.is_whole:
            assert [file.max_txid for file in one.goes] == sorted((f.max_txid for f in one.goes), reverse=True)
            assert any(time_ms <= edge_ms for later in histories[place + 1 :] for time_ms in later.snapshots.values())
        else:
            assert restore_chain(left[place]) == restore_chain(histories[place].files)


def test_a_clock_that_is_ahead_takes_no_epoch_away() -> None:
    """ "Now" is the newest snapshot's, however late this machine's clock."""
    chance = random.Random(3)
    histories = [an_epoch(chance, 10, begins_day=0), an_epoch(chance, 10, begins_day=10)]
    newest_ms = max(histories[1].snapshots.values())
    soon = plan_expiries(histories, now_ms=newest_ms, keep_s=15 * DAY_S)
    assert plan_expiries(histories, now_ms=newest_ms + 900 * DAY_MS, keep_s=15 * DAY_S) == soon
    assert not any(one.is_whole for one in soon)


def test_an_epoch_that_restores_nothing_yet_covers_nothing() -> None:
    chance = random.Random(4)
    claimed = History(files=(ltx(0, 7, 7),), snapshots={})
    histories = [an_epoch(chance, 30, begins_day=0), claimed]
    found = plan_expiries(histories, now_ms=60 * DAY_MS, keep_s=9 * DAY_S)
    assert found[1].goes == ()
    assert not found[0].is_whole
    assert plan_expiries([claimed], now_ms=60 * DAY_MS) == (Expiry(goes=(), oldest=None),)
    untimed = History(files=histories[0].files, snapshots={})
    assert plan_expiries([histories[0], untimed], now_ms=60 * DAY_MS)[0].goes == (), "of the living no time is known"
