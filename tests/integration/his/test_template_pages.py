"""Templates of notes: filled in by the doctor's form, kept after a look at their words, retired."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from edge_node.his.encounters import note_templates
from edge_node.his.staff.model import Role
from tests.support.doctor_form import Doctor
from tests.support.doctor_pages import words
from tests.support.encounters import Clinic
from tests.support.his import a_his, hidden_fields


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with a_his(Path(tmp_path_factory.mktemp("his"))) as his:
        clinic = Clinic(his)
        his.add_staff("tao", Role.DOCTOR, name="陶然", department_id=clinic.departments["surgery"])
        his.add_staff("lin", Role.NURSE)
        his.add_staff("yu", Role.DOCTOR, name="于无科")
        yield clinic


@pytest.fixture
def doctor(clinic: Clinic) -> Doctor:
    return Doctor(clinic, clinic.begun())


def template_id(clinic: Clinic, name: str) -> str:
    return str(clinic.his.conn.execute("SELECT id FROM note_template WHERE name = ?", (name,)).fetchone()["id"])


def offered(page: str) -> dict[str, list[str]]:
    """The choices of the note's page, by their group."""
    picker = page.partition('<select id="template"')[2].partition("</select>")[0]
    return {
        unescape(label): re.findall(r">([^<]+)</option>", options)
        for label, options in re.findall(r'<optgroup label="([^"]+)">(.*?)</optgroup>', picker, re.DOTALL)
    }


def keep(doctor: Doctor, page: str, **fields: str) -> TestResponse:
    """Post the page of a template as it stands."""
    return doctor.client.post(f"{doctor.path}/template", data=hidden_fields(page) | fields)


def test_a_template_fills_what_is_empty_and_says_what_it_left(doctor: Doctor) -> None:
    assert list(offered(doctor.page))[:2] == ["Internal medicine", "Everybody's"]
    assert "中医初诊" in offered(doctor.page)["Chinese medicine"]
    chosen = template_id(doctor.clinic, "支气管炎")
    doctor.press("action", "template", template=chosen, complaint="咳了三天，<b>夜间</b>重", temperature="37.9")
    fields = dict(doctor.fields())
    assert fields["complaint"] == "咳了三天，<b>夜间</b>重"
    assert fields["history"].startswith("___ 天前受凉后咳嗽") and fields["examination"].startswith("咽充血")
    assert fields["temperature"] == "37.9"
    assert "Left as you wrote it: Complaint." in doctor.page
    doctor.press("action", "save")
    assert "Left as you wrote it" not in doctor.page, "it is said once"
    doctor.press("action", "template", template=template_id(doctor.clinic, "外伤清创"))
    assert dict(doctor.fields())["history"].startswith("___ 天前受凉后咳嗽"), "nothing is written over"
    assert "History of present illness, Examination." in doctor.page


@pytest.mark.parametrize("chosen", ["", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "'"])
def test_no_template_keeps_the_draft_all_the_same(doctor: Doctor, chosen: str) -> None:
    assert doctor.press("action", "template", template=chosen, history="夜间重").status_code == 302
    assert dict(doctor.fields())["history"] == "夜间重"
    assert "Filled in" not in doctor.page


def test_a_note_becomes_a_template_of_the_department_after_a_look(doctor: Doctor, clinic: Clinic) -> None:
    his = clinic.his
    answer = doctor.press("action", "as-template", complaint="手麻___ 天", history="单雅琴晨起手麻", pulse="88")
    assert answer.location.endswith(f"{doctor.path}/template")
    assert "晨起手麻" in doctor.page and "88" not in words(doctor.client.get(answer.location))
    page = doctor.page
    refused = keep(doctor, page, name="手麻", complaint="手麻___ 天", history="单雅琴晨起手麻", examination="")
    assert refused.status_code == 422 and '"单雅琴" tells who the patient is' in unescape(refused.text)
    assert "单雅琴晨起手麻" in refused.text, "what was typed is kept"
    good = {"name": "手麻", "complaint": "手麻___ 天", "history": "晨起手麻", "examination": ""}
    for _ in range(2):
        assert keep(doctor, page, **good).status_code == 302
    assert offered(doctor.client.get(doctor.path).text)["Internal medicine"].count("手麻") == 1
    rows = his.conn.execute("SELECT object, detail FROM audit_log WHERE action = 'note_template_saved'").fetchall()
    new = template_id(clinic, "手麻")
    assert [tuple(row) for row in rows] == [(f"note_template:{new}", '{"name":"手麻"}')]

    tao = Doctor(clinic, doctor.encounter_id, "tao")
    assert "手麻" in offered(tao.page)["Internal medicine"], "everybody can use it"
    taken = keep(tao, tao.client.get(f"{tao.path}/template").text, **good)
    assert taken.status_code == 422 and "There is a template of this name" in taken.text
    keep(tao, page, retire=new, csrf_token=his.csrf(tao.client))
    assert note_templates.of_department(his.conn, clinic.departments["internal"])[-1].name == "手麻", "not theirs"
    keep(doctor, page, retire=new)
    assert "手麻" not in doctor.client.get(doctor.path).text.partition("</select>")[0]
    assert keep(doctor, doctor.client.get(f"{doctor.path}/template").text, **good).status_code == 302, (
        "its name is free"
    )


def test_who_has_no_department_or_is_no_doctor_keeps_none(doctor: Doctor, clinic: Clinic) -> None:
    yu = Doctor(clinic, doctor.encounter_id, "yu")
    page = yu.client.get(f"{yu.path}/template").text
    answer = keep(yu, page, name="无主", complaint="___", history="", examination="")
    assert answer.status_code == 422 and "You belong to no department" in answer.text
    assert keep(yu, page, retire=template_id(clinic, "支气管炎")).status_code == 400
    lin = clinic.his.sign_in("lin", client=clinic.his.browser())
    assert lin.get(f"{doctor.path}/template").status_code == 403
