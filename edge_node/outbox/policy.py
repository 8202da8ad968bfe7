"""What an attempt means and what comes next. Pure: outcomes, times and the draw of the lot are arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from edge_node.base.retry import backoff_s
from edge_node.outbox.model import Outcome, Result, State


class Class(StrEnum):
    """Whose fault an outcome is, and therefore who waits: nobody, this message, all of its upstream, its key."""

    DONE = "done"
    TRANSIENT = "transient"
    BATCH = "batch"
    ROW = "row"


CLASSES: Mapping[Result, Class] = {
    Result.DELIVERED: Class.DONE,
    Result.UNREACHABLE: Class.TRANSIENT,
    Result.SILENT: Class.TRANSIENT,
    Result.BROKEN: Class.TRANSIENT,
    Result.BUSY: Class.TRANSIENT,
    Result.SERVER_ERROR: Class.TRANSIENT,
    Result.FORBIDDEN: Class.BATCH,
    Result.MISSING: Class.BATCH,
    Result.TOO_LARGE: Class.BATCH,
    Result.REDIRECTED: Class.BATCH,
    Result.UNTRUSTED: Class.BATCH,
    Result.CREDENTIAL: Class.BATCH,
    Result.UNEXPECTED: Class.BATCH,
    Result.REJECTED: Class.ROW,
    Result.DAMAGED: Class.ROW,
}
# Nobody took the message, so to ask again soon costs the other side nothing.
UNANSWERED = frozenset({Result.UNREACHABLE, Result.SILENT, Result.BROKEN})

# A message waits from two seconds to five minutes; many nodes that lost one server do not all return together.
BASE_S, CAP_S = 2.0, 300.0
# What a server asks for is kept to, within reason.
RETRY_AFTER_CAP_S = 3600.0

# The drain order after an outage, by the first word of a topic: duties with a deadline, money and trace codes, clinical
# work (everything not named here), figures.
PUBLIC_HEALTH, MONEY, CLINICAL, STATISTICS = range(4)
RANKS: Mapping[str, int] = {
    "public-health": PUBLIC_HEALTH,
    "infectious-report": PUBLIC_HEALTH,
    "payment": MONEY,
    "invoice": MONEY,
    "receipt": MONEY,
    "settlement": MONEY,
    "trace-code": MONEY,
    "statistics": STATISTICS,
}

_STATUSES: Mapping[int, Result] = {
    400: Result.REJECTED,
    401: Result.FORBIDDEN,
    403: Result.FORBIDDEN,
    404: Result.MISSING,
    408: Result.BUSY,
    409: Result.REJECTED,
    410: Result.MISSING,
    413: Result.TOO_LARGE,
    422: Result.REJECTED,
    425: Result.BUSY,
    429: Result.BUSY,
}


def rank(topic: str) -> int:
    """The place of a topic in the drain order, lowest first."""
    return RANKS.get(topic.partition(".")[0], CLINICAL)


def of_status(status: int, *, retry_after_s: float | None = None) -> Outcome:
    """What an HTTP status says. One that is not foreseen parks nothing: it pauses the upstream until somebody looks."""
    words = f"HTTP {status}"
    if 200 <= status < 300:
        return Outcome(result=Result.DELIVERED, words=words)
    if 300 <= status < 400:
        return Outcome(result=Result.REDIRECTED, words=words)
    if 500 <= status < 600:
        return Outcome(result=Result.SERVER_ERROR, words=words, retry_after_s=retry_after_s)
    result = _STATUSES.get(status, Result.UNEXPECTED)
    return Outcome(result=result, words=words, retry_after_s=retry_after_s if result is Result.BUSY else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What becomes of a message: its new state, and for a waiting one when it is due."""

    state: State
    next_at: int | None = None


def next_step(outcome: Outcome, *, attempts: int, now_ms: int, jitter: float) -> Step | None:
    """What becomes of a message after an attempt, `attempts` counting this one; None when it stays as it was.

    `jitter` in [0, 1) is drawn by the caller. A transient failure is tried again for ever.
    """
    match CLASSES[outcome.result]:
        case Class.DONE:
            return Step(state=State.SENT)
        case Class.TRANSIENT:
            wait_s = backoff_s(max(1, attempts), base_s=BASE_S, cap_s=CAP_S, jitter=jitter)
            if outcome.retry_after_s is not None:
                wait_s = max(wait_s, min(outcome.retry_after_s, RETRY_AFTER_CAP_S))
            return Step(state=State.WAITING, next_at=now_ms + round(wait_s * 1000))
        case Class.BATCH:
            return None
        case Class.ROW:
            return Step(state=State.DEAD)
        case never:
            assert_never(never)
