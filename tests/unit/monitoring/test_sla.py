"""What a carrier is told: stories with figures that can be worked out by hand, and what must always hold."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.sla import (
    LINE,
    SERVICE,
    UNKNOWN,
    Account,
    Bar,
    Excluded,
    Exclusion,
    Incident,
    Interval,
    Kinds,
    Piece,
    Reason,
    Window,
    account,
    against_availability,
    against_most,
    incidents,
    overall,
    repairs,
    timeline,
)

MIN = 60_000
HOUR = 60 * MIN
DAY = Window(start_ms=0, end_ms=24 * HOUR)


def told(start_ms: int, end_ms: int, state: str, code: str = "", ref: str = "") -> Interval:
    return Interval(start_ms=start_ms, end_ms=end_ms, state=state, reason=Reason(code=code), ref=ref)


def left_out(start_ms: int, end_ms: int, why: Exclusion) -> Excluded:
    return Excluded(start_ms=start_ms, end_ms=end_ms, why=why)


def reckoned(
    intervals: list[Interval], excluded: list[Excluded] | None = None, *, window: Window = DAY, kinds: Kinds = LINE
) -> tuple[Account, tuple[Incident, ...]]:
    pieces = timeline(intervals, window, excluded or (), kinds=kinds)
    bad = ("down",) if kinds is LINE else ("offline",)
    return account(pieces, window, kinds=kinds), incidents(pieces, window, states=bad)


A_DAY = [
    told(0, 9 * HOUR, "up"),
    told(9 * HOUR, 9 * HOUR + 12 * MIN, "down", "silent", "1.7"),
    told(9 * HOUR + 12 * MIN, 20 * HOUR, "up"),
    told(20 * HOUR, 21 * HOUR, "degraded", "loss"),
    told(21 * HOUR, 24 * HOUR, "up"),
]


def test_a_day_with_one_outage() -> None:
    day, found = reckoned(A_DAY)

    assert day.by_state == {"up": 22 * HOUR + 48 * MIN, "down": 12 * MIN, "degraded": HOUR}
    assert day.availability == pytest.approx(1 - 12 / 1440)
    assert (day.unknown_ms, day.excluded_ms) == (0, 0)
    (one,) = found
    assert (one.start_ms, one.duration_ms, one.reason.code, one.ref) == (9 * HOUR, 12 * MIN, "silent", "1.7")
    assert not (one.began_before or one.goes_on)
    assert repairs(found, day.good_ms).mttr_s == 720
    assert repairs(found, day.good_ms).mtbf_s == pytest.approx((24 * 60 - 12) * 60)


def test_what_nobody_saw_is_unknown_and_not_good() -> None:
    day, found = reckoned([told(0, HOUR, "up"), told(2 * HOUR, 3 * HOUR, "down", "silent")])

    assert day.unknown_ms == 22 * HOUR
    assert day.availability == 0.5
    assert (day.lowest, day.highest) == (pytest.approx(1 / 24), pytest.approx(23 / 24))
    assert len(found) == 1


def test_nothing_known_at_all_is_no_figure() -> None:
    day, found = reckoned([told(0, 24 * HOUR, UNKNOWN)])
    assert day.availability is None
    assert found == ()
    assert against_availability(0.999, day) is Bar.NO_DATA


def test_maintenance_is_left_out_and_listed_once() -> None:
    """Half of the outage lies in announced work; blindness within the work is the work's."""
    day, (one,) = reckoned(
        A_DAY,
        [
            left_out(9 * HOUR + 6 * MIN, 10 * HOUR, Exclusion.MAINTENANCE),
            left_out(9 * HOUR + 30 * MIN, 9 * HOUR + 40 * MIN, Exclusion.BLIND),
        ],
    )
    assert day.excluded == {Exclusion.MAINTENANCE: 54 * MIN}
    assert day.by_state["down"] == 6 * MIN
    assert (one.duration_ms, one.counted_ms, one.excluded_ms) == (12 * MIN, 6 * MIN, 6 * MIN)


def test_an_outage_that_is_wholly_excluded_is_shown_and_not_charged() -> None:
    day, found = reckoned(A_DAY, [left_out(8 * HOUR, 10 * HOUR, Exclusion.CLOUD)])
    assert len(found) == 1
    assert found[0].counted_ms == 0
    assert day.availability == 1.0
    assert repairs(found, day.good_ms).count == 0


