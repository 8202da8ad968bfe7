from __future__ import annotations

import pytest

from edge_node.outbox import policy
from edge_node.outbox.model import Outcome, Result, State
from edge_node.outbox.policy import CLASSES, Class, next_step, of_status, rank

NOW_MS = 1_795_000_000_000


@pytest.mark.parametrize(
    "status, result, expected",
    [
        pytest.param(200, Result.DELIVERED, Class.DONE, id="taken"),
        pytest.param(204, Result.DELIVERED, Class.DONE, id="taken-without-a-word"),
        pytest.param(301, Result.REDIRECTED, Class.BATCH, id="moved-is-not-the-configured-address"),
        pytest.param(307, Result.REDIRECTED, Class.BATCH, id="moved-for-now"),
        pytest.param(400, Result.REJECTED, Class.ROW, id="this-one-is-wrong"),
        pytest.param(401, Result.FORBIDDEN, Class.BATCH, id="token-refused"),
        pytest.param(403, Result.FORBIDDEN, Class.BATCH, id="not-allowed"),
        pytest.param(404, Result.MISSING, Class.BATCH, id="nothing-there"),
        pytest.param(408, Result.BUSY, Class.TRANSIENT, id="we-were-slow"),
        pytest.param(409, Result.REJECTED, Class.ROW, id="against-what-they-have"),
        pytest.param(413, Result.TOO_LARGE, Class.BATCH, id="too-large"),
        pytest.param(418, Result.UNEXPECTED, Class.BATCH, id="what-nobody-foresaw-parks-nothing"),
        pytest.param(422, Result.REJECTED, Class.ROW, id="cannot-be-understood"),
        pytest.param(425, Result.BUSY, Class.TRANSIENT, id="too-early"),
        pytest.param(429, Result.BUSY, Class.TRANSIENT, id="too-many"),
        pytest.param(500, Result.SERVER_ERROR, Class.TRANSIENT, id="their-mistake"),
        pytest.param(503, Result.SERVER_ERROR, Class.TRANSIENT, id="not-now"),
        pytest.param(600, Result.UNEXPECTED, Class.BATCH, id="no-http"),
    ],
)
def test_what_a_status_means(status: int, result: Result, expected: Class) -> None:
    outcome = of_status(status)
    assert (outcome.result, CLASSES[outcome.result], outcome.words) == (result, expected, f"HTTP {status}")


@pytest.mark.parametrize(
    "result, attempts, jitter, retry_after_s, expected",
    [
        pytest.param(Result.DELIVERED, 1, 0.0, None, (State.SENT, None), id="done"),
        pytest.param(Result.SILENT, 1, 0.0, None, (State.WAITING, 1.0), id="first-wait-at-the-least"),
        pytest.param(Result.SILENT, 1, 0.999, None, (State.WAITING, 1.999), id="first-wait-at-the-most"),
        pytest.param(Result.UNREACHABLE, 4, 0.0, None, (State.WAITING, 8.0), id="longer-each-time"),
        pytest.param(Result.BROKEN, 10_000, 0.0, None, (State.WAITING, 150.0), id="for-ever-and-never-too-long"),
        pytest.param(Result.BUSY, 1, 0.0, 60.0, (State.WAITING, 60.0), id="as-long-as-they-ask"),
        pytest.param(Result.BUSY, 1, 0.0, 1e9, (State.WAITING, 3600.0), id="within-reason"),
        pytest.param(Result.SERVER_ERROR, 1, 0.0, 0.0, (State.WAITING, 1.0), id="asking-for-less-hurries-nothing"),
        pytest.param(Result.FORBIDDEN, 1, 0.0, None, None, id="nothing-becomes-of-a-message-when-all-are-refused"),
        pytest.param(Result.REJECTED, 1, 0.0, None, (State.DEAD, None), id="dead-at-once"),
        pytest.param(Result.DAMAGED, 1, 0.0, None, (State.DEAD, None), id="never-sent-as-something-else"),
    ],
)
def test_what_becomes_of_a_message(
    result: Result,
    attempts: int,
    jitter: float,
    retry_after_s: float | None,
    expected: tuple[State, float | None] | None,
) -> None:
    outcome = Outcome(result=result, retry_after_s=retry_after_s)
    step = next_step(outcome, attempts=attempts, now_ms=NOW_MS, jitter=jitter)
    found = step and (step.state, None if step.next_at is None else (step.next_at - NOW_MS) / 1000)
    assert found == expected


def test_every_result_has_a_class_and_every_failure_a_name() -> None:
    assert set(CLASSES) == set(Result)
    assert {result for result, found in CLASSES.items() if found is Class.TRANSIENT} >= policy.UNANSWERED


@pytest.mark.parametrize(
    "earlier, later",
    [
        ("public-health.card", "payment"),
        ("trace-code.sold", "encounter"),
        ("encounter", "statistics.day"),
        ("whatever-comes", "statistics"),
    ],
)
def test_the_drain_order(earlier: str, later: str) -> None:
    assert rank(earlier) < rank(later)
