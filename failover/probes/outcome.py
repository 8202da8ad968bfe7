"""What became of one question."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """A closed set: it labels a metric."""

    ANSWERED = "answered"
    LOST = "lost"  # no answer in time
    LATE = "late"  # an answer after all, to a question that was counted as lost or blind
    UNREACHABLE = "unreachable"  # the kernel, or a router, says that there is no way
    REFUSED = "refused"  # this machine's own rules do not let it out
    BLIND = "blind"  # not asked, or not listened to: it proves nothing


class Direction(StrEnum):
    """Which way something was lost, as the clinic sees it."""

    OUT = "out"  # on the way to the cloud
    BACK = "back"


# What the kernel says when a question cannot leave by this line: evidence, as silence is.
_EVIDENCE = {
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.UNREACHABLE,
    errno.EHOSTDOWN: Outcome.UNREACHABLE,
    errno.ENETDOWN: Outcome.UNREACHABLE,
    errno.ETIMEDOUT: Outcome.LOST,
    errno.ENODEV: Outcome.UNREACHABLE,
    errno.ENXIO: Outcome.UNREACHABLE,
    errno.EINVAL: Outcome.UNREACHABLE,  # a blackhole route
    errno.EACCES: Outcome.REFUSED,  # a prohibit route
    errno.EPERM: Outcome.REFUSED,  # a firewall rule of this machine
}


def outcome_of(error: OSError) -> Outcome:
    """What a failed question proves; one that failed for want of memory or descriptors proves nothing."""
    return _EVIDENCE.get(error.errno or 0, Outcome.BLIND)


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and what became of it. `rtt_s` is `None` without an answer.

    `direction`: the way on which it was lost, where an answer to a later question has told it; else not known.
    """

    asked_at: float
    line: str
    target: str
    outcome: Outcome
    rtt_s: float | None = None
    direction: Direction | None = None
