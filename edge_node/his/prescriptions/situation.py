"""What a check of a sheet looks at, read from his.db at that moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.patients.allergies import of_patient
from edge_node.his.prescriptions import sheets
from edge_node.his.prescriptions.body import Body, Read, read
from edge_node.his.prescriptions.incompatible import INTERACTIONS
from edge_node.his.prescriptions.model import (
    Allergy,
    Clinic,
    Form,
    Line,
    Patient,
    Situation,
    SkinTest,
    SkinTestState,
)
from edge_node.his.prescriptions.patient_rules import allergy_to, plain
from edge_node.his.staff import queries as staff
from edge_node.his.triage.queries import newest
from edge_node.store.connection import Connection

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
# A running prescription of longer than this would have been renewed.
_LOOK_BACK_DAYS = 100


def of_sheet(
    conn: Connection,
    sheet: sheets.Prescription,
    body: Body,
    *,
    diagnoses: tuple[str, ...],
    doctor_id: str,
    today: date,
    now: int,
) -> tuple[Read, Situation]:
    """The body as the rules judge it, with everything beside it. `now` is UTC milliseconds."""
    registration = conn.execute(
        "SELECT registration.id, department.code FROM encounter "
        "JOIN registration ON registration.id = encounter.registration_id "
        "JOIN department ON department.id = registration.department_id WHERE encounter.id = :id",
        {"id": sheet.encounter_id},
    ).fetchone()
    found = read(
        body,
        sheets.drugs_of(conn, body),
        form=sheet.form,
        diagnoses=diagnoses,
        emergency=registration["code"] == "emergency",
    )
    return found, Situation(
        sheet=found.sheet,
        patient=patient(conn, sheet.patient_id, registration_id=registration["id"], now=now),
        today=today,
        rights=staff.rights(conn, doctor_id),
        clinic=clinic(conn),
        other_lines=tuple(other_lines(conn, sheet, now=now)),
        interactions=INTERACTIONS,
    )


def same_person(conn: Connection, patient_id: str) -> tuple[str, ...]:
    """The ids of a patient's record and of those merged into it."""
    rows = conn.execute(
        "SELECT id FROM patient WHERE id = :id OR merged_into = :id ORDER BY id", {"id": patient_id}
    ).fetchall()
    return tuple(row["id"] for row in rows)


def patient(conn: Connection, patient_id: str, *, registration_id: str, now: int) -> Patient:
    """Of the patient, what the rules ask for; measures are the newest of this visit."""
    row = conn.execute("SELECT birth_date, id_number_digest FROM patient WHERE id = :id", {"id": patient_id}).fetchone()
    triage = newest(conn, registration_id)
    faces = of_patient(conn, patient_id)
    return Patient(
        birth_date=date.fromisoformat(row["birth_date"]),
        weight_kg=_weight(triage.measured.weight_kg) if triage else None,
        pregnant=bool(triage.measured.pregnant) if triage else False,
        allergies=tuple(_grouped(conn, allergy.substance) for allergy in faces.known),
        allergies_asked=faces.asked_at is not None,
        skin_tests=tuple(skin_tests(conn, same_person(conn, patient_id), now=now)),
        identity=row["id_number_digest"] is not None,
    )


def _weight(typed: str) -> Decimal | None:
    try:
        return Decimal(typed) if typed else None
    except InvalidOperation:
        return None


def _grouped(conn: Connection, substance: str) -> Allergy:
    """What the patient must not have, with the groups that the catalogue knows it by."""
    near = conn.execute(
        "SELECT id FROM drug WHERE instr(ingredients, :word) OR instr(groups, :word)", {"word": plain(substance)}
    ).fetchall()
    known = (catalogues.drug(conn, row["id"]) for row in near)
    return allergy_to(substance, [entry.drug for entry in known if entry])


def skin_tests(conn: Connection, people: Iterable[str], *, now: int) -> Iterable[SkinTest]:
    """Skin tests that were ordered or read in the last month, whichever way they went."""
    for person in people:
        rows = conn.execute(
            """
            SELECT substance, ordered_at,
                   (SELECT result FROM order_result WHERE order_id = order_item.id ORDER BY at DESC, rowid DESC LIMIT 1)
                       AS result,
                   (SELECT at FROM order_result WHERE order_id = order_item.id ORDER BY at DESC, rowid DESC LIMIT 1)
                       AS read_at
            FROM order_item WHERE patient_id = :id AND kind = 'skin_test' AND cancelled_at IS NULL
              AND ordered_at > :since
            """,
            {"id": person, "since": now - 30 * _DAY_MS},
        ).fetchall()
        for row in rows:
            if row["result"] in ("negative", "positive"):
                state, at = SkinTestState(row["result"]), row["read_at"]
            elif row["result"] is None:
                state, at = SkinTestState.ORDERED, row["ordered_at"]
            else:
                continue
            hours = Decimal(max(0, now - at)) / _HOUR_MS
            yield SkinTest(substance=row["substance"], state=state, hours_ago=hours)


def clinic(conn: Connection) -> Clinic:
    """What this clinic has decided, by the settings."""
    rows = dict(conn.execute("SELECT key, value FROM setting WHERE key IN ('narcotics', 'skin_test_hours')").fetchall())
    found = Clinic(narcotics=rows.get("narcotics") == "on")
    hours = rows.get("skin_test_hours", "")
    return replace(found, skin_test_hours=int(hours)) if hours.isdigit() else found


def other_lines(conn: Connection, sheet: sheets.Prescription, *, now: int) -> Iterable[Line]:
    """What else the patient gets: the open sheets of this visit, and signed ones that have not run out."""
    for other in sheets.of_encounter(conn, sheet.encounter_id):
        if other.id != sheet.id and other.status == "draft":
            body = other.body
            yield from read(
                body, sheets.drugs_of(conn, body), form=other.form, diagnoses=(), emergency=False
            ).sheet.lines
    for person in same_person(conn, sheet.patient_id):
        rows = conn.execute(
            """
            SELECT line.drug_id, line.dose, line.route, line.frequency, line.days, prescription.form
            FROM prescription
            JOIN prescription_version AS version ON version.prescription_id = prescription.id
            JOIN prescription_line AS line ON line.prescription_id = version.prescription_id AND line.n = version.n
            WHERE prescription.patient_id = :patient AND prescription.status = 'signed' AND prescription.id <> :this
              AND version.n = (SELECT max(n) FROM prescription_version WHERE prescription_id = prescription.id)
              AND version.signed_at > :since AND version.signed_at + line.days * :day > :now
            """,
            {
                "patient": person, "this": sheet.id, "day": _DAY_MS, "now": now,
                "since": now - _LOOK_BACK_DAYS * _DAY_MS,
            },
        ).fetchall()  # fmt: skip
        for row in rows:
            entry = catalogues.drug(conn, row["drug_id"])
            assert entry is not None, "a line refers to its drug"
            yield Line(
                drug=entry.drug,
                dose=Decimal(row["dose"]),
                route=row["route"],
                frequency="qd" if row["form"] == Form.HERBAL else row["frequency"],
                days=row["days"],
            )