def test_a_restart_of_the_watcher_does_not_make_two_incidents() -> None:
    broken = [
        told(0, HOUR, "up"),
        told(HOUR, HOUR + 5 * MIN, "down", "silent", "1.1"),
        told(HOUR + 5 * MIN + 8_000, HOUR + 9 * MIN, "down", "silent", "1.4"),
        told(HOUR + 9 * MIN, 24 * HOUR, "up"),
    ]
    day, (one,) = reckoned(broken)
    assert (one.duration_ms, one.unknown_ms, one.counted_ms, one.ref) == (9 * MIN, 8_000, 9 * MIN - 8_000, "1.1")
    assert day.unknown_ms == 8_000

    later = [broken[0], broken[1], told(HOUR + 7 * MIN, HOUR + 9 * MIN, "down", "silent"), broken[3]]
    assert len(reckoned(later)[1]) == 2, "after two minutes without sight nobody can say that it was one"


def test_a_change_of_cause_is_one_incident_under_its_first() -> None:
    _, (one,) = reckoned([told(HOUR, 2 * HOUR, "down", "no-carrier"), told(2 * HOUR, 3 * HOUR, "down", "silent")])
    assert (one.reason.code, one.duration_ms) == ("no-carrier", 2 * HOUR)


def test_the_edges_of_the_window_are_marked() -> None:
    _, found = reckoned([told(-HOUR, MIN, "down", "silent"), told(MIN, 23 * HOUR, "up"),
                         told(23 * HOUR, 30 * HOUR, "down", "silent")])  # fmt: skip
    assert [(i.began_before, i.goes_on, i.duration_ms) for i in found] == [(True, False, MIN), (False, True, HOUR)]


def test_a_clock_that_was_set_back_leaves_unknown_time() -> None:
    """Two things are told of the same hour; the one that would look better is not taken."""
    day, _ = reckoned([told(0, 10 * HOUR, "up"), told(9 * HOUR, 10 * HOUR, "down", "silent"),
                       told(9 * HOUR, 24 * HOUR, "up")])  # fmt: skip
    assert day.unknown_ms == HOUR
    assert day.by_state == {"up": 23 * HOUR}


def test_the_clinic_is_served_on_the_backup_line_too() -> None:
    modes = [told(0, 10 * HOUR, "online"), told(10 * HOUR, 12 * HOUR, "backup"), told(12 * HOUR, 13 * HOUR, "offline"),
             told(13 * HOUR, 14 * HOUR, "starting"), told(14 * HOUR, 24 * HOUR, "online")]  # fmt: skip
    day, found = reckoned(modes, kinds=SERVICE)
    assert day.by_state == {"online": 20 * HOUR, "backup": 2 * HOUR, "offline": HOUR}
    assert day.unknown_ms == HOUR, "while starting nothing has been decided"
    assert day.availability == pytest.approx(22 / 23)
    assert [i.duration_ms for i in found] == [HOUR]


@pytest.mark.parametrize(
    ("down_min", "unknown_min", "bar"),
    [
        pytest.param(0, 0, Bar.MET, id="faultless"),
        pytest.param(1, 0, Bar.MET, id="within"),
        pytest.param(2, 0, Bar.MISSED, id="beyond"),
        pytest.param(1, 1, Bar.OPEN, id="met-if-the-unknown-minute-was-good"),
        pytest.param(0, 1, Bar.MET, id="met-whatever-it-was"),
        pytest.param(1, 700, Bar.OPEN, id="few-hours-seen"),
        pytest.param(3, 60, Bar.MISSED, id="missed-whatever-it-was"),
    ],
)
def test_a_contract_is_judged_only_as_far_as_is_known(down_min: int, unknown_min: int, bar: Bar) -> None:
    """A promise of 99.9 % allows 1.44 minutes a day."""
    down, known = down_min * MIN, 24 * HOUR - unknown_min * MIN
    day, _ = reckoned([told(0, down, "down"), told(down, known, "up")])
    assert against_availability(0.999, day) is bar
    assert against_availability(None, day) is Bar.NO_PROMISE


def test_other_bars() -> None:
    assert against_most(0.020, 0.020) is Bar.MET
    assert against_most(0.020, 0.0201) is Bar.MISSED
    assert against_most(0.020, None) is Bar.NO_DATA
    assert against_most(None, 0.020) is Bar.NO_PROMISE
    assert overall([Bar.MET, Bar.MISSED, Bar.OPEN]) is Bar.MISSED
    assert overall([Bar.MET, Bar.OPEN, Bar.NO_DATA]) is Bar.OPEN
    assert overall([Bar.MET, Bar.NO_DATA, Bar.NO_PROMISE]) is Bar.NO_DATA
    assert overall([Bar.MET, Bar.NO_PROMISE]) is Bar.MET
    assert overall([]) is Bar.NO_PROMISE


