"""Patients in his.db: kept, found, compared. SQL stands here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ulid import ULID

from edge_node.his.patients import pinyin
from edge_node.his.patients.identity import IdType, Sex
from edge_node.store.connection import Connection, Row

# Equality of sealed numbers: the cipher's digest. Passed in, so that this file knows no key.
Digest = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A person's record. The ID number is here only as it may be shown unasked."""

    id: str
    mrn: str
    name: str
    sex: Sex
    birth_date: date
    phone: str
    id_type: IdType
    id_number_masked: str
    address: str
    version: int
    occupation: str = ""
    guardian_name: str = ""
    # With a name what that person is to the patient; without one, why there is no guardian.
    guardian_relation: str = ""
    guardian_phone: str = ""
    # The record that this one is read with; None for one that stands for its person.
    merged_into: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedId:
    """An ID number as it is kept: sealed for reading, digested for equality, masked for the eye."""

    sealed: bytes
    digest: bytes
    masked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit as a patient's history and the list of matches show it; `mrn` is of the record that it hangs on."""

    registration_id: str
    visit_no: str
    department_id: str
    department_name: str
    department_name_en: str
    doctor_id: str | None
    doctor_name: str | None
    kind: str
    status: str
    registered_at: int
    encounter_id: str | None = None
    diagnoses: tuple[str, ...] = ()
    mrn: str = ""


class Likeness(StrEnum):
    """Why a record may be of the same person, the surest first."""

    SAME_ID_NUMBER = "same-id-number"
    SAME_NAME_AND_BIRTH = "same-name-and-birth"
    SAME_PHONE_AND_BIRTH = "same-phone-and-birth"
    SAME_NAME_AND_PHONE = "same-name-and-phone"
    SOUNDS_ALIKE_SAME_BIRTH = "sounds-alike-same-birth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A record that may be of the same person."""

    patient: Patient
    why: Likeness


COLUMNS = (
    "patient.id, patient.mrn, patient.name, patient.sex, patient.birth_date, patient.phone, patient.id_type, "
    "patient.id_number_masked, patient.address, patient.version, "
    "patient.occupation, patient.guardian_name, patient.guardian_relation, patient.guardian_phone, patient.merged_into"
)
COLUMN_COUNT = COLUMNS.count(",") + 1
# The ids of all records of the person whom the record `:id` is about: those that were merged, and what they were merged
# into. Merges are one step deep (merges.py), so no walk is needed. A query by patient reads `patient_id IN (this)`.
RECORDS_SQL = """
    SELECT coalesce(merged_into, id) FROM patient WHERE id = :id
    UNION ALL SELECT merged.id FROM patient AS asked
    JOIN patient AS merged ON merged.merged_into = coalesce(asked.merged_into, asked.id) WHERE asked.id = :id
"""


def from_row(row: Row) -> Patient:
    """A Patient of a row that begins with COLUMNS."""
    (
        id_, mrn, name, sex, birth_date, phone, id_type, id_number_masked, address, version, occupation,
        guardian_name, guardian_relation, guardian_phone, merged_into,
    ) = tuple(row)[:COLUMN_COUNT]  # fmt: skip
    return Patient(
        id=id_, mrn=mrn, name=name, sex=Sex(sex), birth_date=date.fromisoformat(birth_date), phone=phone,
        id_type=IdType(id_type), id_number_masked=id_number_masked, address=address, version=version,
        occupation=occupation, guardian_name=guardian_name, guardian_relation=guardian_relation,
        guardian_phone=guardian_phone, merged_into=merged_into,
    )  # fmt: skip


def get(conn: Connection, patient_id: str) -> Patient | None:
    """The record itself, merged or not, or None where there is no such."""
    row = conn.execute(f"SELECT {COLUMNS} FROM patient WHERE id = :id", {"id": patient_id}).fetchone()
    return from_row(row) if row else None


