"""What a receiver is told of a signed sheet. Pure.

As with a note: who the patient is and what was signed, no address, no phone and no document number.
"""

from __future__ import annotations

from typing import Any

from edge_node.base.clock import utc_text
from edge_node.his.patients.message import identity
from edge_node.his.prescriptions.body import Read
from edge_node.his.prescriptions.sheets import Prescription
from edge_node.his.reception.queries import QueueEntry

TOPIC = "prescription"
SCHEMA = 1


def of_version(sheet: Prescription, entry: QueueEntry, read: Read, *, doctor_code: str) -> dict[str, Any]:
    """The body of the message about the newest version of a sheet; a change is the next version of the same sheet."""
    version = sheet.versions[0]
    return {
        "schema": SCHEMA,
        "prescription": sheet.id,
        "encounter": sheet.encounter_id,
        "visit_no": entry.visit_no,
        "version": version.n,
        "number": version.rx_no,
        "form": sheet.form,
        "kind": version.kind,
        "valid_until": version.valid_until,
        "doctor": doctor_code,
        "signed_at": utc_text(version.signed_at),
        "clock": version.clock_state,
        "reason": version.reason,
        "patient": identity(entry.patient),
        "doses": read.sheet.doses,
        "total_fen": version.total_fen,
        "lines": [
            {
                "drug": line.entry.drug.code,
                "name": line.entry.drug.name,
                "dose": str(line.line.dose),
                "unit": line.entry.drug.unit,
                "route": line.line.route,
                "frequency": line.line.frequency,
                "days": line.line.days,
                "packs": line.packs,
            }
            for line in read.priced
        ],
        "reasons": dict(version.body.reasons),
    }
