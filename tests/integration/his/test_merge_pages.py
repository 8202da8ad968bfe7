"""Two records of one person: merged, read as one everywhere, and parted again with each having its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from html import unescape

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.his import audit, request_key
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs
from edge_node.his.context import EXTENSION
from edge_node.his.encounters import queries as encounters
from edge_node.his.patients import allergies, pinyin, queries, records
from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Patient
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Kind
from edge_node.his.staff.model import Role
from edge_node.outbox.model import Route
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.his import His, a_his, look_for
from tests.support.people import an_id_number

# Surnames and given names that sound like nobody else's of this file.
_NAMES = iter("赵钱孙李周吴郑冯陈褚卫蒋韩杨朱秦尤许何吕")


@dataclass
class Desk:
    """A clinic with somebody of every role at a browser of their own."""

    clinic: Clinic
    browsers: dict[Role, FlaskClient] = field(default_factory=dict)
    count: int = 0

    @property
    def his(self) -> His:
        return self.clinic.his

    def makes(self, name: str, *, phone: str = "", card: str = "", id_type: IdType = IdType.RESIDENT) -> Patient:
        """A record, as another desk has made it some time ago."""
        self.count += 1
        mrn, at, by = f"C42A-26{self.count:08}", self.his.clock.wall_ms(), self.clinic.staff["zhou"]
        sealed = records.seal(self.his.context.cipher, card or None)
        self.his.clock.advance(1)
        return self.his.write(
            lambda conn: queries.insert(
                conn, mrn=mrn, name=name, sex=Sex.FEMALE, birth_date=date(1980, 3, 14), phone=phone, id_number=sealed,
                id_type=id_type if card else IdType.NONE, at=at, by=by,
            )
        )  # fmt: skip

    def posts(self, role: Role, path: str, **fields: str) -> TestResponse:
        return self.his.post(self.browsers[role], path, **fields)

    def merges(self, kept: Patient, merged: Patient, role: Role = Role.REGISTRAR, **fields: str) -> TestResponse:
        form = {"other": merged.id, "kept": kept.id, "reason": "同一张身份证", **fields}
        return self.posts(role, f"/patients/{kept.id}/merge", **form)

    def undoes(self, kept: Patient, merged: Patient, role: Role = Role.MANAGER, reason: str = "两个人") -> TestResponse:
        return self.posts(role, f"/patients/{kept.id}/merge/undo", merged=merged.id, reason=reason)

    def opens(self, path: str, role: Role = Role.REGISTRAR) -> TestResponse:
        return self.browsers[role].get(path)

    def finds(self, typed: str) -> str:
        return self.opens(look_for(self.his, self.browsers[Role.REGISTRAR], typed)).text

    def allergic(self, patient: Patient, substance: str) -> None:
        self.posts(Role.NURSE, f"/patients/{patient.id}/allergies", substance=substance)

    def known(self, patient: Patient) -> set[str]:
        return {allergy.substance for allergy in allergies.of_patient(self.his.conn, patient.id).known}

    def root(self, patient: Patient) -> str:
        found = queries.current(self.his.conn, patient.id)
        assert found is not None
        return found.id


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with a_his(tmp_path_factory.mktemp("his")) as his:
        clinic = Clinic(his)
        his.write(lambda conn: catalogues.keep_drugs(conn, training_drugs(), at=1))
        desk = Desk(clinic)
        for role in (Role.NURSE, Role.MANAGER, Role.PHARMACIST, Role.CASHIER, Role.ADMIN, Role.AUDITOR):
            his.add_staff(str(role), role)
        for role in Role:
            code = {Role.REGISTRAR: "zhou", Role.DOCTOR: "shen"}.get(role, str(role))
            desk.browsers[role] = his.sign_in(code, client=his.browser())
        yield desk


@pytest.fixture
def name() -> str:
    return next(_NAMES) + "小曼"


def words(answer: TestResponse) -> str:
    return " ".join(unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def traces(desk: Desk, action: str) -> list[tuple[str, dict[str, str]]]:
    rows = desk.his.conn.execute("SELECT object, detail FROM audit_log WHERE action = ? ORDER BY seq", (action,))
    return [(row["object"], json.loads(row["detail"])) for row in rows]


def test_both_are_read_as_one_until_it_is_undone(desk: Desk, name: str) -> None:
    """The whole story: two records with a history each, one doctor, and a manager who takes it back."""
    clinic, his = desk.clinic, desk.his
    card = an_id_number("1980-03-14", "302")
    old, new = desk.makes(name, phone="13805160001"), desk.makes(name + "莉", phone="13805160002", card=card)
    for patient, substance in ((old, "青霉素"), (new, "花生")):
        desk.allergic(patient, substance)
    visit = clinic.comes("", patient_id=old.id)
    doctor = Doctor(clinic, begin(desk, visit.registration_id))
    doctor.ready()
    doctor.add("W035")
    doctor.press("action", "sign", **said(doctor))
    (signed,) = doctor.sheets()
    assert signed.versions, doctor.page

    page = desk.opens(f"/patients/{new.id}/merge?other={old.id}")
    assert [page.text.count(f'name="kept" value="{one.id}"') for one in (old, new)] == [1, 1]
    assert 'checked><span class="mono">' + new.mrn in page.text, "the one with the card is proposed"
    done = desk.merges(new, old)
    assert (done.status_code, done.location) == (302, f"/patients/{new.id}?saved=merged"), done.text
    assert traces(desk, "patients_merged")[-1] == (f"patient:{new.id}", {"merged": old.id, "reason": "同一张身份证"})

    for typed in (old.mrn, old.mrn[5:], new.mrn, card):
        assert desk.posts(Role.REGISTRAR, "/patients/find", q=typed).location == f"/patients/{new.id}"
    for typed in (old.name, old.phone, old.phone[-4:], new.name, new.phone):
        found = desk.finds(typed)
        assert f'href="/patients/{new.id}"' in found, typed
        assert f'href="/patients/{old.id}"' not in found, typed
    initials = "".join(part[0] for part in re.findall("[a-z]+", pinyin.display(old.name).lower()))
    assert f'href="/patients/{new.id}"' in desk.finds(initials)
    assert desk.posts(Role.REGISTRAR, "/reception/find", q=old.mrn).location == f"/reception?patient={new.id}"
    led = desk.opens(f"/patients/{old.id}")
    assert led.location == f"/patients/{new.id}?merged={old.id}"
    shown = words(desk.opens(led.location))
    assert f"Record {old.mrn} was merged into this one" in shown
    assert visit.visit_no in shown
    assert "急性支气管炎" in shown
    assert desk.known(new) == desk.known(old) == {"青霉素", "花生"}

    # A second visit, on the kept record: the doctor has the history of both, and the warnings.
    again = clinic.comes("", patient_id=new.id)
    assert again.kind is Kind.RETURN
    doctor = Doctor(clinic, begin(desk, again.registration_id))
    assert "急性支气管炎" in doctor.page
    assert f'name="rx-repeat" value="{signed.id}"' in doctor.page
    doctor.ready()
    doctor.press("rx-repeat", signed.id)
    (repeated,) = doctor.sheets()
    assert repeated.body.lines == signed.body.lines
    assert repeated.patient_id == new.id
    assert "Same ingredient" in doctor.page, "what the other record's sheet still gives counts"
    doctor.add("W001")
    assert "Allergy. Nobody can pass it" in doctor.page, "the other record's allergy stops"
    # What is written on the kept record from now on stays there.
    desk.allergic(new, "磺胺类")
    assert desk.known(old) == {"青霉素", "花生", "磺胺类"}

    assert desk.undoes(new, old, reason=" ").status_code == 422
    assert desk.undoes(new, old).location == f"/patients/{new.id}?saved=parted"
    assert traces(desk, "merge_undone")[-1] == (f"patient:{new.id}", {"merged": old.id, "reason": "两个人"})
    assert (desk.known(old), desk.known(new)) == ({"青霉素"}, {"花生", "磺胺类"})
    assert [[v.visit_no for v in queries.visits(his.conn, one.id)] for one in (old, new)] == [
        [visit.visit_no], [again.visit_no]
    ]  # fmt: skip
    after = desk.opens(doctor.path, Role.DOCTOR).text
    assert ("急性支气管炎" in after.partition('id="note"')[0], "Same ingredient" in after) == (False, False)
    assert "Allergy. Nobody can pass it" not in after
    assert desk.opens(f"/patients/{old.id}").status_code == 200
    assert f'href="/patients/{old.id}"' in desk.finds(old.phone)
    assert audit.verify(his.conn) is None


def begin(desk: Desk, registration_id: str) -> str:
    at = desk.his.clock.wall_ms()
    encounter_id = desk.his.write(
        lambda conn: encounters.begin(conn, registration_id, doctor_id=desk.clinic.staff["shen"], at=at)
    )
    assert encounter_id
    return encounter_id


def said(doctor: Doctor) -> dict[str, str]:
    """A reason for everything that the sheet asks about."""
    return {
        found.replace("-", "__"): "已核对" for found in re.findall(r'name="(reason-[^"]*)"', doctor.page)
    }  # fmt: skip


def test_an_encounter_of_the_merged_record_is_the_kept_persons(desk: Desk, name: str) -> None:
    """Merged while the patient waits: queue and doctor have the kept record, what is written hangs on its own."""
    kept, merged = desk.makes(name, phone="13805160003"), desk.makes(name)
    desk.allergic(kept, "青霉素")
    visit = desk.clinic.comes("", patient_id=merged.id)
    assert desk.merges(kept, merged).status_code == 302
    entry = reception.entry(desk.his.conn, visit.registration_id)
    assert entry is not None
    assert entry.patient.id == kept.id
    doctor = Doctor(desk.clinic, begin(desk, visit.registration_id))
    assert "青霉素" in doctor.page
    doctor.ready()
    doctor.add("W035")
    (sheet,) = doctor.sheets()
    assert sheet.patient_id == merged.id
    desk.undoes(kept, merged)
    assert "青霉素" not in desk.opens(doctor.path, Role.DOCTOR).text.partition("</header>")[0]


def test_twice_the_same_click_is_one_merge(desk: Desk, name: str) -> None:
    kept, merged = desk.makes(name), desk.makes(name)
    token = request_key.new()
    answers = [desk.merges(kept, merged, request_key=token) for _ in range(2)]
    later = desk.merges(merged, kept, role=Role.NURSE)
    assert {answer.location for answer in (*answers, later)} == {f"/patients/{kept.id}?saved=merged"}
    assert merges_of(desk, kept, merged) == [(kept.id, merged.id)]
    again = [desk.undoes(kept, merged) for _ in range(2)]
    assert [answer.status_code for answer in again] == [302, 302]
    assert len([1 for _, detail in traces(desk, "merge_undone") if detail["merged"] == merged.id]) == 1


def test_two_people_who_merge_crosswise_at_once_make_one_merge(desk: Desk, name: str) -> None:
    one, other = desk.makes(name), desk.makes(name)
    pages = [desk.opens(f"/patients/{one.id}/merge?other={other.id}", role) for role in (Role.REGISTRAR, Role.NURSE)]
    assert [page.status_code for page in pages] == [200, 200]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(desk.merges, one, other, Role.REGISTRAR)
        second = pool.submit(desk.merges, other, one, Role.NURSE)
        locations = {first.result().location, second.result().location}
    ((kept, merged),) = merges_of(desk, one, other)
    assert {kept, merged} == {one.id, other.id}
    assert locations == {f"/patients/{kept}?saved=merged"}


def merges_of(desk: Desk, *patients: Patient) -> list[tuple[str, str]]:
    rows = desk.his.conn.execute(
        "SELECT kept_id, merged_id FROM patient_merge WHERE kept_id IN (SELECT value FROM json_each(?))",
        (json.dumps([patient.id for patient in patients]),),
    )
    return [(row["kept_id"], row["merged_id"]) for row in rows]


def test_chains_lead_to_one_record_and_come_apart_in_any_order(desk: Desk, name: str) -> None:
    a, b, c, d = (desk.makes(f"{name}{n}") for n in "甲乙丙丁")
    desk.merges(b, a)
    desk.merges(c, b)
    assert {desk.root(one) for one in (a, b, c)} == {c.id}
    stale = desk.merges(a, d)
    assert (stale.status_code, desk.root(d)) == (422, d.id)
    assert f'name="kept" value="{c.id}"' in stale.text, "what stands for it by now is shown beside the other"
    desk.merges(c, d)
    assert merges_of(desk, c)[-1] == (c.id, d.id)
    assert set(queries.records_of(desk.his.conn, a.id)) == {one.id for one in (a, b, c, d)}
    assert desk.merges(a, c).location == f"/patients/{c.id}?saved=merged", "no circle"
    desk.undoes(c, b)
    assert [desk.root(one) for one in (a, b, c, d)] == [b.id, b.id, c.id, c.id]
    desk.undoes(c, a)
    assert desk.root(a) == b.id, "it was not merged into that one any more"
    desk.undoes(b, a)
    assert [desk.root(one) for one in (a, b)] == [a.id, b.id]


def test_what_cannot_be_merged_says_why_and_keeps_what_was_typed(desk: Desk, name: str) -> None:
    one, other = desk.makes(name, card=an_id_number("1980-03-14", "304")), desk.makes(name)
    kept_without = desk.merges(other, one, reason="看过身份证")
    assert kept_without.status_code == 422
    assert f"Keep {one.mrn}: it is the one with a document" in words(kept_without)
    assert 'value="看过身份证"' in kept_without.text
    without_reason = desk.merges(one, other, reason=" ")
    assert (without_reason.status_code, "Write why" in words(without_reason)) == (422, True)
    for patient in (one, other):
        desk.clinic.comes("", patient_id=patient.id)
    refused = desk.merges(one, other)
    assert refused.status_code == 409
    assert re.search(r"Both are in today's queue \(内 \d+, 内 \d+\)", words(refused))
    assert "aria-disabled" in desk.opens(f"/patients/{one.id}/merge?other={other.id}").text
    assert desk.root(other) == other.id
    third = desk.makes(name, card=an_id_number("1980-03-14", "306"))
    assert "a person has one" in words(desk.merges(one, third))


def test_a_record_is_named_by_its_number(desk: Desk, name: str) -> None:
    one, other = desk.makes(name), desk.makes(name + "莎莎")
    path = f"/patients/{one.id}/merge"
    assert "No other record looks alike" in words(desk.opens(path))
    assert desk.posts(Role.REGISTRAR, f"{path}/with", mrn=other.mrn.lower()).location == f"{path}?other={other.id}"
    assert desk.posts(Role.REGISTRAR, f"{path}/with", mrn=" ").location == path
    for typed, why in ((one.mrn, "one record already"), ("C42A-99", "no such record")):
        answer = desk.posts(Role.REGISTRAR, f"{path}/with", mrn=typed)
        assert (answer.status_code, why in words(answer), f'value="{typed}"' in answer.text) == (422, True, True)
    assert desk.opens(f"{path}?other=nobody").status_code == 404
    assert desk.posts(Role.REGISTRAR, path, other="nobody").status_code == 404
    assert desk.posts(Role.MANAGER, f"{path}/undo", merged="nobody", reason="x").status_code == 404


def test_the_question_about_duplicates_leads_to_comparing_them(desk: Desk, name: str) -> None:
    one, other = desk.makes(name), desk.makes(name)
    form = {"name": name, "sex": "2", "birth_date": "1980-03-14", "id_type": "none"}
    held = desk.posts(Role.REGISTRAR, "/patients/new", **form)
    assert held.status_code == 409
    links = re.findall(r'href="(/patients/\w+/merge\?other=\w+)"', held.text)
    assert links == [f"/patients/{one.id}/merge?other={other.id}"]
    assert f'href="/patients/{other.id}/merge?other={one.id}"' in desk.opens(f"/patients/{other.id}").text
    assert "merge?other" not in desk.opens(f"/patients/{other.id}", Role.DOCTOR).text


def test_a_form_that_was_open_meanwhile_goes_to_the_kept_record(desk: Desk, name: str) -> None:
    kept, merged = desk.makes(name, phone="13805160005"), desk.makes(name)
    form = {"name": name, "sex": "2", "birth_date": "1980-03-14", "id_type": "none", "version": "1", "phone": ""}
    desk.merges(kept, merged)
    # With the version that the merged record has now, as no page of ours posts it, too.
    for version in "21":
        answer = desk.posts(Role.REGISTRAR, f"/patients/{merged.id}/edit", **{**form, "version": version})
        assert answer.status_code == 409
    assert f'action="/patients/{kept.id}/edit"' in answer.text
    assert "Meanwhile saved by somebody else: 13805160005" in words(answer)
    form |= {"phone": "13805160005", "patient_id": merged.id, "department_id": desk.clinic.departments["internal"]}
    assert desk.posts(Role.REGISTRAR, "/reception", **form).status_code == 302
    assert reception.open_today(desk.his.conn, merged.id, desk.clinic.today)[0].patient.id == kept.id
    # The likely duplicate that the desk is shown is the kept one, and its own merged record is none.
    held = desk.posts(Role.REGISTRAR, "/patients/new", **{**form, "phone": ""})
    assert f'name="use" value="{kept.id}"' in held.text
    assert f'name="use" value="{merged.id}"' not in held.text
    assert "Possibly the same person" not in desk.opens(f"/patients/{kept.id}").text


def test_a_number_that_stands_on_the_merged_record_is_not_written_twice(desk: Desk, name: str) -> None:
    card = an_id_number("1980-03-14", "308")
    kept, merged = desk.makes(name, card="E12345678", id_type=IdType.PASSPORT), desk.makes(name, card=card)
    assert desk.merges(kept, merged).status_code == 302
    form = {"name": name, "sex": "2", "birth_date": "1980-03-14", "id_type": "resident", "id_number": card}
    answer = desk.posts(Role.REGISTRAR, f"/patients/{kept.id}/edit", **form, version="1")
    assert (answer.status_code, "same ID number" in words(answer)) == (409, True)
    assert f'name="use" value="{merged.id}"' in answer.text


def test_who_may_merge_and_who_may_undo(desk: Desk, name: str) -> None:
    for role in Role:
        kept, merged = desk.makes(name), desk.makes(name)
        done = desk.merges(kept, merged, role)
        may = role in (Role.REGISTRAR, Role.NURSE, Role.MANAGER)
        assert (done.status_code, desk.root(merged) == kept.id) == ((302, True) if may else (403, False)), role
        if not may:
            desk.merges(kept, merged)
        undone = desk.undoes(kept, merged, role)
        may = role is Role.MANAGER
        assert (undone.status_code, desk.root(merged) == kept.id) == ((302, False) if may else (403, True)), role
        assert "/merge/undo" not in desk.opens(f"/patients/{kept.id}", role).text, role


def test_receivers_are_told(desk: Desk, name: str) -> None:
    his = desk.his
    his.app.extensions[EXTENSION] = replace(his.context, upstreams=[Route(upstream="platform", topics=("patient",))])
    kept, merged = desk.makes(name), desk.makes(name)
    desk.merges(kept, merged)
    desk.undoes(kept, merged)
    rows = his.conn.execute("SELECT body FROM outbox WHERE key = ? ORDER BY seq", (merged.id,)).fetchall()
    bodies = [json.loads(row["body"]) for row in rows]
    assert [body.get("merged_into") for body in bodies] == [{"id": kept.id, "mrn": kept.mrn}, None]
    assert [body["version"] for body in bodies] == [2, 3]


# Parts of a query that hold as many rows as people were asked about.
_READ_ONCE = ("wanted", "standing", "people", "CONSTANT")


def test_no_question_about_a_person_walks_through_a_table(desk: Desk) -> None:
    """A doctor's page asks these; with a hundred thousand records a scan would be felt."""
    conn, asked = desk.his.conn, list[str]()
    conn.set_trace_callback(asked.append)
    try:
        queries.visits(conn, "x")
        queries.records_of(conn, "x")
        queries.current(conn, "x")
        queries.last_visits(conn, ["x"])
        allergies.of_patient(conn, "x")
        reception.open_today(conn, "x", desk.clinic.today)
    finally:
        conn.set_trace_callback(None)
    assert len(asked) > 6
    for sql in asked:
        plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
        scans = [step for step in plan if step.startswith("SCAN") and step.split()[1] not in ("json_each", *_READ_ONCE)]
        assert scans == [], (sql, plan)