def current(conn: Connection, patient_id: str) -> Patient | None:
    """The record that stands for the person: the one asked for, or the one that it was merged into."""
    row = conn.execute(
        f"SELECT {COLUMNS} FROM patient AS asked JOIN patient ON patient.id = coalesce(asked.merged_into, asked.id) "
        "WHERE asked.id = :id",
        {"id": patient_id},
    ).fetchone()
    return from_row(row) if row else None


def by_number(conn: Connection, mrn: str) -> Patient | None:
    """What stands for the person whose record has this number."""
    row = conn.execute("SELECT id FROM patient WHERE mrn = :mrn", {"mrn": mrn}).fetchone()
    return current(conn, row["id"]) if row else None


def records_of(conn: Connection, patient_id: str) -> tuple[str, ...]:
    """The ids of all records of this person, whichever of them is asked for; none for an unknown one."""
    return tuple(row[0] for row in conn.execute(RECORDS_SQL, {"id": patient_id}))


def sealed_id_number(conn: Connection, patient_id: str) -> bytes | None:
    """The sealed ID number; whoever opens it writes that down in the audit log."""
    row = conn.execute("SELECT id_number_sealed FROM patient WHERE id = :id", {"id": patient_id}).fetchone()
    return row[0] if row else None


def insert(
    conn: Connection,
    *,
    mrn: str,
    name: str,
    sex: Sex,
    birth_date: date,
    phone: str = "",
    id_type: IdType = IdType.NONE,
    id_number: SealedId | None = None,
    address: str = "",
    occupation: str = "",
    guardian_name: str = "",
    guardian_relation: str = "",
    guardian_phone: str = "",
    at: int,
    by: str,
) -> Patient:
    """Make a record and its search keys.

    Raises IntegrityError when another record has the same ID number; ask `same_person` in the same transaction first.
    """
    patient_id = str(ULID.from_timestamp(at))
    conn.execute(
        """
        INSERT INTO patient (id, mrn, name, sex, birth_date, phone, id_type, id_number_sealed, id_number_digest,
                             id_number_masked, address, occupation, guardian_name, guardian_relation, guardian_phone,
                             created_at, created_by, updated_at)
        VALUES (:id, :mrn, :name, :sex, :birth_date, :phone, :id_type, :sealed, :digest, :masked, :address,
                :occupation, :guardian_name, :guardian_relation, :guardian_phone, :at, :by, :at)
        """,
        {
            "id": patient_id, "mrn": mrn, "name": name, "sex": int(sex), "birth_date": birth_date.isoformat(),
            "phone": phone, "id_type": str(id_type), "sealed": id_number.sealed if id_number else None,
            "digest": id_number.digest if id_number else None, "masked": id_number.masked if id_number else "",
            "address": address, "occupation": occupation, "guardian_name": guardian_name,
            "guardian_relation": guardian_relation, "guardian_phone": guardian_phone, "at": at, "by": by,
        },
    )  # fmt: skip
    _index(conn, patient_id, name)
    return Patient(
        id=patient_id, mrn=mrn, name=name, sex=sex, birth_date=birth_date, phone=phone, id_type=id_type,
        id_number_masked=id_number.masked if id_number else "", address=address, version=1, occupation=occupation,
        guardian_name=guardian_name, guardian_relation=guardian_relation, guardian_phone=guardian_phone,
    )  # fmt: skip


