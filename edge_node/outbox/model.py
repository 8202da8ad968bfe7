"""Messages, what comes of an attempt, and what is then done with the message. Values only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a message stands. Only a person moves it out of `dead`."""

    QUEUED = "queued"
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    BURIED = "buried"


class Act(StrEnum):
    """What a person can do with a dead letter."""

    REVIVE = "revive"
    BURY = "bury"


class Result(StrEnum):
    """What came of one attempt. A label of a metric: the set is closed."""

    DELIVERED = "delivered"
    # Nobody answered, or not to the end: it may have arrived, and is sent again under the same key.
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    BROKEN = "broken"
    BUSY = "busy"
    SERVER_ERROR = "server-error"
    # The upstream takes nothing of ours.
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    TOO_LARGE = "too-large"
    REDIRECTED = "redirected"
    UNTRUSTED = "untrusted"
    CREDENTIAL = "credential"
    UNEXPECTED = "unexpected"
    # It does not take this one.
    REJECTED = "rejected"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An upstream, and the topics that it is told about."""

    upstream: str
    topics: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing to tell one upstream. `id` is a ULID and the idempotency key; `seq` is the order.

    `body` is the JSON text as it was frozen when the message was put, `body_sha256` its digest then. Lowest `rank`
    first; the order of messages of one `key` is kept whatever their ranks.
    """

    seq: int
    id: str
    upstream: str
    topic: str
    key: str
    rank: int
    body: str
    body_sha256: bytes
    state: State = State.QUEUED
    attempts: int = 0
    put_at: int = 0
    tried_at: int | None = None
    next_at: int | None = None
    settled_at: int | None = None
    outcome: str = ""
    outcome_words: str = ""

    @property
    def is_whole(self) -> bool:
        """Is the body what was put?"""
        return digest(self.body) == self.body_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt. `words` are for a person, short, never the answer's text: that may name a patient."""

    result: Result
    words: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is to be written about one attempt; `next_at` for a waiting message."""

    seq: int
    state: State
    tried_at: int
    next_at: int | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What a person did with a message, who and why."""

    act: Act
    at: int
    by: str
    why: str


def digest(body: str) -> bytes:
    """SHA-256 of a body as it travels."""
    return hashlib.sha256(body.encode()).digest()
