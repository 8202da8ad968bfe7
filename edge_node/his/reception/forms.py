"""The registration form: the fields of this visit. The person's are read by patients.forms. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.his.forms import FieldProblem
from edge_node.his.reception.queries import Department, Doctor
from edge_node.i18n import Text, text

LABELS: Mapping[str, Text] = {"department_id": text("Department"), "doctor_id": text("Doctor")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisVisit:
    """Where a patient is to be seen; `doctor_id` None: by whoever is free."""

    department_id: str
    doctor_id: str | None


def parse(
    form: Mapping[str, str], *, departments: Sequence[Department], doctors: Sequence[Doctor]
) -> ThisVisit | list[FieldProblem]:
    """Read the fields of this visit. A doctor alone is enough; a doctor of another department is a slip."""
    department_id, doctor_id = form.get("department_id", ""), form.get("doctor_id", "")
    open_ones = {department.id for department in departments}
    doctor = next((doctor for doctor in doctors if doctor.id == doctor_id), None)
    if department_id and department_id not in open_ones:
        return [FieldProblem(field="department_id", text=text("This department is closed now; choose another"))]
    if doctor_id and doctor is None:
        return [FieldProblem(field="doctor_id", text=text("This doctor is not here any more; choose another"))]
    if doctor is not None and department_id and doctor.department_id != department_id:
        return [
            FieldProblem(field="doctor_id", text=text("%(doctor)s works in another department", doctor=doctor.name))
        ]
    if not department_id and doctor is None:
        return [FieldProblem(field="department_id", text=text("Choose where the patient is to be seen"))]
    return ThisVisit(
        department_id=department_id or (doctor.department_id if doctor else ""), doctor_id=doctor.id if doctor else None
    )
