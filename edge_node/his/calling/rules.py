"""What the screen in the waiting room says: who is called where, who is next, and how little of a name. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_node.his.reception.queries import Department
from edge_node.his.reception.rules import Status, queue_label, urgency
from edge_node.i18n import Text, text

# Over the door of a room stands no more than this.
ROOM_MAX = 12
# As many as are read at one look; more would make the letters smaller.
CALLS_SHOWN = 4
NEXT_SHOWN = 4
# For so long a call is marked as new.
NEW_FOR_MS = 60_000


class Shows(StrEnum):
    """How much the clinic lets the screen say; the value of the setting."""

    OFF = "off"
    NUMBERS = "numbers"
    NAMES = "names"


SHOWS_NAMES: Mapping[Shows, Text] = {
    Shows.OFF: text("off"),
    Shows.NUMBERS: text("numbers only"),
    Shows.NAMES: text("numbers and masked names"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One registration of today, in the order of the rows. `called_at` None: not called yet; UTC milliseconds.

    `doctor_id` and `doctor` are of whoever called.
    """

    department_id: str
    queue_no: int
    name: str
    status: Status
    level: int | None
    returns: bool
    called_at: int | None
    room: str
    doctor_id: str | None
    doctor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Somebody who is asked in. `name` is masked, and empty where only numbers are shown; `where` is a room, else the
    doctor's name."""

    number: str
    name: str
    where: str
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One department of the screen. `missed` were called and did not come: their turn is after all others."""

    department: Department
    calls: Sequence[Call]
    next: Sequence[Call]
    more: int
    missed: Sequence[str]


def mask_name(name: str) -> str:
    """As little of a name as its owner recognises: 张*, 单*琴. One sign stands for however many are left out."""
    signs = _signs(name.strip())
    return f"{signs[0]}*{signs[-1] if len(signs) > 2 else ''}" if signs else "*"


def _signs(words: str) -> list[str]:
    """Characters with the marks that belong to them; what nobody sees is left out."""
    found: list[str] = []
    for char in words:
        kind = unicodedata.category(char)
        if kind.startswith("M") and found:
            found[-1] += char
        elif not kind.startswith(("C", "Z", "M")):
            found.append(char)
    return found


def parse_room(typed: str) -> str | Text:
    """A room as a doctor types it, or what is wrong with it; "" is none."""
    chosen = " ".join(unicodedata.normalize("NFC", typed[: 10 * ROOM_MAX]).split())
    if len(chosen) > ROOM_MAX:
        return text("Too long; %(most)d characters at most", most=ROOM_MAX)
    if not chosen.isprintable():
        return text("Write it with letters and digits, such as 3")
    return chosen


def board(departments: Sequence[Department], waiting: Iterable[Waiting], *, shows: Shows, now: int) -> list[Row]:
    """The rows of the screen, in the clinic's order; departments where nobody is called or waits are left out.

    Of each room the newest call; the next in the order in which they will be called.
    """
    everybody = list(waiting)
    rows = []
    for department in departments:
        here = [one for one in everybody if one.department_id == department.id]
        fresh = sorted(
            (one for one in here if one.status is Status.WAITING and one.called_at is None),
            key=lambda one: urgency(one.level, one.status, returns=one.returns),
        )
        shown = [_call(department, one, shows, now) for one in fresh[:NEXT_SHOWN]]
        calls = [_call(department, one, shows, now) for one in _newest_calls(here)]
        missed = [
            _number(department, one) for one in here if one.status is Status.WAITING and one.called_at is not None
        ]
        if calls or shown or missed:
            rows.append(
                Row(department=department, calls=calls, next=shown, more=len(fresh) - len(shown), missed=missed)
            )
    return rows


def _newest_calls(here: Sequence[Waiting]) -> list[Waiting]:
    """Those who are with a doctor: of each room, or of each doctor without one, whoever was called last."""
    newest: dict[str | None, Waiting] = {}
    for one in sorted(here, key=lambda one: one.called_at or 0):
        if one.status is Status.WITH_DOCTOR:
            newest[one.room or one.doctor_id] = one
    return sorted(newest.values(), key=lambda one: one.called_at or 0, reverse=True)[:CALLS_SHOWN]


def _number(department: Department, one: Waiting) -> str:
    return queue_label(department.mark, one.queue_no)


def _call(department: Department, one: Waiting, shows: Shows, now: int) -> Call:
    return Call(
        number=_number(department, one),
        name=mask_name(one.name) if shows is Shows.NAMES else "",
        where=one.room or one.doctor,
        is_new=one.called_at is not None and 0 <= now - one.called_at < NEW_FOR_MS,
    )
