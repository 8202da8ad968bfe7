"""A clinic that grows: no page of a day's work walks through all patients or all visits, and nobody becomes unfindable.

What walks through a table is found by SQLite's own plan of every statement that the pages run, so that a handful of
rows tell what a hundred thousand would (`bench/bench_clinic.py` measures those).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient

from edge_node.his import request_key, seed
from edge_node.his.language import local
from edge_node.his.patients.queries import Patient
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection
from tests.support.grown import Staffed, grow, waits
from tests.support.his import His, a_his, look_for
from tests.support.people import a_patient
from tests.support.surnames import CASES

# They grow with every patient and every visit. Catalogues, staff and settings do not.
GROWING = (
    "patient", "patient_pinyin", "patient_merge", "registration", "triage", "encounter", "note_draft", "note_version",
    "diagnosis", "allergy", "prescription", "prescription_draft", "prescription_version", "prescription_line",
    "order_item", "order_result", "audit_log", "request_key", "login_attempt", "session",
)  # fmt: skip
_WALKS = re.compile(rf"SCAN ({'|'.join(GROWING)})\b")
# From the newest row backwards, and no further than to the first.
_ENDS_AT_ONCE = re.compile(r"ORDER BY seq DESC LIMIT 1$")


@dataclass
class Clinic:
    """A small clinic with a past, and everybody who works in it."""

    his: His
    people: list[Patient]
    waiting: list[str]
    encounter: str
    desks: dict[str, FlaskClient]

    def finds(self, typed: str, *, at: str = "/reception") -> str:
        """The registrar looks for somebody; the address of what was found."""
        return look_for(self.his, self.desks["reg"], typed, at=at)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with a_his(tmp_path_factory.mktemp("grown")) as his:
        at = his.clock.wall_ms()
        today = local(at).date()
        his.write(lambda conn: seed.plant(conn, at=at, training=True, hash_password=str, make_password=str))
        (department,) = his.conn.execute("SELECT id FROM department WHERE code = 'internal'").fetchone()
        roles = {"reg": Role.REGISTRAR, "nurse": Role.NURSE, "doc": Role.DOCTOR}
        staff = {code: his.add_staff(code, role, department_id=department) for code, role in roles.items()}
        staffed = Staffed(registrar=staff["reg"], doctor=staff["doc"], department=department)

        def plant(conn: Connection) -> tuple[list[Patient], list[str]]:
            people = grow(conn, staffed, people=60, visits=80, today=today, at=at)
            for name in sorted({name for name, _, _ in CASES}):
                a_patient(conn, name, by=staffed.registrar)
            return people, waits(conn, staffed, people[:12], today=today, at=at)

        people, waiting = his.write(plant)
        desks = {code: his.sign_in(code, client=his.browser()) for code in roles}
        begun = his.post(desks["doc"], f"/encounters/queue/{waiting[0]}")
        yield Clinic(his, people, waiting, begun.location.rsplit("/", 1)[-1], desks)


PAGES: list[tuple[str, str, Callable[[Clinic], str]]] = [
    ("reg", "the desk", lambda c: "/reception"),
    ("reg", "a chosen patient", lambda c: f"/reception?patient={c.people[0].id}"),
    ("reg", "a search by initials", lambda c: c.finds("wxl")),
    ("reg", "initials and year", lambda c: c.finds("wxl 1980")),
    ("reg", "a search by phone", lambda c: c.finds("13000000007")),
    ("reg", "a registration", lambda c: f"/reception/{c.waiting[1]}"),
    ("reg", "a record", lambda c: f"/patients/{c.people[0].id}"),
    ("nurse", "the nurse's queue", lambda c: "/triage"),
    ("nurse", "a triage", lambda c: f"/triage/{c.waiting[1]}"),
    ("doc", "the doctor's queue", lambda c: "/encounters/?all=1"),
    ("doc", "somebody who waits", lambda c: f"/encounters/queue/{c.waiting[2]}"),
    ("doc", "the doctor's page", lambda c: f"/encounters/{c.encounter}"),
    ("doc", "its versions", lambda c: f"/encounters/{c.encounter}/versions"),
]


@pytest.mark.parametrize(("who", "what", "path"), PAGES, ids=[what for _, what, _ in PAGES])
def test_no_page_of_the_day_walks_through_what_grows(
    clinic: Clinic, who: str, what: str, path: Callable[[Clinic], str]
) -> None:
    walked = walks(clinic, lambda: clinic.desks[who].get(path(clinic)).status_code, expect=200)
    assert not walked, "\n".join(walked)


@pytest.mark.parametrize("at", ["/reception", "/patients"])
def test_looking_somebody_up_by_number_walks_through_nothing(clinic: Clinic, at: str) -> None:
    desk, mrn = clinic.desks["reg"], clinic.people[3].mrn
    form = {"csrf_token": clinic.his.csrf(desk, "/reception"), "q": mrn}
    assert not walks(clinic, lambda: desk.post(f"{at}/find", data=form).status_code, expect=302)


def test_saving_walks_through_nothing_either(clinic: Clinic) -> None:
    his, waiting = clinic.his, clinic.waiting[3]
    form = {
        "csrf_token": his.csrf(clinic.desks["reg"], "/reception"), "request_key": request_key.new(), "name": "单雅琴",
        "sex": "2", "birth_date": "1980-03-14", "id_type": "none", "phone": "13805162207",
        "department_id": clinic.his.conn.execute("SELECT id FROM department WHERE code = 'surgery'").fetchone()[0],
    }  # fmt: skip
    # Names that sound alike are shown first; who says that it is somebody else registers.
    held = clinic.desks["reg"].post("/reception", data=form)
    if held.status_code == 409:
        found = re.search(r'name="distinct_from" value="([^"]*)"', held.text)
        form |= {"distinct_from": found[1] if found else ""}
    assert not walks(clinic, lambda: clinic.desks["reg"].post("/reception", data=form).status_code, expect=302)
    token = his.csrf(clinic.desks["nurse"], "/triage")
    measured = {"csrf_token": token, "request_key": request_key.new(), "level": "4", "pulse": "80"}
    assert not walks(
        clinic, lambda: clinic.desks["nurse"].post(f"/triage/{waiting}", data=measured).status_code, expect=302
    )
    token = his.csrf(clinic.desks["doc"], "/encounters/")
    called = {"csrf_token": token, "request_key": request_key.new()}
    assert not walks(clinic, lambda: clinic.desks["doc"].post("/encounters/call", data=called).status_code, expect=302)


def test_the_look_at_plans_sees_a_walk(clinic: Clinic) -> None:
    def work() -> int:
        return len(clinic.his.conn.execute("SELECT id FROM patient WHERE address LIKE '%x%'").fetchall())

    assert walks(clinic, work, expect=0)


@pytest.mark.parametrize("name, initials", sorted({(name, initials) for name, _, initials in CASES}))
def test_difficult_surnames_are_found_by_initials(clinic: Clinic, name: str, initials: str) -> None:
    assert name in clinic.desks["reg"].get(clinic.finds(initials, at="/patients")).text


def walks(clinic: Clinic, work: Callable[[], int], *, expect: int) -> list[str]:
    """Statements that walk through a table that grows while `work` is done, with their plans."""
    said: list[str] = []
    reader, writer = clinic.his.conn, clinic.his.context.writer._conn
    for conn in (reader, writer):
        conn.set_trace_callback(said.append)
    try:
        assert work() == expect
    finally:
        for conn in (reader, writer):
            conn.set_trace_callback(None)
    found = []
    judged = {one for one in said if re.match(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT)", one)}
    for statement in sorted(one for one in judged if not _ENDS_AT_ONCE.search(one)):
        plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {statement}")]
        if any(_WALKS.search(step) for step in plan):
            found.append(f"{' '.join(statement.split())}\n  {' | '.join(plan)}")
    return found
