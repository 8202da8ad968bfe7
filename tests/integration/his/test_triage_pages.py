"""The nurse's pages: measured once for everybody, and who is in danger goes ahead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html import unescape
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from edge_node.his import request_key
from edge_node.his.audit import verify
from edge_node.his.encounters import queries as encounters
from edge_node.his.patients import allergies
from edge_node.his.patients.allergies import Face
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.reception.rules import Status
from edge_node.his.staff.model import Role
from edge_node.his.triage import queries
from edge_node.his.triage.rules import Level
from tests.support.encounters import Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        clinic.staff["lin"] = his.add_staff("lin", Role.NURSE, name="林芳")
        his.sign_in("lin")
        yield clinic


def measures(clinic: Clinic, entry: QueueEntry, level: int = 3, **fields: str) -> TestResponse:
    return clinic.his.post(clinic.his.client, f"/triage/{entry.registration_id}", level=str(level), **fields)


def words(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page).split())


def order(page: str) -> list[str]:
    """The names of the rows of a queue, from the top."""
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return re.findall(r'<th scope="row">.*?(甲一|乙二|丙三|丁四)', table, re.DOTALL)


def test_the_newest_measuring_counts_and_the_old_ones_stay(clinic: Clinic) -> None:
    entry = clinic.comes("单雅琴")
    page = clinic.his.client.get("/triage").text
    assert "Not triaged" in page
    assert "1 waiting, 1 not measured yet" in page
    measures(clinic, entry, temperature="38.2", oxygen="97", weight_kg="52.5", note="面色苍白")
    clinic.his.clock.advance(600)
    saved = measures(clinic, entry, level=4, temperature="37.1")
    shown = words(clinic.his.client.get(saved.location).text)
    assert "Level 4, not urgent" in shown
    assert "37.1 ℃" in shown
    assert "38.2 ℃" not in shown
    newest = queries.newest(clinic.his.conn, entry.registration_id)
    assert newest is not None
    assert (newest.measured.temperature, newest.level, newest.by) == ("37.1", Level.NOT_URGENT, "林芳")
    again = clinic.his.client.get(f"/triage/{entry.registration_id}").text
    assert "38.2 ℃" in again
    assert "面色苍白" in again
    actions = [row[0] for row in clinic.his.conn.execute("SELECT action FROM audit_log WHERE action = 'triaged'")]
    assert len(actions) == 2
    assert verify(clinic.his.conn) is None


def test_weight_is_not_typed_twice(clinic: Clinic) -> None:
    entry = clinic.comes("单雅琴")
    measures(clinic, entry, weight_kg="52.5", temperature="38.2", pregnant="1")
    page = clinic.his.client.get(f"/triage/{entry.registration_id}").text
    assert 'value="52.5"' in page
    assert 'value="38.2"' not in page
    assert '<option value="1" selected>' in page


def test_levels_one_and_two_go_ahead_on_every_page_and_are_called_first(clinic: Clinic) -> None:
    one, two, three, four = (clinic.comes(name) for name in ("甲一", "乙二", "丙三", "丁四"))
    measures(clinic, three, level=2)
    saved = measures(clinic, four, level=1)
    measures(clinic, one, level=4)
    measures(clinic, two, level=3)
    assert "Goes ahead of whoever is less urgent" in clinic.his.client.get(saved.location).text
    turn = ["丁四", "丙三", "甲一", "乙二"]
    page = clinic.his.client.get("/triage").text
    assert order(page) == turn
    assert "levels 1 and 2 first, all others as they came" in page
    desk = clinic.his.client.get("/reception").text
    assert order(desk) == turn
    assert "levels 1 and 2 first, then longest wait" in desk
    assert "Level 1" in words(desk)
    assert [reception.ahead(clinic.his.conn, entry) for entry in (one, two)] == [2, 3]
    third = reception.entry(clinic.his.conn, three.registration_id)
    assert third is not None
    assert reception.ahead(clinic.his.conn, third) == 1
    department, doctor, at = clinic.departments["internal"], clinic.staff["shen"], clinic.his.clock.wall_ms()
    call = partial(
        encounters.call_next, queue_date=clinic.today, department_id=department, doctor_id=doctor, at=at
    )  # fmt: skip
    called = []
    for _ in turn:
        encounter_id = clinic.his.write(call)
        assert encounter_id is not None
        found = encounters.get(clinic.his.conn, encounter_id)
        assert found is not None
        called.append(found.registration_id)
    assert called == [entry.registration_id for entry in (four, three, one, two)]


def test_without_an_urgent_one_they_are_called_as_they_came(clinic: Clinic) -> None:
    entries = [clinic.comes(name) for name in ("甲一", "乙二", "丙三")]
    for entry, level in zip(entries, (4, 3, 4), strict=True):
        measures(clinic, entry, level=level)
    desk = clinic.his.client.get("/reception").text
    assert order(desk) == ["甲一", "乙二", "丙三"]
    assert "longest wait first" in desk


def test_a_slip_comes_back_with_everything_typed_and_nothing_is_kept(clinic: Clinic) -> None:
    entry = clinic.comes("单雅琴")
    answer = measures(clinic, entry, level=0, temperature="382", weight_kg="x" * 500, note="丁" * 201, substance="无")
    assert answer.status_code == 422
    assert "Not saved yet: 5 places to mend" in answer.text
    for field in ("level", "temperature", "weight_kg", "note", "substance"):
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}-note"' in answer.text
    assert 'value="382"' in answer.text
    assert "丁" * 201 in answer.text
    assert queries.newest(clinic.his.conn, entry.registration_id) is None
    assert allergies.of_patient(clinic.his.conn, entry.patient.id).face is Face.UNASKED


def test_the_answer_about_allergies_is_kept_with_the_measuring(clinic: Clinic) -> None:
    one, two = clinic.comes("甲一"), clinic.comes("乙二")
    measures(clinic, one, asked="1")
    measures(clinic, two, substance="青霉素", reaction="皮疹")
    found = allergies.of_patients(clinic.his.conn, [one.patient.id, two.patient.id])
    assert [found[entry.patient.id].face for entry in (one, two)] == [Face.NONE, Face.KNOWN]
    again = measures(clinic, two, substance="青霉素")
    assert (again.status_code, "This is on record already" in again.text) == (409, True)
    assert len(queries.all_of(clinic.his.conn, two.registration_id)) == 1
    assert "Asked: nothing new" in again.text


def test_a_post_twice_is_one_measuring(clinic: Clinic) -> None:
    entry, token = clinic.comes("单雅琴"), request_key.new()
    for _ in range(2):
        assert measures(clinic, entry, pulse="88", request_key=token).status_code == 302
    assert len(queries.all_of(clinic.his.conn, entry.registration_id)) == 1


def test_who_has_gone_home_is_not_measured(clinic: Clinic) -> None:
    entry = clinic.comes("单雅琴")
    clinic.his.write(partial(reception.set_status, registration_id=entry.registration_id, status=Status.CANCELLED))
    answer = measures(clinic, entry, pulse="88")
    assert (answer.status_code, "nothing can be measured" in answer.text) == (409, True)
    assert queries.newest(clinic.his.conn, entry.registration_id) is None


def test_what_wants_a_second_look_is_said_after_saving(clinic: Clinic) -> None:
    entry = clinic.comes("单雅琴")
    page = clinic.his.client.get(measures(clinic, entry, oxygen="91", blood_pressure="190/120").location).text
    assert "Oxygen saturation 91% is low" in page
    assert "very high: measure again after a rest" in page


def test_only_who_treats_measures(clinic: Clinic) -> None:
    entry = clinic.comes("单雅琴")
    registrar = clinic.his.sign_in("zhou", client=clinic.his.browser())
    assert registrar.get("/triage").status_code == 403
    assert "/triage" not in registrar.get("/reception").text
    assert clinic.his.post(registrar, f"/triage/{entry.registration_id}", level="1").status_code == 403
    assert 'href="/triage"' in clinic.his.client.get("/reception").text
    assert clinic.his.client.get("/triage/nobody").status_code == 404


PEOPLE = 40


def many(clinic: Clinic, count: int) -> list[QueueEntry]:
    """So many come; the nurse's desk has locked itself meanwhile."""
    entries = [clinic.comes("甲一") for _ in range(count)]
    clinic.his.sign_in("lin")
    return entries


