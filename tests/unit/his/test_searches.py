"""What was searched for: whose it is, and how long."""

from __future__ import annotations

from edge_node.his.staff.searches import KEPT_MS, MOST, Searches

LI = {"q": "单雅琴"}


def test_a_key_opens_what_was_typed_in_its_own_session_alone() -> None:
    searches = Searches()
    key = searches.keep("mine", "li", LI, now=1000)
    assert searches.of("mine", key, now=1000) == LI
    assert searches.of("other", key, now=1000) is None
    assert searches.of("mine", key + "x", now=1000) is None
    assert searches.of("mine", "", now=1000) is None


def test_a_key_says_nothing_and_none_is_like_another() -> None:
    searches = Searches()
    keys = {searches.keep("mine", "li", LI, now=1000) for _ in range(MOST)}
    assert len(keys) == MOST
    assert {len(key) for key in keys} == {22}


def test_it_is_kept_for_half_an_hour_whatever_the_clock_does() -> None:
    searches = Searches()
    key = searches.keep("mine", "li", LI, now=10 * KEPT_MS)
    assert searches.of("mine", key, now=11 * KEPT_MS) == LI
    assert searches.of("mine", key, now=11 * KEPT_MS + 1) is None
    assert searches.of("mine", key, now=9 * KEPT_MS - 1) is None
    searches.keep("other", "wang", LI, now=11 * KEPT_MS + 1)
    assert searches.of("mine", key, now=10 * KEPT_MS) is None, "the next search clears what is over"


def test_one_session_s_searches_push_out_its_own_oldest_alone() -> None:
    searches = Searches()
    other = searches.keep("other", "wang", LI, now=1)
    keys = [searches.keep("mine", "li", {"q": str(n)}, now=1) for n in range(MOST + 1)]
    assert searches.of("mine", keys[0], now=1) is None
    assert searches.of("mine", keys[1], now=1) == {"q": "1"}
    assert searches.of("mine", keys[-1], now=1) == {"q": str(MOST)}
    assert searches.of("other", other, now=1) == LI


def test_the_same_person_goes_on_in_the_next_session_and_nobody_else() -> None:
    searches = Searches()
    key = searches.keep("before", "li", LI, now=1)
    searches.hand_over("before", "after", "li")
    assert searches.of("after", key, now=1) == LI
    assert searches.of("before", key, now=1) is None
    searches.hand_over("after", "after", "li")
    assert searches.of("after", key, now=1) == LI, "a second click carries the same session on"
    searches.hand_over("after", "hers", "wang")
    assert searches.of("hers", key, now=1) is None
    assert searches.of("after", key, now=1) is None


def test_a_session_takes_its_searches_with_it() -> None:
    searches = Searches()
    key = searches.keep("mine", "li", LI, now=1)
    searches.end("mine")
    searches.end("never there")
    assert searches.of("mine", key, now=1) is None
