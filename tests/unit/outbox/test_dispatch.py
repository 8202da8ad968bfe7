from __future__ import annotations

from dataclasses import replace

import pytest

from edge_node.base.instruments import Counter
from edge_node.outbox.dispatch import SETTLE_EVERY_S, SETTLE_ROWS, UNWRITTEN, Dispatch
from edge_node.outbox.lane import FAILURES, IN_FLIGHT
from edge_node.outbox.model import Message, Outcome, Result
from edge_node.outbox.pace import BURST, MESSAGES_PER_S, STEP
from tests.support.messages import AT, a_message

DELIVERED, SILENT, REJECTED = (
    Outcome(result=result) for result in (Result.DELIVERED, Result.SILENT, Result.REJECTED)
)  # fmt: skip


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def dispatch(counter: Counter) -> Dispatch:
    return Dispatch(["platform"], attempts=counter)


def messages(count: int, *, first: int = 1) -> list[Message]:
    return [a_message(seq, key=f"p{seq}") for seq in range(first, first + count)]


def end(dispatch: Dispatch, message: Message, outcome: Outcome, now: float = 0.0) -> None:
    dispatch.ended(message, outcome, now=now, now_ms=AT, jitter=0.5)


def test_no_more_start_than_may_be_under_way_and_the_rest_follows(dispatch: Dispatch) -> None:
    dispatch.offer("platform", messages(IN_FLIGHT + 2))
    started = dispatch.start(0.0)
    assert [message.seq for message in started] == [*range(1, IN_FLIGHT + 1)]
    assert dispatch.start(0.0) == [] == dispatch.questions(0.0)
    end(dispatch, started[0], DELIVERED)
    assert [message.seq for message in dispatch.start(1.0)] == [IN_FLIGHT + 1]


def test_a_drain_keeps_to_its_pace_whatever_the_receiver_can(dispatch: Dispatch) -> None:
    """A receiver next door answers at once, and the pages need the same cores."""
    dispatch.offer("platform", messages(1000))
    starts = 0
    for tick in range(2001):
        now = tick / 1000
        for message in dispatch.start(now):
            starts += 1
            end(dispatch, message, DELIVERED, now=now)
        dispatch.written(dispatch.batch(now), now)
        wake_at = dispatch.wake_at(now)
        assert wake_at is not None and wake_at <= now + STEP / MESSAGES_PER_S + 1e-9, "nobody forgets the rest"
    assert starts == pytest.approx(2 * MESSAGES_PER_S + BURST, abs=2)


def test_upstreams_take_turns(counter: Counter) -> None:
    dispatch = Dispatch(["platform", "bureau"], attempts=counter)
    dispatch.offer("platform", messages(20))
    dispatch.offer("bureau", [replace(message, upstream="bureau") for message in messages(20, first=50)])
    assert [message.upstream for message in dispatch.start(0.0)] == ["platform", "bureau"] * (int(BURST) // 2)


def test_the_table_is_asked_for_what_is_not_in_hand(dispatch: Dispatch) -> None:
    dispatch.offer("platform", messages(3))
    one, two, _ = dispatch.start(0.0)
    end(dispatch, one, DELIVERED)
    end(dispatch, two, REJECTED)
    (question,) = dispatch.questions(0.0)
    assert (question.passed, sorted(question.held), question.any_time) == ((1,), [2, 3], False)
    dispatch.written(dispatch.batch(0.0), 0.0)
    (question,) = dispatch.questions(0.0)
    assert (question.passed, question.held) == ((), (3,))


def test_outcomes_are_written_together_and_the_lock_is_left_alone_between(dispatch: Dispatch) -> None:
    dispatch.offer("platform", messages(3))
    one, two, three = dispatch.start(0.0)
    assert dispatch.settle_at() is None and dispatch.batch(0.0) == []
    end(dispatch, one, DELIVERED, now=5.0)
    batch = dispatch.batch(5.0)
    assert [settlement.seq for settlement in batch] == [1]
    end(dispatch, two, DELIVERED, now=5.01)
    dispatch.written(batch, 5.02)
    end(dispatch, three, DELIVERED, now=5.05)
    assert dispatch.batch(5.02 + SETTLE_EVERY_S - 0.001) == []
    assert [settlement.seq for settlement in dispatch.batch(5.02 + SETTLE_EVERY_S)] == [2, 3]


def test_what_could_not_be_written_is_tried_again_and_not_at_once(dispatch: Dispatch) -> None:
    dispatch.offer("platform", messages(1))
    end(dispatch, dispatch.start(0.0)[0], DELIVERED)
    assert len(dispatch.batch(0.0)) == 1
    assert dispatch.batch(0.0) == [] and dispatch.settle_at() == SETTLE_EVERY_S
    assert len(dispatch.batch(SETTLE_EVERY_S)) == 1
    assert len(dispatch.last_batch()) == 1


def test_a_transaction_stays_short_and_nothing_begins_while_too_much_is_unwritten(dispatch: Dispatch) -> None:
    for first in range(1, UNWRITTEN, IN_FLIGHT):
        dispatch.offer("platform", messages(IN_FLIGHT, first=first))
        for message in dispatch.start(float(first)):
            end(dispatch, message, DELIVERED)
    assert dispatch.questions(0.0) == []
    batch = dispatch.batch(0.0)
    assert len(batch) == SETTLE_ROWS
    dispatch.written(batch, 0.0)
    assert len(dispatch.questions(0.0)) == 1


def test_an_upstream_that_fails_is_asked_with_what_waited_longest(dispatch: Dispatch) -> None:
    dispatch.offer("platform", messages(IN_FLIGHT + 3))
    started = dispatch.start(0.0)
    for message in started[: FAILURES - 1]:
        end(dispatch, message, SILENT)
    dispatch.offer("platform", messages(5, first=90))
    for message in started[FAILURES - 1 :]:
        end(dispatch, message, SILENT)
    assert dispatch.start(99.0) == [], "what was read for the quick pace is not in the order of the slow one"
    (question,) = dispatch.questions(99.0)
    assert (question.limit, question.any_time) == (1, True)


def test_the_mode_is_heard_when_it_changes(dispatch: Dispatch) -> None:
    dispatch.mode(True, now=0.0, now_ms=AT)
    assert dispatch.questions(0.0) == []
    dispatch.mode(True, now=9.0, now_ms=AT)
    assert len(dispatch.questions(10.0)) == 1, "hearing it again delays nothing"
    dispatch.mode(False, now=3.0, now_ms=AT)
    assert len(dispatch.questions(3.0)) == 1


def test_attempts_are_counted_by_upstream_and_result(dispatch: Dispatch, counter: Counter) -> None:
    dispatch.offer("platform", messages(2))
    for message, outcome in zip(dispatch.start(0.0), (DELIVERED, SILENT), strict=True):
        end(dispatch, message, outcome)
    assert [(sample["labels"], sample["value"]) for sample in counter.samples()] == [
        (["platform", "delivered"], 1),
        (["platform", "silent"], 1),
    ]
    assert dispatch.delivered_at == {"platform": AT}
