"""What a receiver is told of a patient. Pure."""

from __future__ import annotations

from typing import Any

from edge_node.his.patients.queries import Patient

TOPIC = "patient"
SCHEMA = 1


def identity(patient: Patient) -> dict[str, Any]:
    """Who a message speaks of; sex as GB/T 2261.1 codes it."""
    return {
        "id": patient.id,
        "mrn": patient.mrn,
        "name": patient.name,
        "sex": int(patient.sex),
        "birth_date": patient.birth_date.isoformat(),
    }


def of_patient(patient: Patient, *, at: str, into: Patient | None = None) -> dict[str, Any]:
    """The body of the message about a record as it is now; the highest version is the newest.

    While it is merged into another, that one is named; a newer message without it says that this was undone.
    """
    merged = {"merged_into": {"id": into.id, "mrn": into.mrn}} if into else {}
    return {"schema": SCHEMA, "version": patient.version, "at": at, "patient": identity(patient), **merged}
