"""What a receiver is told of a signed note. Pure.

A message says what was signed and by whom, and who the patient is, so that a receiver can file it without having heard
of either before. It holds no address, no phone and no document number: nobody needs them to file a visit.
"""

from __future__ import annotations

from typing import Any

from edge_node.base.clock import utc_text
from edge_node.his.encounters.note import TEXT_FIELDS, stated
from edge_node.his.encounters.versions import Version
from edge_node.his.patients.message import identity
from edge_node.his.reception.queries import QueueEntry

TOPIC = "encounter"
SCHEMA = 1


def of_version(encounter_id: str, entry: QueueEntry, version: Version, *, doctor_code: str) -> dict[str, Any]:
    """The body of the message about one signed version; an amendment is the next version of the same encounter."""
    return {
        "schema": SCHEMA,
        "encounter": encounter_id,
        "version": version.n,
        "visit_no": entry.visit_no,
        "department": entry.department.code,
        "doctor": doctor_code,
        "signed_at": utc_text(version.signed_at),
        "clock": version.clock_state,
        "reason": version.reason,
        "hash": version.hash.hex(),
        "patient": identity(entry.patient),
        "diagnoses": [stated(diagnosis) for diagnosis in version.note.diagnoses],
        "note": {name: value for name in TEXT_FIELDS if (value := getattr(version.note, name))},
    }