def numbers(page: str) -> list[str]:
    """The queue numbers of the rows, from the top."""
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return re.findall(r'<td class="strong nowrap"><span[^>]*>内 (\d+)</span>', table)


def test_a_long_queue_comes_page_by_page_and_each_row_once(clinic: Clinic) -> None:
    entries = many(clinic, PEOPLE)
    measures(clinic, entries[-1], level=1)
    found, path = list[str](), "/triage?department=" + clinic.departments["internal"]
    while path:
        page = clinic.his.client.get(path).text
        assert len(numbers(page)) <= 15 and "40 waiting, 39 not measured yet" in page
        found += numbers(page)
        following = re.search(r'href="([^"]+)">Next<', page)
        path = unescape(following[1]) if following else ""
    assert found == [f"{PEOPLE:02}", *(f"{n:02}" for n in range(1, PEOPLE))], "who is in danger is on the first page"
    assert "31–40 of 40" in page and "Previous" in page
    assert numbers(clinic.his.client.get("/triage?page=99").text) == numbers(page), "the nearest that there is"
    assert re.findall(r'data-key="(\d)"', page) == [str(n) for n in range(1, 10)], "keys count on each page"


def test_who_was_not_measured_is_worked_through_by_the_first_key(clinic: Clinic) -> None:
    """The one at the top, saved, and the next is at the top: also where the unmeasured stand far back in the queue."""
    entries = many(clinic, 18)
    for entry in entries[:16]:
        measures(clinic, entry)
    path = "/triage?only=unmeasured"
    for left in (["17", "18"], ["18"]):
        page = clinic.his.client.get(path).text
        assert numbers(page) == left
        first = re.search(r'href="([^"]+)" data-key="1"', page)
        assert first is not None
        form = re.search(r'action="(/triage/[^"]+)"', clinic.his.client.get(unescape(first[1])).text)
        assert form is not None
        path = clinic.his.post(clinic.his.client, unescape(form[1]), level="4").location
        assert "only=unmeasured" in path
    page = clinic.his.client.get(path).text
    assert "Everybody who waits was measured" in page and numbers(page) == []
    assert len(numbers(clinic.his.client.get("/triage").text)) == 15
