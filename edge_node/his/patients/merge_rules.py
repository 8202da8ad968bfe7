"""Whether two records may be merged, which of them is the better one to keep, and in what they differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.his.forms import FieldProblem
from edge_node.his.patients.identity import IdType
from edge_node.his.patients.queries import Patient, Visit
from edge_node.i18n import Text, text

REASON_MAX = 200
LABELS: Mapping[str, Text] = {"kept": text("Record to keep"), "reason": text("Reason"), "mrn": text("Record no.")}
_COMPARED = (
    "name", "sex", "birth_date", "id_type", "id_number_masked", "phone", "address", "occupation", "guardian_name",
    "guardian_relation", "guardian_phone",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two records that are compared. `open_today`: the queue numbers under which its person is here now."""

    patient: Patient
    visits: Sequence[Visit]
    open_today: Sequence[str]


def differing(one: Patient, other: Patient) -> frozenset[str]:
    """The fields in which two records differ."""
    return frozenset(field for field in _COMPARED if getattr(one, field) != getattr(other, field))


def hindrance(one: Side, other: Side) -> Text | None:
    """Why two records cannot be merged, whichever is kept, with what to do about it; None when they can."""
    if one.patient.id == other.patient.id:
        return text("These are one record already")
    if one.patient.id_type is other.patient.id_type is IdType.RESIDENT:
        # Equal numbers cannot stand in two records: these two are different, and a person has one.
        return text("Both have an ID card number, and a person has one: correct the wrong one first, or leave them")
    if one.open_today and other.open_today:
        return text(
            "Both are in today's queue (%(one)s, %(other)s): cancel one of the registrations first, or wait until one "
            "visit is over",
            one=" · ".join(one.open_today),
            other=" · ".join(other.open_today),
        )
    return None


def choice_problem(kept: Patient, merged: Patient) -> FieldProblem | None:
    """What is wrong with keeping this one of the two: a document's number must stand in the record that is shown."""
    if kept.id_type is IdType.NONE and merged.id_type is not IdType.NONE:
        return FieldProblem(
            field="kept", text=text("Keep %(mrn)s: it is the one with a document's number", mrn=merged.mrn)
        )
    return None


def suggested(one: Side, other: Side) -> str:
    """The id of the record to keep: that with a document, else that with more visits, else the older one."""

    def worth(side: Side) -> tuple[bool, int]:
        return side.patient.id_type is not IdType.NONE, len(side.visits)

    if worth(one) != worth(other):
        return max(one, other, key=worth).patient.id
    return min(one.patient.id, other.patient.id)


def read(form: Mapping[str, str], one: Patient, other: Patient) -> tuple[Patient, Patient, str] | list[FieldProblem]:
    """The form of a merge: which is kept, which is merged, and why."""
    reason = why(form)
    problems = [reason] if isinstance(reason, FieldProblem) else []
    sides = {one.id: (one, other), other.id: (other, one)}
    if (chosen := sides.get(form.get("kept", ""))) is None:
        return [FieldProblem(field="kept", text=text("Choose the record that is kept")), *problems]
    if refused := choice_problem(*chosen):
        problems.insert(0, refused)
    return problems if isinstance(reason, FieldProblem) or problems else (*chosen, reason)


def why(form: Mapping[str, str]) -> str | FieldProblem:
    """The reason of a merge or of undoing one."""
    reason = " ".join(form.get("reason", "").split())
    if not reason:
        return FieldProblem(field="reason", text=text("Write why, in a few words"))
    if len(reason) > REASON_MAX:
        return FieldProblem(field="reason", text=text("Too long; 200 characters at most"))
    return reason
