"""Numbers that people read aloud: medical record and visit numbers.

`XC42A-260000001` + check digit: the clinic's code, the letter of the epoch, the year, a counter of seven digits, and a
Damm check digit that finds every wrong digit and every two that changed places. The letter makes a number of a restored
machine differ from one that the lost machine may have printed in its last seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from stdnum import damm

from edge_node.store.connection import Connection

# What is counted, and the mark before the year that tells its numbers apart; record numbers are the plain ones.
MARKS: Mapping[str, str] = {"mrn": "", "visit": "V", "prescription": "R"}
_SEQUENCE_DIGITS = 7
# More than a clinic calls in a day.
QUEUE_JUMP = 500
_FORM = re.compile(r"[0-9A-Z]{2,4}[A-Z]+-[A-Z]?(\d{10})")


def take(conn: Connection, name: str, *, node_code: str, epoch: int, year: int) -> str:
    """The next number of a kind, within the caller's transaction: undone with it, so that none is lost or given twice.

    `name` is a key of MARKS. Raises KeyError for another, OverflowError after ten million in a year.
    """
    mark = MARKS[name]
    (sequence,) = conn.execute(
        "INSERT INTO sequence_block (name, epoch, next) VALUES (:name, :epoch, 2) "
        "ON CONFLICT (name, epoch) DO UPDATE SET next = next + 1 RETURNING next - 1",
        {"name": f"{name}-{year}", "epoch": epoch},
    ).fetchone()
    if sequence >= 10**_SEQUENCE_DIGITS:
        raise OverflowError(f"no {name} number is left in {year}")
    digits = f"{year % 100:02}{sequence:0{_SEQUENCE_DIGITS}}"
    return f"{node_code}{epoch_letter(epoch)}-{mark}{digits}{damm.calc_check_digit(digits)}"


def skip_queue_numbers(conn: Connection, *, day: date, epoch: int) -> int:
    """Begin a day's queue numbers beyond all that a machine before this one may have called; within a transaction.

    A queue number has no letter of the epoch, and is read from paper on the same day. Returns the number before the
    next one; a second call for the same epoch changes nothing.
    """
    (highest,) = conn.execute(
        "SELECT coalesce(max(queue_no), 0) FROM registration WHERE queue_date = :day", {"day": day.isoformat()}
    ).fetchone()
    floor = (highest // QUEUE_JUMP + 1) * QUEUE_JUMP
    conn.execute(
        "INSERT INTO sequence_block (name, epoch, next) VALUES (:name, :epoch, :floor) ON CONFLICT DO NOTHING",
        {"name": queue_floor(day), "epoch": epoch, "floor": floor},
    )
    return int(floor)


def queue_floor(day: date) -> str:
    """The name of the row that says beyond which number a day's queue goes on."""
    return f"queue-{day.isoformat()}"


def is_number(text: str) -> bool:
    """Has it the form of one of our numbers, of this clinic or another, and the right check digit?"""
    match = _FORM.fullmatch(text)
    return match is not None and bool(damm.is_valid(match[1]))


def epoch_letter(epoch: int) -> str:
    """A for epoch 1, Z for 26, AA for 27."""
    letters = ""
    while epoch > 0:
        epoch, rest = divmod(epoch - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
