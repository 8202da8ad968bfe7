"""A clinic that has grown: so many patients and so many visits of the past months, by the modules that write them.

One transaction and no page, so that a hundred thousand patients take a minute.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from faker import Faker

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.encounters import queries as encounters
from edge_node.his.encounters import versions
from edge_node.his.encounters.note import Diagnosis, Note
from edge_node.his.patients import queries as patients
from edge_node.his.patients.identity import Sex
from edge_node.his.patients.queries import Patient
from edge_node.his.prescriptions import sheets
from edge_node.his.prescriptions.body import Body, read, with_drug
from edge_node.his.prescriptions.model import Form, Kind
from edge_node.his.reception import queries as reception
from edge_node.his.triage import queries as triage
from edge_node.his.triage.rules import Level, Measured
from edge_node.store.connection import Connection

VISITS_A_DAY = 100
DAY_MS = 24 * 3_600_000
# Faker makes a thousand names a second; a clinic's names repeat anyway.
NAMES = 4_000
NOTE = Note(
    complaint="咳嗽、咳黄痰 3 天", history="3 天前受凉后咳嗽，咳黄痰，夜间明显，无胸痛、咯血。" * 3,
    examination="咽充血，双肺呼吸音粗。", diagnoses=(Diagnosis(code="J20.900", name="急性支气管炎"),),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffed:
    """Who writes, and where: ids."""

    registrar: str
    doctor: str
    department: str


def grow(
    conn: Connection, staffed: Staffed, *, people: int, visits: int, today: date, at: int, seed: int = 1
) -> list[Patient]:
    """So many patients, and visits on the days before `today` that were all signed; the same for a seed.

    `at` is UTC milliseconds of today. The same few patients, the first ones, have three visits each in a clinic of any
    size, so that their pages can be compared. In the caller's transaction.
    """
    made = _people(conn, staffed, people, at, seed)
    regulars, rng = made[:20], random.Random(seed)
    whose = [patient for patient in regulars for _ in range(3)]
    whose += [rng.choice(made[20:]) for _ in range(max(0, visits - len(whose)))]
    entry = catalogues.find_drugs(conn, "W006", herbal=False)[0]
    for number, patient in enumerate(whose):
        back = 1 + number // VISITS_A_DAY
        _visit(
            conn, staffed, patient, number, today - timedelta(days=back), at - back * DAY_MS, with_drug(Body(), entry)
        )
    return made


def _people(conn: Connection, staffed: Staffed, count: int, at: int, seed: int) -> list[Patient]:
    faker, rng = Faker("zh_CN"), random.Random(seed)
    faker.seed_instance(seed)
    names = [faker.name() for _ in range(min(count, NAMES))]
    return [
        patients.insert(
            conn, mrn=f"XC42A-26{n:08}", name=names[n] if n < 20 else rng.choice(names),
            sex=Sex.MALE if n % 2 else Sex.FEMALE, birth_date=date(1930, 1, 1) + timedelta(days=rng.randrange(33_000)),
            phone=f"13{n:09}", at=at - n, by=staffed.registrar,
        )
        for n in range(count)
    ]  # fmt: skip


def _visit(conn: Connection, staffed: Staffed, patient: Patient, number: int, day: date, at: int, body: Body) -> None:
    entry = reception.register(
        conn, patient_id=patient.id, department_id=staffed.department, doctor_id=None, queue_date=day,
        visit_no=f"XC42A-V26{number:08}", mode="online", at=at, by=staffed.registrar,
    )  # fmt: skip
    triage.insert(
        conn, entry.registration_id, Measured(temperature="37.2", pulse="80"), level=Level.NOT_URGENT, note="", at=at,
        by=staffed.registrar,
    )  # fmt: skip
    encounter_id = encounters.begin(conn, entry.registration_id, doctor_id=staffed.doctor, at=at)
    assert encounter_id is not None, "who was just registered waits"
    sheet_id = sheets.open_sheet(
        conn, encounter_id=encounter_id, patient_id=patient.id, form=Form.MEDICINES, by=staffed.doctor, at=at
    )
    sheets.save(conn, sheet_id, body, based_on=0, by=staffed.doctor, at=at)
    sheet = sheets.get(conn, sheet_id)
    assert sheet is not None, "it was opened in this transaction"
    sheets.sign(
        conn, sheet, read(body, sheets.drugs_of(conn, body), form=Form.MEDICINES, diagnoses=(), emergency=False),
        rx_no=f"XC42A-R26{number:08}", kind=Kind.ORDINARY, valid_until=day.isoformat(), by=staffed.doctor, at=at,
        clock_state="synced", mode="online",
    )  # fmt: skip
    versions.sign(
        conn, encounter_id, NOTE, n=1, based_on=0, by=staffed.doctor, at=at, clock_state="synced", mode="online"
    )


def waits(conn: Connection, staffed: Staffed, people: Sequence[Patient], *, today: date, at: int) -> list[str]:
    """Put these people into today's queue; the ids of their registrations."""
    count = itertools.count(1)
    return [
        reception.register(
            conn, patient_id=patient.id, department_id=staffed.department, doctor_id=None, queue_date=today,
            visit_no=f"XC42A-V27{next(count):08}", mode="online", at=at, by=staffed.registrar,
        ).registration_id
        for patient in people
    ]  # fmt: skip
