"""Samples: silence, loss, quantiles; blind time is not loss."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.core import flap
from failover.core.delta import deltas
from failover.core.model import Detect, Flap, LinkState
from failover.core.window import Window, quantile


def asked(count: int, *, answered: set[int], every_s: float = 0.2) -> Window:
    window = Window(30.0)
    for n in range(count):
        window.asked(n * every_s)
        if n in answered:
            window.answered(n * every_s, 0.01)
    return window


def test_silence_counts_from_the_last_answer() -> None:
    assert asked(10, answered={0, 1, 2}).silence_s(1.41) == pytest.approx(1.0)
    assert asked(10, answered=set()).silence_s(1.5) == 1.5
    assert Window(30).silence_s(100) is None


def test_open_probes_are_lost_only_after_a_while() -> None:
    window = asked(10, answered={0, 1})
    assert (window.summary(1.9, since=0, lost_after_s=1).samples, window.summary(9, since=0, lost_after_s=1).lost) == (
        5,
        8,
    )


def test_a_late_answer_takes_the_loss_back_and_a_second_one_changes_nothing() -> None:
    window = asked(5, answered={0, 1, 3, 4})
    assert window.summary(5, since=0, lost_after_s=1).lost == 1
    window.answered(0.4, 3.0)
    window.answered(0.4, 0.001)
    summary = window.summary(5, since=0, lost_after_s=1)
    assert (summary.lost, summary.rtt_p95_s) == (0, 3.0)


@pytest.mark.parametrize("rtt_s", [-0.001, math.nan, math.inf])
def test_a_round_trip_that_cannot_be_is_ignored(rtt_s: float) -> None:
    window = asked(1, answered=set())
    window.answered(0.0, rtt_s)
    assert window.heard_at is None


def test_blind_time_is_neither_loss_nor_silence() -> None:
    window = asked(10, answered=set(range(10)))
    window.asked(2.0)
    window.blind(2.1, 60.0, 1.0)
    assert window.summary(61, since=0, lost_after_s=1).lost == 0
    assert window.silence_s(60.0) == pytest.approx(0.29)
    window.answered(2.0, 0.05)  # it waited in the socket: evidence again
    assert window.summary(61, since=0, lost_after_s=1).samples == 11


def test_memory_stays_bounded() -> None:
    assert len(asked(5000, answered=set(range(0, 5000, 2)))) < 300


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_a_quantile_is_the_smallest_value_that_covers_its_share(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)


DETECT = Detect()


def after_falls(*at: float) -> Flap:
    record = Flap()
    for moment in at:
        record = flap.fallen(record, moment, DETECT)
    return record


@pytest.mark.parametrize("falls, hold_s", [(0, 0), (1, 60), (2, 120), (3, 240), (6, 1800), (60, 1800)])
def test_the_hold_doubles_up_to_its_cap(falls: int, hold_s: float) -> None:
    assert flap.hold_s(after_falls(*range(falls)), 100, DETECT) == hold_s


def test_falls_are_forgotten_after_six_hours() -> None:
    assert flap.hold_s(after_falls(0, 10), 6 * 3600 + 5, DETECT) == 60


def test_the_penalty_decays_and_suppression_ends_below_reuse() -> None:
    record = after_falls(0, 0, 0)
    assert flap.penalty(record, 300, DETECT) == pytest.approx(1500)
    assert flap.is_suppressed(record, 300, DETECT)
    assert not flap.is_suppressed(record, 600, DETECT)
    assert not flap.is_suppressed(record, 0, Detect(suppress=0))


GOOD = LinkState(present=True, index=2, carrier=True, addresses=frozenset({"10.1.1.2/30"}), has_address=True, mtu=1500)


def test_an_address_that_goes_may_take_routes_with_it() -> None:
    new = LinkState(present=True, index=2, carrier=True, addresses=frozenset(), has_address=False, mtu=1500)
    (delta,) = deltas({"telecom": GOOD}, {"telecom": new})
    assert delta.may_have_lost_routes and delta.matters_to_verdict and delta.needs_new_sockets
    assert str(delta) == "telecom: addresses 10.1.1.2/30 -> none, has_address true -> false"
    assert deltas({"telecom": GOOD}, {"telecom": GOOD}) == ()