def update(
    conn: Connection,
    patient_id: str,
    *,
    version: int,
    name: str,
    sex: Sex,
    birth_date: date,
    phone: str,
    address: str,
    id_type: IdType,
    id_number: SealedId | None,
    occupation: str = "",
    guardian_name: str = "",
    guardian_relation: str = "",
    guardian_phone: str = "",
    at: int,
) -> Patient | None:
    """Change a record that is still at `version`; None when someone else has changed it meanwhile.

    `id_number` None keeps what is there, except that IdType.NONE takes it away. A name that is changed is kept as a
    former one, which still finds the record.
    """
    conn.execute(
        "INSERT INTO patient_former_name (patient_id, name, until) SELECT id, name, :at FROM patient "
        "WHERE id = :id AND version = :version AND name <> :name ON CONFLICT DO UPDATE SET until = excluded.until",
        {"id": patient_id, "version": version, "name": name, "at": at},
    )
    changed = conn.execute(
        """
        UPDATE patient
        SET name = :name, sex = :sex, birth_date = :birth_date, phone = :phone, address = :address, id_type = :id_type,
            occupation = :occupation, guardian_name = :guardian_name, guardian_relation = :guardian_relation,
            guardian_phone = :guardian_phone,
            id_number_sealed = CASE WHEN :id_type = 'none' THEN NULL ELSE coalesce(:sealed, id_number_sealed) END,
            id_number_digest = CASE WHEN :id_type = 'none' THEN NULL ELSE coalesce(:digest, id_number_digest) END,
            id_number_masked = CASE WHEN :id_type = 'none' THEN '' ELSE coalesce(:masked, id_number_masked) END,
            version = version + 1, updated_at = :at
        WHERE id = :id AND version = :version
        """,
        {
            "id": patient_id, "version": version, "name": name, "sex": int(sex), "birth_date": birth_date.isoformat(),
            "phone": phone, "address": address, "id_type": str(id_type), "at": at, "occupation": occupation,
            "guardian_name": guardian_name, "guardian_relation": guardian_relation, "guardian_phone": guardian_phone,
            "sealed": id_number.sealed if id_number else None, "digest": id_number.digest if id_number else None,
            "masked": id_number.masked if id_number else None,
        },
    ).rowcount  # fmt: skip
    if not changed:
        return None
    conn.execute("DELETE FROM patient_pinyin WHERE patient_id = :id", {"id": patient_id})
    _index(conn, patient_id, name)
    return get(conn, patient_id)


def former_names(conn: Connection, patient_id: str) -> list[str]:
    """What a record was called before, the latest first; not what it is called now."""
    rows = conn.execute(
        "SELECT former.name FROM patient_former_name AS former JOIN patient ON patient.id = former.patient_id "
        "WHERE former.patient_id = :id AND former.name <> patient.name ORDER BY former.until DESC, former.rowid DESC",
        {"id": patient_id},
    )
    return [row["name"] for row in rows]


def _index(conn: Connection, patient_id: str, name: str) -> None:
    names = {name, *former_names(conn, patient_id)}
    keys = {key for one in names for key in pinyin.keys(one)}
    conn.executemany(
        "INSERT INTO patient_pinyin (key, patient_id) VALUES (?, ?)", [(key, patient_id) for key in sorted(keys)]
    )


def same_person(
    conn: Connection,
    *,
    name: str,
    birth_date: date,
    phone: str = "",
    id_digest: bytes | None = None,
    except_id: str = "",
) -> list[Twin]:
    """Records that may be of this person, the surest first; shown before a second record is made.

    One that is like a merged record is shown as what that was merged into; `except_id` is no twin, nor what was merged
    into it.
    """
    born = birth_date.isoformat()
    keys = sorted(key for key in pinyin.keys(name) if len(key) > 3)
    twins: dict[str, Twin] = {}
    for why, condition in _LIKENESSES.items():
        if why is Likeness.SOUNDS_ALIKE_SAME_BIRTH:
            condition = condition.format(places=", ".join("?" * len(keys)))
            values: Sequence[object] = (*keys, born)
        else:
            values = {"digest": id_digest, "name": name, "born": born, "phone": phone}  # type: ignore[assignment]
        for row in conn.execute(f"SELECT {COLUMNS} FROM patient WHERE {condition} LIMIT 9", values):
            patient = standing(conn, from_row(row))
            if patient.id != except_id:
                twins.setdefault(patient.id, Twin(patient=patient, why=why))
    return list(twins.values())


def holders(conn: Connection, id_digest: bytes, *, except_id: str) -> list[Twin]:
    """Another record itself, merged or not, that has this ID number."""
    rows = conn.execute(
        f"SELECT {COLUMNS} FROM patient WHERE {_LIKENESSES[Likeness.SAME_ID_NUMBER]} AND id <> :id",
        {"digest": id_digest, "id": except_id},
    )
    return [Twin(patient=from_row(row), why=Likeness.SAME_ID_NUMBER) for row in rows]


