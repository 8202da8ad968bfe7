"""Encounters and the diagnosis catalogue in his.db. SQL stands here and in `versions`, nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ulid import ULID

from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.encounters.note import Diagnosis
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from edge_node.store.connection import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """A patient with a doctor: begun when called, ended when the note is first signed."""

    id: str
    registration_id: str
    patient_id: str
    doctor_id: str
    doctor_name: str
    started_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A diagnosis that the catalogue knows, or a syndrome of Chinese medicine."""

    code: str
    name: str
    name_en: str
    insurance_code: str
    kind: DiagnosisKind

    @property
    def is_syndrome(self) -> bool:
        return self.kind is DiagnosisKind.TCM_SYNDROME

    def as_diagnosis(self) -> Diagnosis:
        """As a note keeps it; of a syndrome, code and name to stand beside its disease."""
        if self.is_syndrome:
            return Diagnosis(code=self.code, name=self.name)
        return Diagnosis(code=self.code, name=self.name, insurance_code=self.insurance_code, kind=self.kind)


_ENCOUNTER = """
    SELECT encounter.id, encounter.registration_id, encounter.patient_id, encounter.doctor_id, staff.name,
           encounter.started_at, encounter.ended_at
    FROM encounter JOIN staff ON staff.id = encounter.doctor_id
"""


def _encounter(row: Row) -> Encounter:
    id_, registration_id, patient_id, doctor_id, doctor_name, started_at, ended_at = tuple(row)
    return Encounter(
        id=id_,
        registration_id=registration_id,
        patient_id=patient_id,
        doctor_id=doctor_id,
        doctor_name=doctor_name,
        started_at=started_at,
        ended_at=ended_at,
    )


def get(conn: Connection, encounter_id: str) -> Encounter | None:
    """One encounter."""
    row = conn.execute(f"{_ENCOUNTER} WHERE encounter.id = :id", {"id": encounter_id}).fetchone()
    return _encounter(row) if row else None


def of_registration(conn: Connection, registration_id: str) -> Encounter | None:
    """The encounter that a registration led to, if its patient was called."""
    row = conn.execute(f"{_ENCOUNTER} WHERE encounter.registration_id = :id", {"id": registration_id}).fetchone()
    return _encounter(row) if row else None


def begin(conn: Connection, registration_id: str, *, doctor_id: str, at: int, room: str = "") -> str | None:
    """Call a waiting patient in; returns the encounter's id, None when the patient does not wait any more.

    A patient who went back to waiting keeps the encounter, with the doctor who calls now. `room` is where to, for the
    call screen.
    """
    if not reception.set_status(conn, registration_id, Status.WITH_DOCTOR):
        return None
    reception.called(conn, registration_id, room=room, at=at)
    (encounter_id,) = conn.execute(
        """
        INSERT INTO encounter (id, registration_id, patient_id, doctor_id, started_at)
        SELECT :id, id, patient_id, :doctor, :at FROM registration WHERE id = :registration
        ON CONFLICT (registration_id) DO UPDATE SET doctor_id = excluded.doctor_id, started_at = excluded.started_at
        RETURNING id
        """,
        {"id": str(ULID.from_timestamp(at)), "doctor": doctor_id, "at": at, "registration": registration_id},
    ).fetchone()
    return str(encounter_id)


def call_next(
    conn: Connection, *, queue_date: date, department_id: str | None, doctor_id: str, at: int, room: str = ""
) -> str | None:
    """Call in who waits longest for this doctor or for any; returns the encounter's id, None when nobody waits.

    Who was called before and did not come is called after all who were not, so that one absent patient does not hold
    the queue up.
    """
    waiting = reception.queue(conn, queue_date, department_id=department_id, doctor_id=doctor_id, status=Status.WAITING)
    fresh = [entry for entry in waiting if of_registration(conn, entry.registration_id) is None]
    chosen = next(iter(fresh or waiting), None)
    return begin(conn, chosen.registration_id, doctor_id=doctor_id, at=at, room=room) if chosen else None


