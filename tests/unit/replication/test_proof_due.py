"""When the node drills and verifies by itself: stories of ages, hours and clocks."""

from __future__ import annotations

import pytest

from edge_node.replication.proof_due import EVERY_S, GRACE_S, NIGHT, Proof, due

HOUR, DAY = 3600.0, 86_400.0
NOW_MS = 1_795_000_000_000


def is_due(
    proof: Proof, age_s: float | None, *, hour: int = 15, up_s: float = 30 * DAY, has_timers: bool = False
) -> bool:
    last = None if age_s is None else NOW_MS - round(age_s * 1000)
    found = due(
        proof, {"cloud": last}, now_ms=NOW_MS, started_ms=NOW_MS - round(up_s * 1000), hour=hour, has_timers=has_timers
    )
    return list(found) == ["cloud"]


@pytest.mark.parametrize(
    "proof, age_s, hour, expected, why",
    [
        (Proof.DRILL, 6.5 * DAY, 3, True, "a night is better than the exact hour"),
        (Proof.DRILL, 6.5 * DAY, 15, False, "a week is not over, and the clinic works"),
        (Proof.DRILL, 7.5 * DAY, 15, False, "the next night is near"),
        (Proof.DRILL, 8 * DAY, 15, True, "the machine is off at night"),
        (Proof.DRILL, 5.5 * DAY, 3, False, "not every night"),
        (Proof.VERIFY, 20 * HOUR, 3, True, "daily, at night"),
        (Proof.VERIFY, 20 * HOUR, 12, False, "the night comes"),
        (Proof.VERIFY, 30 * HOUR, 12, True, "no night came"),
        (Proof.VERIFY, 2 * HOUR, 3, False, "this night's has been"),
    ],
)
def test_without_timers(proof: Proof, age_s: float, hour: int, expected: bool, why: str) -> None:
    assert is_due(proof, age_s, hour=hour) is expected, why


@pytest.mark.parametrize("proof", Proof)
def test_beside_timers_it_waits_until_they_have_certainly_missed(proof: Proof) -> None:
    """Whatever the hour: a timer that runs up to half an hour late is never preceded."""
    for hour in range(24):
        assert not is_due(proof, EVERY_S[proof] + HOUR, hour=hour, has_timers=True)
        assert is_due(proof, EVERY_S[proof] + GRACE_S[proof], hour=hour, has_timers=True)
        assert not is_due(proof, None, hour=hour, up_s=EVERY_S[proof], has_timers=True)
        assert is_due(proof, None, hour=hour, up_s=EVERY_S[proof] + GRACE_S[proof], has_timers=True)


@pytest.mark.parametrize("proof", Proof)
def test_a_copy_that_was_never_proven_is_soon_and_not_at_once(proof: Proof) -> None:
    assert not is_due(proof, None, up_s=0.9 * HOUR)
    assert is_due(proof, None, up_s=HOUR)


def test_the_time_of_a_clock_that_was_ahead_counts_for_nothing() -> None:
    assert is_due(Proof.DRILL, -3 * DAY)
    assert not is_due(Proof.DRILL, -3 * DAY, up_s=0)


def test_the_longest_unproven_is_first_and_each_has_its_own_turn() -> None:
    lasts = {
        "nas": NOW_MS - round(9 * DAY * 1000),
        "cloud": NOW_MS - round(20 * DAY * 1000),
        "new": NOW_MS,
        "bare": None,
    }
    found = due(Proof.DRILL, lasts, now_ms=NOW_MS, started_ms=0, hour=15, has_timers=False)
    assert list(found) == ["bare", "cloud", "nas"]


def test_in_steady_running_it_stays_in_the_night_and_is_never_later_than_eight_days() -> None:
    """A year, looked at every ten minutes."""
    last, hours, gaps = 0.0, set(), []
    for step in range(365 * 144):
        now_s = 10 * 3600 + step * 600.0
        hour = int(now_s % DAY // HOUR)
        if due(Proof.DRILL, {"cloud": round(last * 1000)}, now_ms=round(now_s * 1000), started_ms=0, hour=hour,
               has_timers=False):  # fmt: skip
            gaps.append(now_s - last)
            hours.add(hour)
            last = now_s
    assert hours <= set(NIGHT)
    assert 50 < len(gaps) < 62
    assert max(gaps[1:]) <= 8 * DAY
