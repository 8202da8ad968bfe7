"""What a registration may become, and how its number is spoken. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from edge_node.i18n import Text, text


class Status(StrEnum):
    """Where a registration stands."""

    WAITING = "waiting"
    WITH_DOCTOR = "with_doctor"
    DONE = "done"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    """First visit to a department, or a return."""

    FIRST = "first"
    RETURN = "return"


STATUS_NAMES: Mapping[Status, Text] = {
    Status.WAITING: text("Waiting"),
    Status.WITH_DOCTOR: text("With doctor"),
    Status.DONE: text("Done"),
    Status.CANCELLED: text("Cancelled"),
}
KIND_NAMES: Mapping[Kind, Text] = {Kind.FIRST: text("First visit"), Kind.RETURN: text("Return visit")}

# A patient who was called and did not come goes back to waiting. Done and cancelled are final: who comes again
# registers again.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.WAITING: frozenset({Status.WITH_DOCTOR, Status.CANCELLED}),
    Status.WITH_DOCTOR: frozenset({Status.DONE, Status.WAITING}),
    Status.DONE: frozenset(),
    Status.CANCELLED: frozenset(),
}


def may_become(now: Status, then: Status) -> bool:
    """May a registration go from one status to another?"""
    return then in TRANSITIONS[now]


def queue_label(mark: str, queue_no: int) -> str:
    """A queue number as it is called out and shown: 内 12, 儿 06."""
    return f"{mark} {queue_no:02d}"


def waited_minutes(registered_at: int, now: int) -> int:
    """Whole minutes of waiting; never negative, whatever the clock has done since."""
    return max(0, (now - registered_at) // 60_000)


# Triage in four levels: the first two are seen at once, whoever came before.
AHEAD_UP_TO = 2


def goes_ahead(level: int | None) -> bool:
    """Does somebody of this level of triage go before those who came earlier?"""
    return level is not None and level <= AHEAD_UP_TO


def urgency(level: int | None, status: Status, *, returns: bool = False) -> int:
    """By what the waiting are sorted before the order in which they came: level 1, level 2, who `returns` to their
    doctor on the same day, then all others alike.

    Not by levels 3 and 4: who is not in danger would else be overtaken the whole day. Who comes back with a result has
    waited once already, and takes minutes. Who waits no more has no turn.
    """
    if status is Status.WAITING and level is not None and goes_ahead(level):
        return level
    return AHEAD_UP_TO + (1 if returns and status is Status.WAITING else 2)