def put_back(conn: Connection, encounter_id: str) -> bool:
    """Return a patient who did not come to the queue; False once anything was written about them."""
    row = conn.execute(
        """
        SELECT registration_id FROM encounter
        WHERE id = :id AND NOT EXISTS (SELECT 1 FROM note_draft WHERE encounter_id = :id)
        """,
        {"id": encounter_id},
    ).fetchone()
    return row is not None and reception.set_status(conn, row[0], Status.WAITING)


def status(conn: Connection, encounter_id: str) -> Status:
    """Where the registration of an encounter stands."""
    (found,) = conn.execute(
        "SELECT registration.status FROM encounter JOIN registration ON registration.id = encounter.registration_id "
        "WHERE encounter.id = :id",
        {"id": encounter_id},
    ).fetchone()
    return Status(found)


def end(conn: Connection, encounter_id: str, *, at: int) -> None:
    """The first signature ends an encounter; its registration is done."""
    (registration_id,) = conn.execute(
        "UPDATE encounter SET ended_at = :at WHERE id = :id AND ended_at IS NULL RETURNING registration_id",
        {"id": encounter_id, "at": at},
    ).fetchone()
    reception.set_status(conn, registration_id, Status.DONE)


def mine_open(conn: Connection, *, doctor_id: str) -> list[Encounter]:
    """The doctor's encounters whose note is not signed, in the order in which they began: of every day, for midnight
    ends no visit."""
    rows = conn.execute(
        f"""
        {_ENCOUNTER} JOIN registration ON registration.id = encounter.registration_id
        WHERE encounter.doctor_id = :doctor AND encounter.ended_at IS NULL AND registration.status = 'with_doctor'
        ORDER BY encounter.started_at, encounter.rowid
        """,
        {"doctor": doctor_id},
    )
    return [_encounter(row) for row in rows]


_ENTRY = "SELECT code, name, name_en, insurance_code, kind"


def _catalogue_entry(row: Row) -> CatalogueEntry:
    code, name, name_en, insurance_code, kind = tuple(row)[:5]
    return CatalogueEntry(
        code=code, name=name, name_en=name_en, insurance_code=insurance_code, kind=DiagnosisKind(kind)
    )


def find_diagnoses(conn: Connection, typed: str, *, syndromes: bool = False, limit: int = 9) -> list[CatalogueEntry]:
    """Diagnoses by code, pinyin initials, or a part of the Chinese or English name, the closest first.

    With `syndromes`, while a disease waits for one, those of Chinese medicine come before all others.
    """
    wanted = typed.strip().lower()
    if not wanted:
        return []
    rows = conn.execute(
        f"""
        {_ENTRY},
               CASE WHEN lower(code) = :t OR name = :t THEN 0
                    WHEN initials = :t THEN 1
                    WHEN substr(lower(code), 1, length(:t)) = :t THEN 2
                    WHEN substr(name, 1, length(:t)) = :t OR substr(lower(name_en), 1, length(:t)) = :t THEN 3
                    WHEN substr(initials, 1, length(:t)) = :t THEN 4
                    WHEN instr(name, :t) OR instr(lower(name_en), :t) THEN 5
                    WHEN length(:t) > 1 AND instr(initials, :t) THEN 6
               END AS closeness
        FROM icd WHERE closeness IS NOT NULL AND active = 1 AND (:syndromes OR kind <> 'tcm_syndrome')
        ORDER BY kind <> 'tcm_syndrome', closeness, length(name), code LIMIT :limit
        """,
        {"t": wanted, "limit": limit, "syndromes": syndromes},
    )
    return [_catalogue_entry(row) for row in rows]


def diagnosis(conn: Connection, code: str) -> CatalogueEntry | None:
    """What the catalogue calls a code."""
    row = conn.execute(f"{_ENTRY} FROM icd WHERE code = :code", {"code": code}).fetchone()
    return _catalogue_entry(row) if row else None