def standing(conn: Connection, patient: Patient) -> Patient:
    """The record that stands for this one's person."""
    if patient.merged_into is None:
        return patient
    kept = get(conn, patient.merged_into)
    assert kept is not None, "a merged record refers to the kept one"
    return kept


# The index of ID numbers begins with the kind: naming all kinds lets a search without a kind use it.
ID_TYPES_SQL = ", ".join(f"'{id_type}'" for id_type in IdType)
_LIKENESSES = {
    Likeness.SAME_ID_NUMBER: f"id_type IN ({ID_TYPES_SQL}) AND id_number_digest = :digest",
    Likeness.SAME_NAME_AND_BIRTH: "name = :name AND birth_date = :born",
    Likeness.SAME_PHONE_AND_BIRTH: "phone <> '' AND phone = :phone AND birth_date = :born",
    Likeness.SAME_NAME_AND_PHONE: "phone <> '' AND phone = :phone AND name = :name",
    Likeness.SOUNDS_ALIKE_SAME_BIRTH: (
        "id IN (SELECT patient_id FROM patient_pinyin WHERE key IN ({places})) AND birth_date = ?"
    ),
}


def visits(conn: Connection, patient_id: str) -> list[Visit]:
    """A person's visits, of all their records, the newest first, with what was diagnosed in the newest signed version
    of each."""
    rows = conn.execute(
        f"""
        SELECT registration.id, registration.visit_no, department.id, department.name, department.name_en,
               staff.id, staff.name, registration.kind, registration.status, registration.registered_at, encounter.id,
               (SELECT group_concat(diagnosis.name, char(10) ORDER BY diagnosis.rank) FROM diagnosis
                WHERE diagnosis.encounter_id = encounter.id
                  AND diagnosis.n = (SELECT max(n) FROM note_version WHERE encounter_id = encounter.id)),
               (SELECT mrn FROM patient WHERE patient.id = registration.patient_id)
        FROM registration
        JOIN department ON department.id = registration.department_id
        LEFT JOIN encounter ON encounter.registration_id = registration.id
        LEFT JOIN staff ON staff.id = coalesce(encounter.doctor_id, registration.doctor_id)
        WHERE registration.patient_id IN ({RECORDS_SQL})
        ORDER BY registration.rowid DESC
        """,
        {"id": patient_id},
    )
    return [_visit(row) for row in rows]


def _visit(row: Row) -> Visit:
    id_, visit_no, d_id, d_name, d_name_en, s_id, s_name, kind, status, at, encounter_id, diagnoses, mrn = tuple(row)
    return Visit(
        registration_id=id_, visit_no=visit_no, department_id=d_id, department_name=d_name,
        department_name_en=d_name_en, doctor_id=s_id, doctor_name=s_name, kind=kind, status=status, registered_at=at,
        encounter_id=encounter_id, diagnoses=tuple(diagnoses.split("\n")) if diagnoses else (),
        mrn=mrn,
    )  # fmt: skip


def last_visits(conn: Connection, patient_ids: Iterable[str]) -> dict[str, Visit]:
    """The newest visit that was not cancelled of each of these patients."""
    found = {}
    for patient_id in patient_ids:
        row = conn.execute(
            f"""
            SELECT registration.id, registration.visit_no, department.id, department.name, department.name_en,
                   staff.id, staff.name, registration.kind, registration.status, registration.registered_at, NULL, NULL,
                   ''
            FROM registration
            JOIN department ON department.id = registration.department_id
            LEFT JOIN staff ON staff.id = registration.doctor_id
            WHERE registration.patient_id IN ({RECORDS_SQL}) AND registration.status <> 'cancelled'
            ORDER BY registration.registered_at DESC LIMIT 1
            """,
            {"id": patient_id},
        ).fetchone()
        if row:
            found[patient_id] = _visit(row)
    return found
