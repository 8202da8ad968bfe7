"""Stories of one upstream: how many messages may be under way, and when."""

from __future__ import annotations

import pytest

from edge_node.outbox.lane import BUSY_CAP_S, FAILURES, IN_FLIGHT, OFFLINE_S, PAUSED_S, SILENT_CAP_S, Lane
from edge_node.outbox.model import Outcome, Result
from tests.support.messages import AT, a_message

SILENT, DELIVERED = Outcome(result=Result.SILENT), Outcome(result=Result.DELIVERED)
REJECTED, BUSY = Outcome(result=Result.REJECTED), Outcome(result=Result.BUSY)
FORBIDDEN = Outcome(result=Result.FORBIDDEN, words="HTTP 401")


def a_lane(*outcomes: Outcome, now: float = 0.0) -> Lane:
    """A lane after these outcomes, all at one time."""
    lane = Lane("platform")
    for outcome in outcomes:
        tell(lane, outcome, now=now)
    return lane


def tell(lane: Lane, outcome: Outcome, *, now: float) -> None:
    message = a_message()
    lane.begin(message)
    lane.ended(message, outcome, now=now, now_ms=AT + round(now * 1000), jitter=0.999)


@pytest.mark.parametrize(
    "outcomes, room_now, asked_again_s",
    [
        pytest.param([], IN_FLIGHT, None, id="all-is-well"),
        pytest.param([SILENT], IN_FLIGHT, None, id="one-failure-is-an-accident"),
        pytest.param([SILENT, DELIVERED, SILENT, SILENT], IN_FLIGHT, None, id="failures-in-a-row-count"),
        pytest.param([SILENT] * FAILURES, 0, 1.0, id="three-in-a-row-are-none"),
        pytest.param([SILENT] * 99, 0, SILENT_CAP_S, id="a-silent-one-is-asked-often"),
        pytest.param([BUSY] * 99, 0, BUSY_CAP_S, id="a-busy-one-is-left-alone-longer"),
        pytest.param([SILENT] * 99 + [DELIVERED], IN_FLIGHT, None, id="one-delivery-and-all-go"),
        pytest.param([SILENT] * 99 + [REJECTED], IN_FLIGHT, None, id="who-rejects-a-message-is-there"),
        pytest.param([FORBIDDEN], 0, PAUSED_S, id="a-refusal-pauses-all"),
        pytest.param([FORBIDDEN, FORBIDDEN, REJECTED], IN_FLIGHT, None, id="a-pause-ends-with-an-answer-of-any-kind"),
        pytest.param(
            [Outcome(result=Result.BUSY, retry_after_s=60)], 0, 60.0, id="who-asks-for-a-minute-gets-it-at-once"
        ),
    ],
)
def test_room(outcomes: list[Outcome], room_now: int, asked_again_s: float | None) -> None:
    lane = a_lane(*outcomes)
    assert lane.room(0.0) == room_now
    assert lane.next_at(0.0) == (None if asked_again_s is None else pytest.approx(asked_again_s, abs=0.1))
    if asked_again_s is not None:
        assert lane.room(asked_again_s - 0.1) == 0 < lane.room(asked_again_s + 0.1)


def test_while_one_message_asks_no_other_starts() -> None:
    lane = a_lane(*[SILENT] * FAILURES)
    lane.begin(a_message(1))
    assert lane.room(99.0) == 0 and lane.next_at(0.0) is None


def test_offline_asks_seldom_and_a_delivery_is_the_truth() -> None:
    lane = a_lane()
    lane.mode(True, now=0.0, now_ms=AT)
    assert [lane.room(now) for now in (0.0, OFFLINE_S - 0.1, OFFLINE_S)] == [0, 0, 1]
    tell(lane, SILENT, now=OFFLINE_S)
    assert [lane.room(now) for now in (2 * OFFLINE_S - 0.1, 2 * OFFLINE_S)] == [0, 1]
    tell(lane, DELIVERED, now=2 * OFFLINE_S)
    assert lane.room(2 * OFFLINE_S) == IN_FLIGHT
    assert lane.recovered_ms == AT + 2000 * OFFLINE_S


def test_when_the_node_is_not_offline_any_more_one_message_asks_at_once_and_nobody_waits() -> None:
    lane = a_lane(*[SILENT] * 50)
    lane.mode(True, now=0.0, now_ms=AT)
    lane.mode(False, now=3.0, now_ms=AT + 3000)
    assert lane.room(3.0) == 1 and lane.recovered_ms == AT + 3000
    tell(lane, SILENT, now=3.0)
    assert lane.room(3.0) == 0 < lane.room(6.0), "the wait begins anew, with a short one"
    tell(lane, DELIVERED, now=6.0)
    assert lane.room(6.0) == IN_FLIGHT


def test_a_delivery_among_others_hurries_nobody() -> None:
    lane = a_lane(DELIVERED, SILENT, DELIVERED)
    assert lane.recovered_ms == 0


def test_it_says_why() -> None:
    paused = a_lane(FORBIDDEN).paused
    assert paused is not None
    assert paused.as_json() == {"code": "upstream-forbidden", "args": {"upstream": "platform", "words": "HTTP 401"}}
    lane = a_lane(*[SILENT] * FAILURES)
    assert lane.failing is not None and lane.failing.code == "upstream-silent"
    tell(lane, DELIVERED, now=1.0)
    assert lane.failing is None
