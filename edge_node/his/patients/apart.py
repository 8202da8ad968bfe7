"""Two records that look alike and are of different people, since somebody has compared them and said so.

They are not offered as one person again; whoever wants to merges them all the same, and that ends the statement, as
does taking it back. It was said of records, and holds for the persons that these stand for. SQL stands here and in
`queries`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from edge_node.his.patients import queries
from edge_node.his.patients.desk import Desk
from edge_node.his.patients.queries import Patient
from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """What was said of a person and `other`. `at` is UTC milliseconds, `by` the name of who said it."""

    other: Patient
    at: int
    by: str


def of_person(conn: Connection, patient_id: str) -> list[Apart]:
    """The people who were said to be others than this one, each once; what was said last first."""
    mine = set(queries.records_of(conn, patient_id))
    rows = conn.execute(
        """
        SELECT one_id, other_id, at, staff.name AS by_name FROM patient_apart JOIN staff ON staff.id = patient_apart.by
        WHERE undone_at IS NULL AND (one_id IN (SELECT value FROM json_each(:ids))
                                     OR other_id IN (SELECT value FROM json_each(:ids)))
        ORDER BY patient_apart.id DESC
        """,
        {"ids": json.dumps(sorted(mine))},
    ).fetchall()
    found: dict[str, Apart] = {}
    for row in rows:
        others = {row["one_id"], row["other_id"]} - mine
        for other in filter(None, (queries.current(conn, one) for one in others)):
            found.setdefault(other.id, Apart(other=other, at=row["at"], by=row["by_name"]))
    return list(found.values())


def between(conn: Connection, one_id: str, other_id: str) -> Apart | None:
    """What was said of these two."""
    other = queries.current(conn, other_id)
    return next((said for said in of_person(conn, one_id) if other and said.other.id == other.id), None)


def say(conn: Connection, one_id: str, other_id: str, desk: Desk) -> bool:
    """Write down that two records are of different people; False when that is said already, or they are one."""
    one, other = queries.current(conn, one_id), queries.current(conn, other_id)
    if one is None or other is None or one.id == other.id or between(conn, one.id, other.id):
        return False
    first, second = sorted((one.id, other.id))
    conn.execute(
        "INSERT INTO patient_apart (one_id, other_id, at, by) VALUES (:one, :other, :at, :by)",
        {"one": first, "other": second, "at": desk.moment.at, "by": desk.staff_id},
    )
    return True


def take_back(conn: Connection, one_id: str, other_id: str, desk: Desk) -> bool:
    """End what was said of these two, by whichever of their records; False where nothing holds."""
    ended = conn.execute(
        """
        UPDATE patient_apart SET undone_at = :at, undone_by = :by
        WHERE undone_at IS NULL AND (
            (one_id IN (SELECT value FROM json_each(:ones)) AND other_id IN (SELECT value FROM json_each(:others)))
            OR (one_id IN (SELECT value FROM json_each(:others)) AND other_id IN (SELECT value FROM json_each(:ones))))
        """,
        {
            "at": desk.moment.at, "by": desk.staff_id, "ones": json.dumps(queries.records_of(conn, one_id)),
            "others": json.dumps(queries.records_of(conn, other_id)),
        },
    ).rowcount  # fmt: skip
    return bool(ended)