# What must always hold.
WINDOW = Window(start_ms=100, end_ms=300)
edge = st.integers(min_value=50, max_value=350)
an_interval = st.builds(
    told, edge, edge, st.sampled_from(["up", "degraded", "down", UNKNOWN, "other"]), st.sampled_from(["", "silent"])
)
an_exclusion = st.builds(left_out, edge, edge, st.sampled_from(list(Exclusion)))
intervals_of = st.lists(an_interval, max_size=8)
exclusions_of = st.lists(an_exclusion, max_size=5)


@settings(max_examples=40, deadline=None)
@given(intervals_of, exclusions_of)
def test_the_parts_add_up_to_the_window(intervals: list[Interval], excluded: list[Excluded]) -> None:
    pieces = timeline(intervals, WINDOW, excluded)
    assert [pieces[0].start_ms, pieces[-1].end_ms] == [WINDOW.start_ms, WINDOW.end_ms]
    assert all(a.end_ms == b.start_ms for a, b in pairwise(pieces))
    assert all(piece.length_ms > 0 for piece in pieces)
    told_of = account(pieces, WINDOW)
    assert sum(told_of.by_state.values()) + told_of.excluded_ms + told_of.unknown_ms == WINDOW.length_ms
    assert sum(told_of.by_state.values()) == told_of.good_ms + told_of.bad_ms


@settings(max_examples=40, deadline=None)
@given(intervals_of, exclusions_of)
def test_each_moment_is_judged_as_it_stands(intervals: list[Interval], excluded: list[Excluded]) -> None:
    """Against the plainest way to say it: millisecond by millisecond."""
    expected: dict[int, tuple[str, Exclusion | None]] = {}
    for at in range(WINDOW.start_ms, WINDOW.end_ms):
        states = {i.state for i in intervals if i.start_ms <= at < i.end_ms} & {"up", "degraded", "down"}
        whys = {e.why for e in excluded if e.start_ms <= at < e.end_ms}
        state = states.pop() if len(states) == 1 else UNKNOWN
        expected[at] = (state, min(whys, key=list(Exclusion).index, default=None))
    pieces = timeline(intervals, WINDOW, excluded)
    assert {at: (p.state, p.excluded) for p in pieces for at in range(p.start_ms, p.end_ms)} == expected


@settings(max_examples=40, deadline=None)
@given(intervals_of, exclusions_of, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(intervals: list[Interval], excluded: list[Excluded], chance: random.Random) -> None:
    shuffled, also = intervals[:], excluded[:]
    chance.shuffle(shuffled)
    chance.shuffle(also)
    assert timeline(intervals, WINDOW, excluded) == timeline(shuffled, WINDOW, also)


@settings(max_examples=40, deadline=None)
@given(intervals_of, exclusions_of, an_exclusion)
def test_excluding_never_improves_beyond_faultless(
    intervals: list[Interval], excluded: list[Excluded], further: Excluded
) -> None:
    before = account(timeline(intervals, WINDOW, excluded), WINDOW)
    after = account(timeline(intervals, WINDOW, [*excluded, further]), WINDOW)
    for reckoning in (before, after):
        shares = (reckoning.lowest, reckoning.availability, reckoning.highest)
        known = [share for share in shares if share is not None]
        assert all(0 <= share <= 1 for share in known)
        assert known == sorted(known), "the unknown can only lie between"
    assert after.good_ms <= before.good_ms, "what is left out is nowhere counted as good"
    assert after.bad_ms <= before.bad_ms
    if before.bad_ms == after.bad_ms and before.availability is not None and after.availability is not None:
        assert after.availability <= before.availability, "leaving out good time does not help"


@settings(max_examples=40, deadline=None)
@given(intervals_of, exclusions_of)
def test_incidents_hold_all_bad_time(intervals: list[Interval], excluded: list[Excluded]) -> None:
    pieces = timeline(intervals, WINDOW, excluded)
    for bridge_ms in (0, 20, 1000):
        found = incidents(pieces, WINDOW, bridge_ms=bridge_ms)
        assert sum(i.counted_ms for i in found) == account(pieces, WINDOW).bad_ms
        assert all(i.duration_ms == i.counted_ms + i.excluded_ms + i.unknown_ms for i in found)
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(found))
        assert all(i.unknown_ms == 0 for i in found) or bridge_ms


def test_a_piece_is_not_cut_where_nothing_changes() -> None:
    twice = [told(0, 5 * HOUR, "up", ref="1.1"), told(0, 9 * HOUR, "up", ref="1.1")]
    assert timeline(twice, Window(start_ms=0, end_ms=9 * HOUR)) == (
        Piece(start_ms=0, end_ms=9 * HOUR, state="up", ref="1.1"),
    )
