"""What a registration may become; which fields of a visit are taken."""

from __future__ import annotations

from itertools import product

import pytest

from edge_node.his.reception.forms import ThisVisit, parse
from edge_node.his.reception.queries import Department, Doctor
from edge_node.his.reception.rules import Status, may_become, queue_label, waited_minutes

INTERNAL = Department(id="d1", code="IM", mark="内", name="内科", name_en="Internal medicine")
PAEDIATRICS = Department(id="d2", code="PE", mark="儿", name="儿科", name_en="Paediatrics")
SHEN = Doctor(id="s1", name="沈立群", department_id="d1", waiting=2)
GUO = Doctor(id="s2", name="郭宁", department_id="d2", waiting=0)

ALLOWED = {
    (Status.WAITING, Status.WITH_DOCTOR),
    (Status.WAITING, Status.CANCELLED),
    (Status.WITH_DOCTOR, Status.WAITING),
    (Status.WITH_DOCTOR, Status.DONE),
}


@pytest.mark.parametrize(("now", "then"), list(product(Status, Status)), ids=lambda status: str(status))
def test_transitions(now: Status, then: Status) -> None:
    assert may_become(now, then) == ((now, then) in ALLOWED)


@pytest.mark.parametrize(("no", "label"), [(1, "内 01"), (12, "内 12"), (104, "内 104")])
def test_queue_label(no: int, label: str) -> None:
    assert queue_label("内", no) == label


@pytest.mark.parametrize(("later_ms", "minutes"), [(0, 0), (59_999, 0), (60_000, 1), (3_600_000, 60), (-5_000, 0)])
def test_waited_minutes(later_ms: int, minutes: int) -> None:
    assert waited_minutes(1_795_000_000_000, 1_795_000_000_000 + later_ms) == minutes


@pytest.mark.parametrize(
    ("form", "outcome"),
    [
        pytest.param({"department_id": "d1"}, ThisVisit(department_id="d1", doctor_id=None), id="whoever-is-free"),
        pytest.param(
            {"department_id": "d1", "doctor_id": "s1"}, ThisVisit(department_id="d1", doctor_id="s1"), id="asked"
        ),
        pytest.param({"doctor_id": "s2"}, ThisVisit(department_id="d2", doctor_id="s2"), id="the-doctor-is-enough"),
        pytest.param({}, "department_id", id="nothing-chosen"),
        pytest.param({"department_id": "d9"}, "department_id", id="closed-department"),
        pytest.param({"department_id": "d1", "doctor_id": "s9"}, "doctor_id", id="doctor-left"),
        pytest.param({"department_id": "d1", "doctor_id": "s2"}, "doctor_id", id="doctor-of-another-department"),
    ],
)
def test_this_visit(form: dict[str, str], outcome: ThisVisit | str) -> None:
    found = parse(form, departments=[INTERNAL, PAEDIATRICS], doctors=[SHEN, GUO])
    assert ([problem.field for problem in found] if isinstance(found, list) else found) == (
        [outcome] if isinstance(outcome, str) else outcome
    )
