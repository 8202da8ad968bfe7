"""The search for the largest packet that passes: what is asked, when something is concluded, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.core import path_mtu
from failover.core.path_mtu import MISSES, SMALL, SMALLEST, TRY_LARGER_S, PathMtu, Phase, next_size

FULL = 1500
MOST_QUESTIONS = MISSES * 12  # three of the full size, then ten halvings of three at most


def asked_until_calm(path: PathMtu, passes: int, now: float = 0.0) -> tuple[PathMtu, list[int]]:
    """Ask until nothing is hurried any more; packets up to `passes` bytes pass."""
    sizes = []
    while True:
        sizes.append(path.size)
        assert len(sizes) <= MOST_QUESTIONS, sizes
        path = path_mtu.answered(path, path.size, now) if path.size <= passes else path_mtu.missed(path, now)
        if not path.is_hurried and path.missed in (0, MISSES):
            return path, sizes


@pytest.mark.parametrize(
    "good, bad, size",
    [(SMALL, 1500, SMALLEST), (576, 1500, 1038), (1399, 1401, 1400), (1400, 1401, None), (SMALL, 576, None)],
)
def test_next_size(good: int, bad: int, size: int | None) -> None:
    assert next_size(good, bad) == size


@settings(deadline=None)  # a loaded machine is no mistake of the search
@given(st.integers(SMALLEST, FULL - 1))
def test_the_search_finds_it_to_the_byte(passes: int) -> None:
    path, sizes = asked_until_calm(PathMtu(expected=FULL), passes)
    assert (path.limit, path.is_ok, path.passes) == (passes, False, passes)
    assert sizes[:MISSES] == [FULL] * MISSES and min(sizes) >= SMALLEST


def test_what_passes_is_well_and_stays_so() -> None:
    path, sizes = asked_until_calm(PathMtu(expected=FULL), FULL)
    assert sizes == [FULL] and path.is_ok is True and not path.is_hurried


def test_two_lost_in_a_row_are_forgiven() -> None:
    path = path_mtu.answered(PathMtu(expected=FULL), FULL, 0.0)
    for _ in range(5):
        path = path_mtu.answered(path_mtu.missed(path_mtu.missed(path, 0.0), 0.0), FULL, 0.0)
    assert path.is_ok is True and path.missed == 0


def test_what_never_passed_at_any_size_is_not_known() -> None:
    """A target that ignores large pings: TCP may pass all the same."""
    path, _ = asked_until_calm(PathMtu(expected=FULL), SMALL)
    assert path.is_ok is None and path.limit is None and path_mtu.blame(path, is_set=False) is None
    for _ in range(10):
        path = path_mtu.missed(path, 1.0)
        assert not path.is_hurried and path.size == FULL, "asked on, but not searched again for ten minutes"
    path = path_mtu.missed(path, TRY_LARGER_S)
    assert path.phase is Phase.SEARCH


def test_what_passed_once_and_now_not_even_the_smallest() -> None:
    well = path_mtu.answered(PathMtu(expected=FULL), FULL, 0.0)
    path, _ = asked_until_calm(well, SMALL)
    assert (path.is_ok, path.limit, path.passes) == (False, None, SMALL)
    reason = path_mtu.blame(path, is_set=True)
    assert reason is not None and reason.args == {"mtu": SMALL, "expected": FULL}, "no route's MTU helps"
    assert path_mtu.answered(path, FULL, 1.0).is_ok is True


def test_a_narrowed_line_is_watched_at_its_size_and_the_larger_one_tried_after_ten_minutes() -> None:
    path, _ = asked_until_calm(PathMtu(expected=FULL), 1400)
    path = path_mtu.answered(path_mtu.looked(path, TRY_LARGER_S - 1), 1400, TRY_LARGER_S - 1)
    assert path.size == 1400 and not path.is_hurried
    still = path_mtu.looked(path, TRY_LARGER_S)
    assert still.size == FULL and still.is_ok is False
    still, sizes = asked_until_calm(still, 1400, TRY_LARGER_S)
    assert still.limit == 1400 and min(sizes) > 1400
    wider, _ = asked_until_calm(path_mtu.looked(path, TRY_LARGER_S), 1450, TRY_LARGER_S)
    assert wider.limit == 1450
    healed, sizes = asked_until_calm(path_mtu.looked(path, TRY_LARGER_S), FULL, TRY_LARGER_S)
    assert (healed.limit, healed.is_ok, sizes) == (None, True, [FULL])
    narrower, _ = asked_until_calm(path, 1280)
    assert narrower.limit == 1280


def test_another_target_that_answers_acquits_the_line() -> None:
    path = PathMtu(expected=FULL, targets=3)
    for _ in range(MISSES):
        path = path_mtu.missed(path, 0.0)
    assert (path.phase, path.target) == (Phase.OTHERS, 1) and path.size == FULL
    for _ in range(MISSES):
        path = path_mtu.missed(path, 0.0)
    assert (path.phase, path.target) == (Phase.OTHERS, 2)
    well = path_mtu.answered(path, FULL, 0.0)
    assert (well.phase, well.target, well.is_ok) == (Phase.WATCH, 2, True), "it is asked from now on"
    for _ in range(MISSES):
        path = path_mtu.missed(path, 0.0)
    assert (path.phase, path.target) == (Phase.SEARCH, 0), "all are silent: the first one is searched with"


def test_a_router_s_word_is_tried_first_and_blames_nobody() -> None:
    path = path_mtu.told(PathMtu(expected=FULL), FULL, 1400, 0.0)
    assert path.size == 1400
    path = path_mtu.answered(path, 1400, 0.0)
    assert (path.limit, path.is_told, path.is_ok) == (1400, True, False)
    assert path_mtu.blame(path, is_set=False) is None, "whoever sends is told, too"
    shown = path_mtu.trouble("telecom", path, is_set=False)
    assert shown is not None and shown.args == {"line": "telecom", "mtu": 1400, "expected": FULL}
    wrong, _ = asked_until_calm(path_mtu.told(PathMtu(expected=FULL), FULL, 1400, 0.0), 1300)
    assert (wrong.limit, wrong.is_told) == (1300, False), "its word was not true"


@pytest.mark.parametrize("mtu", [0, 68, SMALLEST - 1, FULL, 9000])
def test_a_router_s_nonsense_is_a_question_without_an_answer(mtu: int) -> None:
    path = path_mtu.told(PathMtu(expected=FULL), FULL, mtu, 0.0)
    assert (path.missed, path.is_hurried) == (1, False)
    assert path_mtu.told(path, 1200, 1000, 0.0) == path, "and one about another question none at all"


def test_a_late_answer_counts_for_what_it_is() -> None:
    searching = replace(PathMtu(expected=FULL), phase=Phase.SEARCH, low=576, high=1038)
    assert path_mtu.answered(searching, 1200, 0.0).low == 1200
    assert path_mtu.answered(searching, FULL, 0.0).is_ok is True


def test_a_search_is_given_up_where_small_packets_are_lost_too() -> None:
    searching = replace(PathMtu(expected=FULL, limit=1400), phase=Phase.SEARCH, low=576, high=1038, missed=2)
    path = path_mtu.unproven(searching)
    assert (path.phase, path.missed, path.limit) == (Phase.WATCH, 0, 1400)
    watching = path_mtu.missed(PathMtu(expected=FULL), 0.0)
    assert path_mtu.unproven(watching) == watching


def test_blame_only_while_no_route_keeps_to_it() -> None:
    path, _ = asked_until_calm(PathMtu(expected=FULL), 1400)
    reason = path_mtu.blame(path, is_set=False)
    assert reason is not None and (reason.code, reason.args) == ("mtu", {"mtu": 1400, "expected": FULL})
    assert path_mtu.trouble("telecom", path, is_set=False) is None
    assert path_mtu.blame(path, is_set=True) is None
    shown = path_mtu.trouble("telecom", path, is_set=True)
    assert shown is not None and shown.code == "mtu-small"
    assert path_mtu.blame(None, is_set=False) is None and path_mtu.trouble("telecom", None, is_set=False) is None
