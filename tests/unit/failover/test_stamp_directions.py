"""Which direction loses, from two counters: told exactly where it can be known, and not told where it cannot."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.probes.directions import FEW_LOST, Directions, DirectionSummary, Heard
from failover.probes.outcome import Direction

EVERY_S, LOST_AFTER_S = 0.2, 1.0


class Path:
    """A line with a reflector at its end, in virtual time: question by question, what becomes of it is said."""

    def __init__(self, *, first_sequence: int = 0, counter: int = 0, keep_s: float = 3600.0) -> None:
        self.directions = Directions(keep_s, first_sequence=first_sequence)
        self.counter = counter
        self.now = 0.0
        self.truth: Counter[str] = Counter()

    def ask(
        self, fate: str = ".", *, out_s: float | None = None, back_s: float | None = None
    ) -> tuple[int, int] | None:
        """`.` answered, `o` lost on the way out, `b` lost on the way back. The answer as it would come, unless lost."""
        self.now += EVERY_S
        sequence = self.directions.asked(self.now)
        self.truth[fate] += 1
        if fate == "o":
            return None
        number, self.counter = self.counter, (self.counter + 1) % 2**32
        if fate == ".":
            self.directions.answered(sequence, number, out_s=out_s, back_s=back_s)
        return sequence, number

    def play(self, fates: str) -> None:
        for fate in fates:
            self.ask(fate)

    def seen(self, *, since: float = 0.0, clocks_agree: bool = False) -> DirectionSummary:
        return self.directions.summary(self.now + 10, since=since, lost_after_s=LOST_AFTER_S, clocks_agree=clocks_agree)


def counts(seen: DirectionSummary) -> tuple[int, int, int, int]:
    return seen.answered, seen.lost_out, seen.lost_back, seen.lost_unknown


@pytest.mark.parametrize(
    "fates, expected",
    [
        pytest.param("." * 10, (10, 0, 0, 0), id="nothing-is-lost"),
        pytest.param(".oo.o.", (3, 3, 0, 0), id="out-only"),
        pytest.param(".bb.b.", (3, 0, 3, 0), id="back-only"),
        pytest.param(".obob.", (2, 2, 2, 0), id="both-in-one-gap"),
        pytest.param("..oo", (2, 0, 0, 2), id="after-the-newest-answer-nobody-knows"),
        pytest.param("bo..", (2, 0, 0, 2), id="before-the-first-answer-nobody-knows"),
        pytest.param("oooo", (0, 0, 0, 4), id="no-answer-at-all"),
        pytest.param("", (0, 0, 0, 0), id="nothing-was-asked"),
    ],
)
def test_story(fates: str, expected: tuple[int, int, int, int]) -> None:
    path = Path()
    path.play(fates)
    assert counts(path.seen()) == expected


@given(st.text(alphabet="..ob", max_size=200))
def test_without_reordering_every_known_loss_is_told_exactly(fates: str) -> None:
    path = Path()
    path.play("." + fates + ".")
    seen = path.seen()
    assert counts(seen) == (path.truth["."], path.truth["o"], path.truth["b"], 0)
    assert seen.asked == sum(path.truth.values())


@given(st.text(alphabet="..ob", max_size=200), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_counters_may_wrap_around(fates: str, first_sequence: int, counter: int) -> None:
    """Also where they meet the end of 32 bits on the way: two of three begin right before it."""
    for first, begins in ((first_sequence, counter), (2**32 - 20, 2**32 - 10), (2**32 * 3 - 1, 2**32 - 1)):
        path = Path(first_sequence=first, counter=begins)
        path.play("." + fates + ".")
        assert counts(path.seen()) == (path.truth["."], path.truth["o"], path.truth["b"], 0)
        assert path.directions.restarts == 0


def test_the_ratios_are_of_what_went_that_way() -> None:
    path = Path()
    path.play("." + "o" * 4 + "b" * 2 + ".." + "b.")
    seen = path.seen()
    assert seen.loss_out_ratio == 4 / 11
    assert seen.loss_back_ratio == 3 / 7, "what was lost on the way out could not be lost on the way back"
    assert Path().seen().loss_out_ratio is None
    assert Path().seen().loss_back_ratio is None


def test_a_window_sees_its_own_losses_only() -> None:
    path = Path()
    path.play("." + "oo." * 20)
    half = path.now
    path.play("bb." * 20)
    seen = path.seen(since=half + EVERY_S / 2)
    assert counts(seen) == (20, 0, 40, 0)
    early = path.directions.summary(path.now, since=0.0, lost_after_s=LOST_AFTER_S)
    assert counts(early) == (41, 40, 40, 0)


def test_a_gap_that_began_before_the_window_is_shared_out() -> None:
    path = Path()
    path.play("." + "o" * 10 + ".")
    seen = path.seen(since=path.now - 5.5 * EVERY_S)
    assert counts(seen) == (1, 5, 0, 0)


def test_what_may_still_be_answered_is_not_counted() -> None:
    path = Path()
    path.play("...o")
    young = path.directions.summary(path.now + 0.5, since=0.0, lost_after_s=LOST_AFTER_S)
    assert counts(young) == (3, 0, 0, 0)
    assert counts(path.seen()) == (3, 0, 0, 1)


def test_an_answer_that_comes_late_is_an_answer() -> None:
    path = Path()
    path.play(".")
    late = path.ask("b")
    path.play("..")
    assert counts(path.seen()) == (3, 0, 1, 0)
    assert late is not None
    assert path.directions.answered(*late)[0] is Heard.ANSWERED
    assert counts(path.seen()) == (4, 0, 0, 0)


@pytest.mark.parametrize("order", [(1, 0), (2, 1, 0), (1, 0, 3, 2), (2, 0, 1, 3)], ids=str)
@pytest.mark.parametrize("where", ["out", "back"])
def test_overtaking_is_no_loss(order: tuple[int, ...], where: str) -> None:
    path = Path()
    path.play("...")
    asked = [path.directions.asked(path.now + place * EVERY_S) for place in range(len(order))]
    path.now += len(order) * EVERY_S
    numbers: dict[int, int] = {}
    for place in order if where == "out" else range(len(order)):
        numbers[place], path.counter = path.counter, path.counter + 1
    for place in order:
        assert path.directions.answered(asked[place], numbers[place])[0] is Heard.ANSWERED
    path.play("...")
    assert counts(path.seen()) == (6 + len(order), 0, 0, 0)
    assert path.directions.restarts == 0


def test_a_copy_is_one_answer() -> None:
    path = Path()
    answer = path.ask(".")
    assert answer is not None
    assert path.directions.answered(*answer) == (Heard.DUPLICATE, EVERY_S), "copied on the way back"
    # Copied on the way out: the reflector counts it, and answers twice.
    path.counter += 1
    assert path.directions.answered(answer[0], answer[1] + 1)[0] is Heard.DUPLICATE
    path.play("..o.")
    assert counts(path.seen()) == (4, 1, 0, 0)
    assert path.directions.restarts == 0


@pytest.mark.parametrize("answered_before", [1, 3, 9, 200])
def test_a_reflector_that_began_anew_blames_nobody(answered_before: int) -> None:
    path = Path()
    path.play("." * answered_before + "oo")
    path.counter = 0
    path.play("." + "ob.")
    assert counts(path.seen()) == (answered_before + 2, 1, 1, 2)
    assert path.directions.restarts == 1


def test_a_restart_is_seen_though_its_first_answers_are_lost() -> None:
    path = Path()
    path.play("." * 50)
    path.counter = 0
    path.play("bbb" + "..o.")
    assert counts(path.seen()) == (53, 1, 0, 3)
    assert path.directions.restarts == 1


def test_answers_to_what_was_not_asked_are_old() -> None:
    path = Path(keep_s=10.0)
    assert path.directions.answered(0, 0) == (Heard.OLD, None)
    path.play("." * 500)
    assert path.directions.answered(3, 3) == (Heard.OLD, None), "forgotten"
    assert path.directions.answered(500, 500) == (Heard.OLD, None), "not asked yet"
    assert path.directions.asked_at(499) == path.now
    assert path.directions.asked_at(3) is None
    assert counts(path.seen(since=path.now - 5.1)) == (26, 0, 0, 0)


def test_memory_is_bounded() -> None:
    path = Path(keep_s=30.0)
    path.play("..ob" * 5000)
    assert len(path.directions._asked) < 300
    assert len(path.directions._by_counter) < 300
    assert path.seen(since=path.now - 20).lost_out in (24, 25, 26)


def test_what_did_not_leave_takes_no_number() -> None:
    path = Path()
    path.play("..")
    taken = path.directions.asked(path.now + 0.1)
    path.directions.unasked()
    answer = path.ask(".")
    assert answer is not None and answer[0] == taken
    assert counts(path.seen()) == (3, 0, 0, 0)


def test_time_in_which_nobody_listened_blames_nobody() -> None:
    path = Path()
    path.play("..")
    began = path.now
    path.play("bbob")
    path.directions.blind(began, path.now + 0.1, LOST_AFTER_S)
    path.play("o..")
    seen = path.seen()
    assert counts(seen) == (4, 0, 0, 1), "what was lost beside it cannot be divided either"


@pytest.mark.parametrize("fate, expected", [("o", (3, 4, 0, 0)), ("b", (3, 0, 4, 0))])
def test_what_lies_beside_blind_time_is_told_where_it_is_certain(
    fate: str, expected: tuple[int, int, int, int]
) -> None:
    """The reflector counted none of the gap, or all of it: whether we listened or not does not matter then."""
    path = Path()
    path.play("." + fate * 3)
    began = path.now
    path.play(fate * 2)
    path.directions.blind(began + EVERY_S / 2 + LOST_AFTER_S, path.now + 0.1 * EVERY_S, LOST_AFTER_S)
    path.play(fate + "..")
    assert counts(path.seen()) == expected, "two that were open meanwhile are no loss"


def ways(path: Path) -> str:
    """What became of each question, as it is told of that question alone: `?` for what is not known."""
    account = path.directions
    told = {Direction.OUT: "o", Direction.BACK: "b", None: "?"}
    return "".join("." if q.counted is not None else told[account.lost_way(q.at)] for q in account._asked)


@pytest.mark.parametrize(
    "fates, told",
    [
        pytest.param(".o.b.", ".o.b.", id="each-alone"),
        pytest.param(".ooo.bb.", ".ooo.bb.", id="several-the-same-way"),
        pytest.param(".ob.", ".??.", id="both-in-one-gap-are-not-told-apart"),
        pytest.param(".oo", ".??", id="not-before-a-later-answer"),
        pytest.param("bo.", "??.", id="never-before-the-first-answer"),
    ],
)
def test_one_question_is_told_only_where_it_is_certain(fates: str, told: str) -> None:
    path = Path()
    path.play(fates)
    assert ways(path) == told


@given(st.text(alphabet="...ob", max_size=120))
def test_what_is_told_of_one_question_is_true(fates: str) -> None:
    path = Path()
    path.play("." + fates + ".")
    for is_so, told in zip("." + fates + ".", ways(path), strict=True):
        assert told in ("?", is_so)
    if "ob" not in fates and "bo" not in fates:
        assert "?" not in ways(path)


def test_what_is_told_of_one_question_survives_overtaking() -> None:
    """The two questions after a lost one change places on their way: the reflector numbers them the other way round."""
    path = Path()
    path.play("..")
    asked = [path.directions.asked(path.now + n * EVERY_S) for n in (1, 2, 3)]
    path.now += 3 * EVERY_S
    assert path.directions.answered(asked[2], 2)[0] is Heard.ANSWERED
    assert path.directions.answered(asked[1], 3)[0] is Heard.ANSWERED
    assert ways(path) == "..o.."


def test_another_socket_goes_on_with_the_account() -> None:
    """A session of its own: numbered from zero at both ends, and what was under way is lost nobody knows where."""
    path = Path()
    path.play("..o..b.oo")
    path.directions.renew()
    assert path.directions.asked_at(0) is None, "nothing was asked in this session yet"
    path.counter = 0
    answer = path.ask(".")
    assert answer == (0, 0), "a new session begins at zero"
    path.play("o.b.")
    assert counts(path.seen()) == (8, 2, 2, 2)
    assert ways(path) == "..?..?.??.o.b.", "of the session before only the sums are kept"
    assert path.directions.restarts == 0, "the reflector did not begin anew: we did"
    assert path.directions.answered(7, 3)[0] is Heard.OLD, "of the session before"


@pytest.mark.parametrize("answered_before", [0, 1, 3, 200])
def test_no_number_of_an_old_session_is_taken_for_one_of_the_new(answered_before: int) -> None:
    path = Path()
    path.play("." * answered_before)
    path.directions.renew()
    path.counter = 0
    path.play("b.o.")
    assert counts(path.seen()) == (answered_before + 2, 1, 0, 1)


@pytest.mark.parametrize(
    "out, back, unknown, way",
    [
        pytest.param(FEW_LOST, 0, 0, Direction.OUT, id="out"),
        pytest.param(0, FEW_LOST, 0, Direction.BACK, id="back"),
        pytest.param(FEW_LOST - 1, 0, 0, None, id="too-few"),
        pytest.param(8, 2, 0, Direction.OUT, id="four-fifths"),
        pytest.param(7, 3, 0, None, id="less-than-four-fifths"),
        pytest.param(6, 0, 6, None, id="half-of-it-is-not-known"),
        pytest.param(0, 0, 0, None, id="nothing-is-lost"),
    ],
)
def test_a_direction_is_named_where_it_is_clear(out: int, back: int, unknown: int, way: Direction | None) -> None:
    seen = DirectionSummary(asked=100, answered=80, lost_out=out, lost_back=back, lost_unknown=unknown)
    assert seen.towards is way


def test_jitter_needs_no_clock_that_agrees() -> None:
    path = Path()
    for turn in range(50):
        # Their clock is an hour ahead and gains 20 ppm; every second question waits 10 ms on its way out.
        ahead_s = 3600.0 + turn * EVERY_S * 20e-6
        path.ask(out_s=0.02 + 0.01 * (turn % 2) + ahead_s, back_s=0.02 - ahead_s)
    seen = path.seen()
    assert seen.jitter_out_s == pytest.approx(0.01, rel=0.01)
    assert seen.jitter_back_s == pytest.approx(0.0, abs=1e-5)
    assert seen.delay_out_s is None, "nobody said that the clocks agree"


def test_a_clock_that_is_set_is_no_jitter() -> None:
    path = Path()
    for turn in range(50):
        ahead_s = 0.0 if turn < 25 else 2.5
        path.ask(out_s=0.02 + ahead_s, back_s=0.02 - ahead_s)
    assert path.seen().jitter_out_s == pytest.approx(0.0, abs=1e-9)


def test_one_way_delay_where_the_clocks_agree() -> None:
    path = Path()
    for _ in range(9):
        path.ask(out_s=0.030, back_s=0.012)
    path.ask(out_s=None, back_s=None)
    seen = path.seen(clocks_agree=True)
    assert (seen.delay_out_s, seen.delay_back_s) == (0.030, 0.012)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_whatever_happens_the_sums_are_right(seed: int) -> None:
    """Loss, copies, overtaking, restarts and blind time together: every question is accounted for once."""
    path, draw = Path(keep_s=60.0), random.Random(seed).random
    waiting: list[tuple[float, int, int]] = []
    for turn in range(300):
        path.now += EVERY_S
        if draw() < 0.01:
            path.counter = 0
        if draw() < 0.02:
            path.directions.blind(path.now - 2.0, path.now, LOST_AFTER_S)
        sequence = path.directions.asked(path.now)
        for _ in range(2 if draw() < 0.05 else 1):
            if draw() > 0.1:
                number, path.counter = path.counter, path.counter + 1
                if draw() > 0.1:
                    waiting.append((path.now + draw(), sequence, number))
        waiting.sort()
        while waiting and waiting[0][0] <= path.now:
            _, sequence, number = waiting.pop(0)
            path.directions.answered(sequence, number)
        if turn % 10:
            continue
        seen = path.directions.summary(path.now, since=path.now - 30, lost_after_s=LOST_AFTER_S)
        assert seen.asked == seen.answered + seen.lost_out + seen.lost_back + seen.lost_unknown <= 151
        assert min(counts(seen)) >= 0
