"""Making and changing records: what is written together, in one transaction, with its trace.

What stops a record from being written is raised, since raising undoes everything of this piece of work, the request key
included: the registrar decides and posts the same form again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from edge_node.his.cipher import Cipher
from edge_node.his.patients import apart, queries
from edge_node.his.patients.desk import Desk
from edge_node.his.patients.forms import Person
from edge_node.his.patients.identity import IdNumber, IdType, NotAnId, mask, read
from edge_node.his.patients.queries import Likeness, Patient, SealedId, Twin
from edge_node.store.connection import Connection

# What a sealed text is bound to: an ID number never opens as something else.
PURPOSE = "patient-id-number"


class LooksLikeAnother(Exception):
    """Nothing was written: these records may be of the same person, and nobody has said that they are not."""

    def __init__(self, twins: Sequence[Twin]) -> None:
        super().__init__("possible duplicates")
        self.twins = tuple(twins)


class ChangedMeanwhile(Exception):
    """Nothing was written: somebody changed the record after it was shown, or merged it into another; this is what
    stands for the person now."""

    def __init__(self, now: Patient) -> None:
        super().__init__("changed meanwhile")
        self.now = now


def seal(cipher: Cipher, number: str | None) -> SealedId | None:
    """An ID number as it is kept; done before the transaction, since it costs the writing thread nothing there."""
    if number is None:
        return None
    return SealedId(sealed=cipher.seal(number, purpose=PURPOSE), digest=cipher.digest(number), masked=mask(number))


def kept_number(conn: Connection, cipher: Cipher, patient: Patient, *, today: date) -> IdNumber | None:
    """The number on record, opened to compare a form with it; None where there is none.

    Raises StoreError sealed-unreadable.
    """
    sealed = queries.sealed_id_number(conn, patient.id)
    if sealed is None or patient.id_type is IdType.NONE:
        return None
    number = cipher.open(bytes(sealed), purpose=PURPOSE)
    judged = read(patient.id_type, number, today=today)
    # A clock that was set back, or an import, must not make a record unreadable: then the number tells nothing more.
    return IdNumber(id_type=patient.id_type, number=number) if isinstance(judged, NotAnId) else judged


def create(
    conn: Connection, person: Person, id_number: SealedId | None, desk: Desk, *, distinct_from: Collection[str] = ()
) -> Patient:
    """Make a record. `distinct_from`: records that the registrar has looked at and said to be other people.

    Raises LooksLikeAnother when there are more; the same ID number is always the same person.
    """
    twins = queries.same_person(
        conn,
        name=person.name,
        birth_date=person.birth_date,
        phone=person.phone,
        id_digest=id_number.digest if id_number else None,
    )
    if any(twin.why is Likeness.SAME_ID_NUMBER or twin.patient.id not in distinct_from for twin in twins):
        raise LooksLikeAnother(twins)
    patient = queries.insert(
        conn, mrn=desk.number(conn, "mrn"), name=person.name, sex=person.sex, birth_date=person.birth_date,
        phone=person.phone, id_type=person.id_type, id_number=id_number, address=person.address,
        occupation=person.occupation, guardian_name=person.guardian_name, guardian_relation=person.guardian_relation,
        guardian_phone=person.guardian_phone,
        at=desk.moment.at, by=desk.staff_id,
    )  # fmt: skip
    for twin in twins:
        apart.say(conn, patient.id, twin.patient.id, desk)
    detail = {"distinct_from": sorted(twin.patient.id for twin in twins)} if twins else {}
    desk.trace(conn, "patient_created", f"patient:{patient.id}", **detail)
    desk.tell(conn, patient)
    return patient


def change(
    conn: Connection, patient_id: str, version: int, person: Person, id_number: SealedId | None, desk: Desk
) -> Patient:
    """Bring a record to what the form says; writes nothing when it says that already.

    Raises ChangedMeanwhile when the record is not at `version` any more, or was merged into another, and the form would
    change it, LooksLikeAnother when another record has the new ID number, also one that was merged into this one,
    KeyError for an unknown record.
    """
    now = queries.current(conn, patient_id)
    if now is None:
        raise KeyError(patient_id)
    changes = differences(now, person, new_number=id_number is not None)
    if not changes:
        return now
    if now.id != patient_id:
        raise ChangedMeanwhile(now)
    if id_number is not None:
        twins = queries.same_person(
            conn, name="", birth_date=person.birth_date, id_digest=id_number.digest, except_id=patient_id
        )
        # A number stands in one record; the twin may be one that was merged into this.
        if twins or (twins := queries.holders(conn, id_number.digest, except_id=patient_id)):
            raise LooksLikeAnother(twins)
    changed = queries.update(
        conn, patient_id, version=version, name=person.name, sex=person.sex, birth_date=person.birth_date,
        phone=person.phone, address=person.address, id_type=person.id_type, id_number=id_number, at=desk.moment.at,
        occupation=person.occupation, guardian_name=person.guardian_name, guardian_relation=person.guardian_relation,
        guardian_phone=person.guardian_phone,
    )  # fmt: skip
    if changed is None:
        raise ChangedMeanwhile(now)
    desk.trace(conn, "patient_changed", f"patient:{patient_id}", fields=changes, version=changed.version)
    desk.tell(conn, changed)
    return changed


def differences(now: Patient, person: Person, *, new_number: bool) -> list[str]:
    """The names of the fields in which a form differs from a record."""
    pairs = {
        "name": (now.name, person.name),
        "sex": (now.sex, person.sex),
        "birth_date": (now.birth_date, person.birth_date),
        "id_type": (now.id_type, person.id_type),
        "phone": (now.phone, person.phone),
        "address": (now.address, person.address),
        "occupation": (now.occupation, person.occupation),
        "guardian_name": (now.guardian_name, person.guardian_name),
        "guardian_relation": (now.guardian_relation, person.guardian_relation),
        "guardian_phone": (now.guardian_phone, person.guardian_phone),
    }
    return [field for field, (old, new) in pairs.items() if old != new] + (["id_number"] if new_number else [])
