"""Measurings in his.db: each is a row of its own, none is ever changed, the newest counts.

SQL stands here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ulid import ULID

from edge_node.his.triage.rules import MEASURES, Level, Measured
from edge_node.store.connection import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """One measuring of a visit. `at` is UTC milliseconds, `by` the name of whoever measured."""

    id: str
    registration_id: str
    measured: Measured
    level: Level
    note: str
    at: int
    by: str


def newest(conn: Connection, registration_id: str) -> Triage | None:
    """The measuring of a visit that counts; None before the first. A doctor's note begins with it."""
    return newest_of(conn, [registration_id]).get(registration_id)


def said_today(conn: Connection, registration_id: str) -> Measured:
    """Of a visit with its returns on the same day, the newest word on each measure: who comes back with a result is not
    weighed again, and is as pregnant as in the morning."""
    rows = conn.execute(
        f"""
        {_TRIAGE} JOIN registration AS part ON part.id = triage.registration_id
        JOIN registration AS asked ON part.queue_date = asked.queue_date
            AND coalesce(part.follows, part.id) = coalesce(asked.follows, asked.id)
        WHERE asked.id = :id {_OLDEST_FIRST}
        """,
        {"id": registration_id},
    )
    found = Measured()
    for measured in (_triage(row).measured for row in rows):
        found = replace(found, **{name: said for name in MEASURES if (said := getattr(measured, name))})
        found = found if measured.pregnant is None else replace(found, pregnant=measured.pregnant)
    return found


def newest_of(conn: Connection, registration_ids: Iterable[str]) -> dict[str, Triage]:
    """The newest measuring of each of these visits that has one, by registration: one query, however many."""
    rows = conn.execute(
        f"{_TRIAGE} JOIN json_each(:ids) AS wanted ON wanted.value = triage.registration_id {_OLDEST_FIRST}",
        {"ids": json.dumps(list(registration_ids))},
    )
    return {row["registration_id"]: _triage(row) for row in rows}


def all_of(conn: Connection, registration_id: str) -> list[Triage]:
    """Every measuring of a visit, the newest first."""
    rows = conn.execute(f"{_TRIAGE} WHERE triage.registration_id = :id {_OLDEST_FIRST}", {"id": registration_id})
    return [_triage(row) for row in rows][::-1]


def insert(
    conn: Connection, registration_id: str, measured: Measured, *, level: Level, note: str, at: int, by: str
) -> str:
    """Keep a measuring; returns its id. `by` is the id of whoever measured."""
    triage_id = str(ULID.from_timestamp(at))
    columns = ("id", "registration_id", *MEASURES, "pregnant", "level", "note", "at", "by")
    conn.execute(
        f"INSERT INTO triage ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        {
            **{name: getattr(measured, name) for name in MEASURES}, "id": triage_id, "registration_id": registration_id,
            "pregnant": None if measured.pregnant is None else int(measured.pregnant), "level": int(level),
            "note": note, "at": at, "by": by,
        },
    )  # fmt: skip
    return triage_id


_TRIAGE = "SELECT triage.*, staff.name AS measured_by FROM triage JOIN staff ON staff.id = triage.by"
# Of two in one millisecond, the row that was written later counts.
_OLDEST_FIRST = "ORDER BY triage.at, triage.rowid"


def _triage(row: Row) -> Triage:
    pregnant = row["pregnant"]
    return Triage(
        id=row["id"],
        registration_id=row["registration_id"],
        measured=Measured(
            **{name: row[name] for name in MEASURES}, pregnant=None if pregnant is None else bool(pregnant)
        ),
        level=Level(row["level"]),
        note=row["note"],
        at=row["at"],
        by=row["measured_by"],
    )
