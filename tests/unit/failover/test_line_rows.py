"""What the lines promise of loss, delay, flapping and jitter, in virtual time: twenty seeds in the long form.

Questions as the watcher asks them go through `failover.simulate`, which `test_simulate.py` holds to the real watcher.
Each row prints its figures (`-rP`, or `pytest -s`); they stand in the table of `tests/README.md`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from failover.core.model import Verdict
from failover.simulate import Judged, Moved, Simulation
from tests.support.asked import POLICY, TARGET, Answer, Asked, later, losing, played, seconds_of, story, well

BEGINS_S, MINUTES_5 = 60.0, 300.0
HOUR_S, DAY_S = 3600.0, 86_400.0
Seeds = Sequence[int]


@pytest.fixture(params=[pytest.param(range(3), id="3-seeds"), pytest.param(range(20), marks=pytest.mark.long)])
def seeds(request: pytest.FixtureRequest) -> Seeds:
    chosen: Seeds = request.param
    return chosen


def slower(chance: random.Random, at: float) -> float | None:
    return 0.312 + chance.expovariate(1000)


def bloated(chance: random.Random, at: float) -> float | None:
    return None if chance.random() < 0.03 else chance.uniform(0.25, 0.65)


def bloated_without_loss(chance: random.Random, at: float) -> float | None:
    return chance.uniform(0.25, 0.65)


def jittery(chance: random.Random, at: float) -> float | None:
    return chance.uniform(0.06, 0.10)


def bell_jittery(chance: random.Random, at: float) -> float | None:
    return max(0.005, chance.gauss(0.08, 0.02))


def flapping(begin: float) -> Answer:
    """Three seconds off, three seconds on, for ten minutes."""
    return lambda chance, at: None if begin <= at < begin + 600 and (at - begin) % 6 < 3 else 0.012


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def moves_of(seed: int, seconds: float, telecom: Answer) -> list[Moved]:
    """But for the first, onto telecom."""
    told, _ = story(seed, seconds, telecom)
    first, *moves = [t for t in told if isinstance(t, Moved)]
    assert first.after.line == "telecom"
    return moves


def left_within(seeds: Seeds, answer: Answer) -> tuple[list[float], list[int]]:
    """Of each seed: when telecom was left after it went bad, and how many moves there were in five minutes."""
    after_s, counts = [], []
    for seed in seeds:
        begin = BEGINS_S + random.Random(seed).random()
        moves = moves_of(seed, begin + MINUTES_5, later(begin, well, answer))
        assert moves and moves[0].after.line == "unicom", f"seed {seed}: never left"
        after_s.append(seconds_of(moves[0]) - begin)
        counts.append(len(moves))
    return after_s, counts


def tell(row: str, after_s: Sequence[float]) -> None:
    p50, p95 = quantile(after_s, 0.5), quantile(after_s, 0.95)
    print(f"{row}: left after p50 {p50:.1f} s, p95 {p95:.1f} s, max {max(after_s):.1f} s, {len(after_s)} seeds")


def test_row_8_thirty_in_a_hundred_lost(seeds: Seeds) -> None:
    after_s, counts = left_within(seeds, losing(0.30))
    tell("row 8, 30 % loss", after_s)
    print(f"row 8: moves in five minutes, most {max(counts)}")
    assert quantile(after_s, 0.95) <= 25
    assert max(counts) <= 1


@pytest.mark.parametrize(
    "name, answer",
    [
        ("+300 ms", slower),
        ("bufferbloat 250-650 ms, 3 % loss", bloated),
        ("bufferbloat 250-650 ms, 0 % loss", bloated_without_loss),
    ],
)
def test_row_9_delay(seeds: Seeds, name: str, answer: Answer) -> None:
    after_s, counts = left_within(seeds, answer)
    tell(f"row 9, {name}", after_s)
    assert max(after_s) <= 10
    assert max(counts) <= 1


def test_row_10_three_seconds_on_three_off(seeds: Seeds) -> None:
    counts = []
    for seed in seeds:
        begin = BEGINS_S + random.Random(seed).random() * 6
        counts.append(len(moves_of(seed, begin + 600, flapping(begin))))
    print(
        f"row 10, flapping: moves in ten minutes p50 {quantile(counts, 0.5)}, most {max(counts)}, {len(counts)} seeds"
    )
    assert max(counts) <= 2


@pytest.mark.parametrize("answer", [jittery, bell_jittery], ids=lambda answer: answer.__name__)
def test_row_12_jitter_is_harmless(seeds: Seeds, answer: Answer) -> None:
    counts = [len(moves_of(seed, MINUTES_5, answer)) for seed in seeds]
    print(f"row 12, {answer.__name__} 80±20 ms: moves in five minutes {sum(counts)} of {len(counts)} seeds")
    assert sum(counts) == 0


def falls(seed: int, seconds: float, loss: float) -> tuple[int, int]:
    """How often a line that loses at random was called down, and degraded; the other is judged by its link."""
    simulation = Simulation(POLICY, {"telecom": (TARGET,)})
    asked = [Asked("telecom", losing(loss), random.Random(f"{seed} {loss}"))]
    told = [t for t in played(asked, seconds, simulation) if isinstance(t, Judged) and t.line == "telecom"]
    return sum(t.after is Verdict.DOWN for t in told), sum(t.after is Verdict.DEGRADED for t in told)


def test_row_11_random_loss_kills_no_line() -> None:
    for loss in (0.01, 0.03):
        downs, degraded = falls(0, 2 * HOUR_S, loss)
        print(f"row 11, {loss:.0%} loss: {downs} false downs, {degraded} degraded in two hours")
        assert (downs, degraded) == (0, 0)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_row_11_thirty_days_of_one_in_a_hundred(seed: int) -> None:
    downs, degraded = falls(seed, 30 * DAY_S, 0.01)
    print(f"row 11, 1 % loss, seed {seed}: {downs} false downs, {degraded} degraded in 30 days")
    assert downs <= 1


@pytest.mark.long
def test_row_11_three_in_a_hundred() -> None:
    found = [falls(seed, 10 * DAY_S, 0.03) for seed in range(3)]
    a_day = sum(downs for downs, _ in found) / 30
    print(f"row 11, 3 % loss: {a_day:.2f} false downs a day, {sum(d for _, d in found)} degraded, 3 seeds of 10 days")
    assert a_day <= 0.3
