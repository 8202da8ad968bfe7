"""What a person must not have: recorded, ended with a reason, never deleted; and whether anybody has asked.

It has three faces and no fourth: known, none known (somebody asked), not asked. Records that were merged into one are
read with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ulid import ULID

from edge_node.his.patients.allergy_forms import Written
from edge_node.his.patients.desk import Desk
from edge_node.store.connection import Connection, Row

# As many as a browser shows while somebody types; groups come first, then what most drugs have in them.
SUBSTANCES_MAX = 300


class Face(StrEnum):
    """What is known of a person's allergies; nothing is ever the same as none."""

    KNOWN = "known"
    NONE = "none"
    UNASKED = "unasked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allergy:
    """One of a person's allergies. `since` is a year, a month or a day in ISO form, or empty; times are UTC ms."""

    id: str
    substance: str
    reaction: str
    since: str
    recorded_at: int
    recorded_by: str
    ended_at: int | None
    ended_by: str | None
    end_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """What a list or a header shows of one person: what is known and not ended, and when somebody last asked."""

    known: tuple[Allergy, ...] = ()
    asked_at: int | None = None

    @property
    def face(self) -> Face:
        """Which of the three."""
        if self.known:
            return Face.KNOWN
        return Face.UNASKED if self.asked_at is None else Face.NONE


class AlreadyRecorded(Exception):
    """Nothing was written: this substance is on record and not ended."""


class StillAllergic(Exception):
    """Nothing was written: "none known" was said of somebody who has allergies on record."""


def of_patient(conn: Connection, patient_id: str) -> Faces:
    """The face of one person."""
    return of_patients(conn, [patient_id])[patient_id]


def of_patients(conn: Connection, patient_ids: Iterable[str]) -> dict[str, Faces]:
    """The faces of many people at once, by their ids: two queries, however many. Somebody unknown is unasked."""
    ids = list(dict.fromkeys(patient_ids))
    wanted = {"ids": json.dumps(ids)}
    asked: dict[str, int | None] = {
        row["person"]: row["asked_at"]
        for row in conn.execute(
            f"{_PEOPLE} SELECT person, max(allergies_asked_at) AS asked_at FROM people "
            "JOIN patient ON patient.id = record GROUP BY person",
            wanted,
        )
    }
    known: dict[str, list[Allergy]] = {}
    for row in conn.execute(f"{_ALLERGIES} WHERE allergy.ended_at IS NULL ORDER BY allergy.rowid", wanted):
        known.setdefault(row["person"], []).append(_allergy(row))
    return {id_: Faces(known=tuple(known.get(id_, ())), asked_at=asked.get(id_)) for id_ in ids}


def all_of(conn: Connection, patient_id: str) -> list[Allergy]:
    """Every allergy that was ever recorded of a person: those that hold, then those that were ended."""
    rows = conn.execute(
        f"{_ALLERGIES} ORDER BY allergy.ended_at IS NOT NULL, allergy.rowid", {"ids": json.dumps([patient_id])}
    )
    return [_allergy(row) for row in rows]


def substances(conn: Connection) -> list[str]:
    """What the catalogue knows an allergy by: its groups, then its ingredients, those of most drugs first."""
    rows = conn.execute(
        """
        SELECT name FROM (
            SELECT 0 AS step, value AS name, count(*) AS drugs FROM drug, json_each(drug.groups) GROUP BY value
            UNION ALL
            SELECT 1, key, count(*) FROM drug, json_each(drug.ingredients) WHERE NOT drug.herbal GROUP BY key
        ) GROUP BY name ORDER BY min(step), max(drugs) DESC, name LIMIT :limit
        """,
        {"limit": SUBSTANCES_MAX},
    )
    return [row["name"] for row in rows]


def record(conn: Connection, patient_id: str, written: Written, desk: Desk) -> str:
    """Write down an allergy; returns its id. Whoever names one was asked.

    Raises AlreadyRecorded when the same substance is on record and not ended.
    """
    if any(known.substance == written.substance for known in of_patient(conn, patient_id).known):
        raise AlreadyRecorded
    allergy_id = str(ULID.from_timestamp(desk.moment.at))
    conn.execute(
        "INSERT INTO allergy (id, patient_id, substance, reaction, since, recorded_at, recorded_by) "
        "VALUES (:id, :patient, :substance, :reaction, :since, :at, :by)",
        {
            "id": allergy_id, "patient": patient_id, "substance": written.substance, "reaction": written.reaction,
            "since": written.since, "at": desk.moment.at, "by": desk.staff_id,
        },
    )  # fmt: skip
    _asked(conn, patient_id, desk)
    desk.trace(conn, "allergy_recorded", f"patient:{patient_id}", allergy=allergy_id)
    return allergy_id


def end(conn: Connection, patient_id: str, allergy_id: str, desk: Desk, *, reason: str) -> bool:
    """Take an allergy off the record, with the reason; it stays readable. False when it was ended before.

    Raises KeyError for an allergy that this person does not have.
    """
    if allergy_id not in {allergy.id for allergy in all_of(conn, patient_id)}:
        raise KeyError(allergy_id)
    ended = conn.execute(
        "UPDATE allergy SET ended_at = :at, ended_by = :by, end_reason = :reason WHERE id = :id AND ended_at IS NULL",
        {"at": desk.moment.at, "by": desk.staff_id, "reason": reason, "id": allergy_id},
    ).rowcount
    if ended:
        desk.trace(conn, "allergy_ended", f"patient:{patient_id}", allergy=allergy_id, reason=reason)
    return bool(ended)


def asked_none_known(conn: Connection, patient_id: str, desk: Desk) -> None:
    """Somebody asked, and the person knows of none. Raises StillAllergic when the record knows of one."""
    if of_patient(conn, patient_id).known:
        raise StillAllergic
    asked(conn, patient_id, desk)


def asked(conn: Connection, patient_id: str, desk: Desk) -> None:
    """Somebody asked, and the answer was what is on record already."""
    _asked(conn, patient_id, desk)
    desk.trace(conn, "allergies_asked", f"patient:{patient_id}")


def _asked(conn: Connection, patient_id: str, desk: Desk) -> None:
    conn.execute(
        "UPDATE patient SET allergies_asked_at = :at, allergies_asked_by = :by WHERE id = :id",
        {"at": desk.moment.at, "by": desk.staff_id, "id": patient_id},
    )


# The records that each of the asked people has: what stands for them, and what was merged into it.
_PEOPLE = """
WITH standing (person, record) AS (
    SELECT wanted.value, coalesce(patient.merged_into, patient.id)
    FROM json_each(:ids) AS wanted JOIN patient ON patient.id = wanted.value
), people (person, record) AS (
    SELECT person, record FROM standing
    UNION ALL
    SELECT standing.person, patient.id FROM standing JOIN patient ON patient.merged_into = standing.record
)
"""
_ALLERGIES = f"""
{_PEOPLE}
SELECT people.person, allergy.id, allergy.substance, allergy.reaction, allergy.since, allergy.recorded_at,
       recorder.name AS recorded_by, allergy.ended_at, ender.name AS ended_by, allergy.end_reason
FROM people
JOIN allergy ON allergy.patient_id = people.record
JOIN staff AS recorder ON recorder.id = allergy.recorded_by
LEFT JOIN staff AS ender ON ender.id = allergy.ended_by
"""


def _allergy(row: Row) -> Allergy:
    return Allergy(**{name: row[name] for name in Allergy.__dataclass_fields__})
