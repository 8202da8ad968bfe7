"""One form, one outcome: pressed twice at once, sent by a connection that died before the answer, posted again after
going back. Over the real server, since what a lost connection does is decided there.

Two people at one note: `test_conflict_pages`; at one sheet: `test_sheet_pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from edge_node.his import request_key
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.staff.model import Role
from tests.support.desk import name_of, phone_number
from tests.support.served_clinic import Served, a_served_clinic
from tests.support.waiting import until

AT_ONCE = 4
Form = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that is done once: by whom, the form, and what to count; `:id` is the encounter or registration."""

    role: Role
    form: Callable[[Clinic], Form]
    count: str


class Clinic:
    """Patients who have come, one for each case."""

    def __init__(self, served: Served) -> None:
        self.served, self._number = served, 0

    def person(self) -> dict[str, str]:
        """Somebody who is like nobody else."""
        self._number += 1
        phone = phone_number(1000 * self._number + 7)
        return {
            "name": name_of(phone), "sex": "2", "birth_date": f"19{50 + self._number % 45}-03-14", "phone": phone,
            "id_type": "none", "department_id": self.served.department(),
        }  # fmt: skip

    def waits(self) -> str:
        """The id of a registration."""
        answer = self.served.post(Role.REGISTRAR, "/reception", self.person() | key())
        assert answer.status == 302, answer.body
        return answer.location.partition("registered=")[2]

    def begun(self) -> str:
        """The id of an encounter."""
        answer = self.served.post(Role.DOCTOR, f"/encounters/queue/{self.waits()}", {})
        return answer.location.rpartition("/")[2]

    def patient(self) -> str:
        return str(self._one("SELECT patient_id FROM registration WHERE id = ?", self.waits()))

    def signed(self) -> str:
        """The id of a registration whose note is signed."""
        encounter = self.begun()
        answer = self.served.post(Role.DOCTOR, f"/encounters/{encounter}", note("sign"))
        assert answer.status == 302, answer.body
        return str(self._one("SELECT registration_id FROM encounter WHERE id = ?", encounter))

    def _one(self, sql: str, value: str) -> object:
        return self.served.conn.execute(sql, (value,)).fetchone()[0]


def key() -> dict[str, str]:
    return {"request_key": request_key.new()}


def note(action: str) -> dict[str, str]:
    return {
        "revision": "0", "version": "1", "action": action, "complaint": "咳嗽 5 天",
        "diagnosis": "J20.900|急性支气管炎", **key(),
    }  # fmt: skip


def a_drug(clinic: Clinic) -> Form:
    drug = catalogues.find_drugs(clinic.served.conn, "blf", herbal=False)[0]
    return f"/encounters/{clinic.begun()}", note("") | {"rx-add": drug.id}


CASES: Mapping[str, Case] = {
    "registration": Case(
        role=Role.REGISTRAR, form=lambda clinic: ("/reception", clinic.person() | key()),
        count="SELECT (SELECT count(*) FROM registration) + 100 * (SELECT count(*) FROM patient)",
    ),
    "record": Case(
        role=Role.REGISTRAR, form=lambda clinic: ("/patients/new", clinic.person() | key()),
        count="SELECT count(*) FROM patient",
    ),
    "return": Case(
        role=Role.REGISTRAR, form=lambda clinic: (f"/reception/{clinic.signed()}/return", key()),
        count="SELECT count(*) FROM registration",
    ),
    "triage": Case(
        role=Role.NURSE, form=lambda clinic: (f"/triage/{clinic.waits()}", {"level": "3", "pulse": "80", **key()}),
        count="SELECT count(*) FROM triage",
    ),
    "allergy": Case(
        role=Role.NURSE,
        form=lambda clinic: (f"/patients/{clinic.patient()}/allergies", {"substance": "青霉素", **key()}),
        count="SELECT count(*) FROM allergy",
    ),
    "call": Case(
        role=Role.DOCTOR, form=lambda clinic: ("/encounters/call", key() if clinic.waits() else {}),
        count="SELECT count(*) FROM encounter",
    ),
    "draft": Case(
        role=Role.DOCTOR, form=lambda clinic: (f"/encounters/{clinic.begun()}", note("save")),
        count="SELECT count(*) FROM note_draft",
    ),
    "sheet": Case(
        role=Role.DOCTOR, form=a_drug, count="SELECT count(*) + 100 * (SELECT count(*) FROM prescription) "
        "FROM prescription_draft",
    ),
    "signature": Case(
        role=Role.DOCTOR, form=lambda clinic: (f"/encounters/{clinic.begun()}", note("sign")),
        count="SELECT count(*) FROM note_version",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with a_served_clinic(tmp_path_factory.mktemp("once")) as served:
        yield Clinic(served)


def counted(clinic: Clinic, case: Case) -> int:
    return int(clinic.served.conn.execute(case.count).fetchone()[0])


def one_more(case: str) -> int:
    """What one outcome adds to the count."""
    return 101 if case in ("registration", "sheet") else 1


@pytest.mark.parametrize("what", CASES)
def test_pressed_many_times_at_once(clinic: Clinic, what: str) -> None:
    case = CASES[what]
    path, fields = case.form(clinic)
    before = counted(clinic, case)
    clinic.served.desk(case.role)
    with ThreadPoolExecutor(AT_ONCE) as presses:
        asked = [presses.submit(clinic.served.post_apart, case.role, path, fields) for _ in range(AT_ONCE)]
        answers = [one.result() for one in asked]
    assert counted(clinic, case) - before == one_more(what)
    assert {answer.status for answer in answers} == {302}
    assert len({answer.location for answer in answers}) == 1, "every press leads to the one outcome"


@pytest.mark.parametrize("what", CASES)
def test_a_connection_that_dies_before_the_answer(clinic: Clinic, what: str) -> None:
    """Whether the first post was saved or not: the person presses again, and it is saved once."""
    case = CASES[what]
    path, fields = case.form(clinic)
    before = counted(clinic, case)
    clinic.served.post_and_die(case.role, path, fields)
    answers = [clinic.served.post(case.role, path, fields) for _ in range(2)]
    assert {answer.status for answer in answers} == {302}
    assert len({answer.location for answer in answers}) == 1
    # The server is done with the dead connection when it has counted its request.
    until(lambda: counted(clinic, case) - before == one_more(what), within_s=10)
    assert counted(clinic, case) - before == one_more(what)


def test_after_going_back_another_person_is_another_registration(clinic: Clinic) -> None:
    """The form of the browser's memory carries its old key: filled anew it is not taken for the first one."""
    first, token = clinic.person(), key()
    answers = [clinic.served.post(Role.REGISTRAR, "/reception", one | token) for one in (first, clinic.person(), first)]
    assert [answer.status for answer in answers] == [302] * 3
    assert answers[0].location == answers[2].location != answers[1].location


def test_after_going_back_an_old_draft_overwrites_nothing(clinic: Clinic) -> None:
    path = f"/encounters/{clinic.begun()}"
    assert clinic.served.post(Role.DOCTOR, path, note("save")).status == 302
    newer = note("save") | {"revision": "1", "history": "夜间加重"}
    assert clinic.served.post(Role.DOCTOR, path, newer).status == 302
    old = clinic.served.post(Role.DOCTOR, path, note("save") | {"complaint": "咳嗽 6 天"})
    assert old.status == 409 and "夜间加重" in old.body and "咳嗽 6 天" in old.body
    again = clinic.served.post(Role.DOCTOR, path, newer)
    assert again.status == 302, "what is saved already is not saved again"
