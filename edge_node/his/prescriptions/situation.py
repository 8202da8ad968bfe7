"""What a check of a sheet looks at, read from his.db at that moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.orders.queries import skin_tests
from edge_node.his.patients.allergies import of_patient
from edge_node.his.patients.identity import IdType
from edge_node.his.patients.queries import current, records_of
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
)
from edge_node.his.prescriptions.patient_rules import allergy_to, plain
from edge_node.his.staff import queries as staff
from edge_node.his.triage.queries import said_today
from edge_node.store.connection import Connection

_DAY_MS = 24 * 3_600_000
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


def patient(conn: Connection, patient_id: str, *, registration_id: str, now: int) -> Patient:
    """Of the patient, what the rules ask for; measures are the newest of this visit, with its returns of the day."""
    records = records_of(conn, patient_id)
    person = current(conn, patient_id)
    assert person is not None, "a sheet refers to its patient"
    measured = said_today(conn, registration_id)
    faces = of_patient(conn, patient_id)
    return Patient(
        birth_date=person.birth_date,
        weight_kg=_weight(measured.weight_kg),
        pregnant=bool(measured.pregnant),
        allergies=tuple(_grouped(conn, allergy.substance) for allergy in faces.known),
        allergies_asked=faces.asked_at is not None,
        skin_tests=tuple(skin_tests(conn, records, now=now)),
        identity=person.id_type is not IdType.NONE,
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
    for record in records_of(conn, sheet.patient_id):
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
                "patient": record, "this": sheet.id, "day": _DAY_MS, "now": now,
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
