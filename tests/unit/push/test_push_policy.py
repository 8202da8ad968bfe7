"""What a receiver's answers come to: whole stories of a queue, told request by request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edge_node.push.policy import (
    BEHIND_AFTER_S,
    CAP_S,
    DENIED_S,
    FAILURES,
    MOST_STEPS,
    PAUSE_S,
    RETRY_AFTER_CAP_S,
    YOUNG_S,
    Answer,
    Inquiry,
    Next,
    Outcome,
    Probe,
    Progress,
    Reply,
    Span,
    after,
    of_status,
    problems,
    question,
    still,
)

OLD_S = 2 * YOUNG_S


def a_reply(answer: Answer, **changes: object) -> Reply:
    return Reply(answer=answer, words="HTTP 999", **changes)  # type: ignore[arg-type]


def a_turn(progress: Progress, pending: Span, answer: Answer, *, age_s: float = OLD_S) -> Next:
    return after(progress, pending, question(progress, pending), a_reply(answer), age_s=age_s, jitter=0.0)


Judge = Callable[[Span | Probe], Answer]


def span_of(asked: Span | Probe) -> Span:
    return asked if isinstance(asked, Span) else Span(first=asked.step, last=asked.step)


class Queue:
    """Steps a minute apart, of which the newest is of this moment, and what became of them."""

    def __init__(self, steps: int) -> None:
        self.pending = Span(first=1, last=steps)
        self.ended = {outcome: list[int]() for outcome in Outcome}
        self.requests, self.waited_s = 0, 0.0
        self._progress = Progress()

    def drain(self, judge: Judge, *, requests: int = 400) -> None:
        now = self.pending.last
        for _ in range(requests):
            asked = question(self._progress, self.pending)
            age_s = 60.0 * (now - span_of(asked).first)
            reply = a_reply(judge(asked))
            follows = after(self._progress, self.pending, asked, reply, age_s=age_s, jitter=0.5)
            self._progress = follows.progress
            self.requests += 1
            self.waited_s += follows.wait_s
            if follows.done is not None:
                self.ended[follows.outcome] += range(self.pending.first, follows.done + 1)
                self.pending = replace(self.pending, first=follows.done + 1)
                if self.pending.steps == 0:
                    return
        raise AssertionError(f"{self.pending} after {requests} requests; {self._progress}")


def test_a_receiver_that_takes_everything_gets_it_in_order_and_soon() -> None:
    asked: list[Span | Probe] = []
    queue = Queue(100)
    queue.drain(lambda one: asked.append(one) or Answer.TAKEN)
    assert queue.ended[Outcome.SENT] == list(range(1, 101))
    assert [span_of(one).steps for one in asked] == [30, 30, 30, 10]


@pytest.mark.parametrize("answer", [Answer.REFUSED, Answer.FAILED])
@pytest.mark.parametrize("too_old", [1, 2, 60, 5000, 20_100])
def test_what_lies_before_the_receivers_window_is_skipped_and_nothing_else(answer: Answer, too_old: int) -> None:
    """A week of steps, found by halving: in some dozens of requests, not in one for each step."""
    queue = Queue(20_160)
    queue.drain(lambda asked: answer if span_of(asked).first <= too_old else Answer.TAKEN, requests=2000)
    assert queue.ended[Outcome.REFUSED] == list(range(1, too_old + 1))
    assert queue.ended[Outcome.SENT] == list(range(too_old + 1, 20_161))
    assert queue.requests < 60 + (20_160 - too_old) / MOST_STEPS


def test_a_receiver_that_takes_nothing_older_than_what_it_has_is_never_sent_a_newer_step_first() -> None:
    """Without an out-of-order window, the newest step would shut the door on all the others."""
    has = 0

    def judge(asked: Span | Probe) -> Answer:
        nonlocal has
        if span_of(asked).first <= 100:
            return Answer.REFUSED
        if isinstance(asked, Span):
            assert asked.first > has
            has = asked.last
        return Answer.TAKEN

    queue = Queue(160)
    queue.drain(judge)
    assert queue.ended[Outcome.SENT] == list(range(101, 161))


@pytest.mark.parametrize(
    "unwanted, answer",
    [
        *((unwanted, Answer.REFUSED) for unwanted in ({77}, {1}, {200}, {1, 2, 3}, {50, 60, 61, 199})),
        *((unwanted, Answer.FAILED) for unwanted in ({77}, {1, 2, 3})),
    ],
)
def test_a_step_that_is_not_wanted_though_its_time_is_costs_itself_alone(unwanted: set[int], answer: Answer) -> None:
    def judge(asked: Span | Probe) -> Answer:
        span = span_of(asked)
        holds = isinstance(asked, Span) and unwanted & set(range(span.first, span.last + 1))
        return answer if holds else Answer.TAKEN

    queue = Queue(200)
    queue.drain(judge)
    assert set(queue.ended[Outcome.REFUSED]) == unwanted
    assert set(queue.ended[Outcome.SENT]) == set(range(1, 201)) - unwanted


@pytest.mark.parametrize("answer", [answer for answer in Answer if answer is not Answer.TAKEN])
def test_a_receiver_that_takes_nothing_makes_us_wait_and_costs_nothing(answer: Answer) -> None:
    queue = Queue(500)
    with pytest.raises(AssertionError, match="after 80 requests"):
        queue.drain(lambda _: answer, requests=80)
    assert queue.pending == Span(first=1, last=500)
    assert queue.waited_s > 80 * CAP_S / 8


def test_an_error_over_young_samples_is_the_servers_own() -> None:
    progress, pending = Progress(), Span(first=1, last=500)
    for _ in range(3 * FAILURES):
        assert isinstance(question(progress, pending), Span), "nothing is asked that could prove nothing"
        progress = a_turn(progress, pending, Answer.FAILED, age_s=YOUNG_S - 1).progress


def test_a_server_that_fails_again_in_the_middle_of_an_inquiry_loses_nothing() -> None:
    """It took a sample of now in a good moment; halving then comes to times that lie too far back for nobody."""
    queue, calls = Queue(600), 0

    def judge(asked: Span | Probe) -> Answer:
        nonlocal calls
        calls += 1
        is_good = calls >= 60 or asked == Probe(step=600)
        return Answer.TAKEN if is_good else Answer.FAILED

    queue.drain(judge)
    assert queue.ended[Outcome.SENT] == list(range(1, 601))


def test_one_error_proves_nothing() -> None:
    pending = Span(first=1, last=500)
    progress = Progress(inquiry=Inquiry(of=1, refused=3, taken=4))
    for _ in range(FAILURES - 1):
        assert question(progress, pending) == Probe(step=3)
        follows = a_turn(progress, pending, Answer.FAILED)
        assert follows.done is None
        progress = follows.progress
    assert a_turn(progress, pending, Answer.FAILED).done == 3
    well = a_turn(progress, pending, Answer.TAKEN)
    assert well.done is None
    assert question(well.progress, pending) == Span(first=1, last=1), "it was the server: from the oldest again"


def test_silence_in_an_inquiry_ends_it() -> None:
    progress = Progress(inquiry=Inquiry(of=1, refused=1, taken=40))
    follows = a_turn(progress, Span(first=1, last=50), Answer.SILENT)
    assert follows.progress.inquiry is None
    assert follows.backs_off


def test_an_inquiry_about_what_has_expired_meanwhile_is_none() -> None:
    progress = Progress(inquiry=Inquiry(of=3, refused=3, taken=40))
    assert still(progress, Span(first=3, last=50)) is progress
    assert still(progress, Span(first=4, last=50)).inquiry is None


def test_a_long_silence_is_asked_about_with_little() -> None:
    """A thin line cannot carry a large request within its deadline."""
    progress, pending, sizes = Progress(), Span(first=1, last=500), []
    for _ in range(6):
        sizes.append(span_of(question(progress, pending)).steps)
        progress = a_turn(progress, pending, Answer.SILENT).progress
    assert sizes == [30, 15, 7, 3, 1, 1]
    assert a_turn(progress, pending, Answer.TAKEN).progress.most_steps == 2


def test_waits_grow_to_a_minute_and_are_drawn() -> None:
    progress, waits = Progress(), []
    for _ in range(8):
        follows = a_turn(progress, Span(first=1, last=1), Answer.BUSY)
        progress = follows.progress
        waits.append(follows.wait_s)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    drawn = after(progress, Span(first=1, last=1), Span(first=1, last=1), a_reply(Answer.BUSY), age_s=0, jitter=0.5)
    assert drawn.wait_s == 45
    taken = a_turn(progress, Span(first=1, last=1), Answer.TAKEN)
    assert (taken.wait_s, taken.progress.failures) == (PAUSE_S, 0)


@pytest.mark.parametrize("asked_s, waits_s", [(7.0, 7.0), (0.0, 0.5), (10 * RETRY_AFTER_CAP_S, RETRY_AFTER_CAP_S)])
def test_what_a_server_asks_for_is_kept_to_within_reason(asked_s: float, waits_s: float) -> None:
    one = Span(first=1, last=1)
    follows = after(Progress(), one, one, a_reply(Answer.BUSY, retry_after_s=asked_s), age_s=0, jitter=0.0)
    assert follows.wait_s == waits_s


def test_what_a_person_must_mend_is_asked_about_seldom() -> None:
    assert a_turn(Progress(), Span(first=1, last=9), Answer.DENIED).wait_s == DENIED_S
    assert a_turn(Progress(failures=20), Span(first=1, last=9), Answer.DENIED).wait_s >= DENIED_S


@pytest.mark.parametrize(
    "status, answer",
    [
        (200, Answer.TAKEN), (204, Answer.TAKEN), (400, Answer.REFUSED), (413, Answer.REFUSED), (422, Answer.REFUSED),
        (301, Answer.DENIED), (401, Answer.DENIED), (403, Answer.DENIED), (404, Answer.DENIED), (405, Answer.DENIED),
        (415, Answer.DENIED), (429, Answer.BUSY), (408, Answer.BUSY), (500, Answer.FAILED), (501, Answer.FAILED),
        (502, Answer.BUSY), (503, Answer.BUSY), (504, Answer.BUSY),
    ],
)  # fmt: skip
def test_what_a_status_says(status: int, answer: Answer) -> None:
    assert of_status(status).answer is answer


def test_only_a_busy_server_says_when_to_come_again() -> None:
    assert of_status(503, retry_after_s=9).retry_after_s == 9
    assert of_status(401, retry_after_s=9).retry_after_s is None


LONG_S = BEHIND_AFTER_S + 1


@pytest.mark.parametrize(
    "trouble, stuck_s, is_offline, codes",
    [
        pytest.param(None, 0, False, [], id="well"),
        pytest.param(Answer.SILENT, 60, False, [], id="a-minute-of-silence-is-none"),
        pytest.param(Answer.SILENT, LONG_S, False, ["remote-write-behind"], id="long"),
        pytest.param(None, LONG_S, False, ["remote-write-behind"], id="long-and-nobody-knows-why"),
        pytest.param(Answer.SILENT, 10 * LONG_S, True, [], id="while-no-line-is-up-it-is-nobodys-fault"),
        pytest.param(Answer.DENIED, 0, False, ["remote-write-refused"], id="our-secret-at-once"),
        pytest.param(Answer.DENIED, LONG_S, True, ["remote-write-refused"], id="our-secret-also-later"),
        pytest.param(Answer.REFUSED, 0, False, ["remote-write-refused"], id="it-takes-nothing"),
    ],
)
def test_what_status_says(trouble: Answer | None, stuck_s: float, is_offline: bool, codes: list[str]) -> None:
    reply = None if trouble is None else a_reply(trouble)
    found = problems(trouble=reply, stuck_s=stuck_s, is_offline=is_offline)
    assert [reason.code for reason in found] == codes
