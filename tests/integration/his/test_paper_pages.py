"""The printed prescription: what stands on the paper of each kind, and every copy counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs
from edge_node.his.staff.model import Role
from edge_node.status import Mode
from tests.support.doctor_form import Doctor
from tests.support.doctor_pages import words
from tests.support.encounters import Clinic
from tests.support.his import a_his, a_node_status


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with a_his(Path(tmp_path_factory.mktemp("his"))) as his:
        clinic = Clinic(his)
        his.write(lambda conn: catalogues.keep_drugs(conn, training_drugs(), at=1))
        his.add_staff("xu", Role.PHARMACIST, name="许岩")
        his.add_staff("lin", Role.NURSE)
        yield clinic


def a_doctor(clinic: Clinic, *, department: str = "internal", born: str = "1980-03-14") -> Doctor:
    """With a note that can be signed, of a patient who was asked about allergies."""
    entry = clinic.comes("单雅琴", department=department)
    clinic.his.write(
        lambda conn: conn.execute(
            "UPDATE patient SET allergies_asked_at = 1, birth_date = ? WHERE id = ?", (born, entry.patient.id)
        )
    )
    clinic.call_next("shen", department=department)
    (encounter_id,) = clinic.his.conn.execute(
        "SELECT id FROM encounter WHERE registration_id = ?", (entry.registration_id,)
    ).fetchone()
    doctor = Doctor(clinic, encounter_id)
    doctor.ready()
    return doctor


def signed(doctor: Doctor, **typed: str) -> str:
    """Sign note and sheets; returns the address of the first sheet's paper."""
    assert doctor.press("action", "sign", **typed).status_code == 302
    return f"{doctor.path}/prescriptions/{doctor.sheets()[0].id}/paper"


def print_it(doctor: Doctor, path: str, page: str) -> str:
    """Press the button of the page; returns the page that follows."""
    form = page.partition('method="post" action="' + path)[2].partition("</form>")[0]
    answer = doctor.client.post(path, data=dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)))
    assert answer.status_code == 302
    return doctor.client.get(answer.location).text


def test_each_copy_is_counted_and_a_double_click_is_one(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.add("W035")
    path = signed(doctor)
    assert path in doctor.page, "the signed note leads to its paper"
    (sheet,) = doctor.sheets()
    preview = doctor.client.get(path).text
    assert ">预览<" in preview and "预览，未登记打印" in preview and "data-print" not in preview
    first = print_it(doctor, path, preview)
    again = print_it(doctor, path, preview)
    assert "第 1 次打印" in first and "第 1 次打印" in again and "预览" not in first and "补打" not in first
    assert "data-print" in first
    second = print_it(doctor, path, first)
    assert "第 2 次打印" in second and "补打" in second and "2 copies printed" in second
    rows = clinic.his.conn.execute(
        "SELECT detail FROM audit_log WHERE action = 'prescription_printed' AND object = ? ORDER BY seq",
        (f"prescription:{sheet.id}",),
    ).fetchall()
    number = sheet.versions[0].rx_no
    assert [row["detail"] for row in rows] == [f'{{"copy":{n},"number":"{number}","version":1}}' for n in (1, 2)]
    assert "预览，未登记打印" in doctor.client.get(f"{path}?copy=7").text, "a copy that nobody asked for"


def test_the_paper_of_an_adults_medicines_in_chinese_on_an_english_page(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.add("W035")
    answer = doctor.client.get(signed(doctor))
    said, number = words(answer), doctor.sheets()[0].versions[0].rx_no
    assert "Prescription on paper" in said
    for expected in (
        "西城门诊部", "处方笺", "普通", "姓名： 单雅琴", "性别：女", "年龄：46 岁", "科别：内科", "门诊病历号：M",
        "临床诊断：急性支气管炎（J20.900）", "Rp", "1. 盐酸氨溴索片", "用法：每次 30 mg 口服 每日 3 次 5 日",
        "以下空白", "医师： 沈立群", "药品金额：¥ ", "审核：", "调配：", "核对、发药：", "当日有效", number,
    ):  # fmt: skip
        assert expected in said, expected
    assert "离线" not in said and "中医诊断" not in said and "style=" not in answer.text


@pytest.mark.parametrize(
    "department, born, label, kind",
    [
        pytest.param("emergency", "1980-03-14", "急诊", "emergency", id="emergency"),
        pytest.param("internal", "2020-03-14", "儿科", "child", id="child"),
    ],
)
def test_label_and_ground_of_each_kind(clinic: Clinic, department: str, born: str, label: str, kind: str) -> None:
    doctor = a_doctor(clinic, department=department, born=born)
    doctor.add("W035")
    page = doctor.client.get(signed(doctor, **{"reason-supply-too-long:1": "路远", "rx-days-1": "3"})).text
    assert f'class="a5__kind">{label}<' in page and f"a5--{kind}" in page


def test_herbs_with_both_diagnoses_the_doses_and_how_to_boil(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.press("action", "find", dx="A04.01.01")
    doctor.press("action", "enter", dx="tryfz")
    doctor.press("rx-open", "herbal")
    doctor.add("甘草")
    doctor.add("苦杏仁")
    path = signed(doctor, rx__doses="7", rx__decoction="水煎，早晚温服")
    said = words(doctor.client.get(path))
    for expected in (
        "中药饮片处方笺", "临床诊断：急性支气管炎", "中医诊断：咳嗽（A04.01.01） 痰热郁肺证（B02.02.04）", "甘草",
        "苦杏仁", "共 7 剂，每日 1 剂，水煎，早晚温服。", "以下空白",
    ):  # fmt: skip
        assert expected in said, expected


def test_a_replaced_version_says_so_across_the_sheet_and_keeps_what_it_was(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.add("W035")
    path = signed(doctor)
    doctor.page = doctor.client.get(f"{doctor.path}?amend=1").text
    signed(doctor, **{"rx-days-1": "3"}, reason="改为三日量")
    new, old = doctor.client.get(path).text, doctor.client.get(f"{path}?version=1").text
    assert "已被第 2 版取代" in old and "5 日" in old and "第 2 版</div>" not in old
    assert "取代" not in new and "3 日" in new and "第 2 版</div>" in new and "修改理由：改为三日量" in new
    assert "修改理由" not in new.partition("a5__post")[2], "words without an end are not put into the foot"
    assert "已被第 2 版取代" in print_it(doctor, path, old)
    assert "1 copy printed" not in doctor.client.get(path).text, "copies are counted version by version"


def test_signed_offline_it_bears_the_mark_and_the_nodes_clock(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.add("W035")
    clinic.his.status = replace(a_node_status(), mode=Mode.OFFLINE)
    try:
        path = signed(doctor)
    finally:
        clinic.his.status = a_node_status()
    said = words(doctor.client.get(path))
    assert "【离线】" in said and "本单在离线时开具，时间为本机时间（已校时，" in said


def test_an_exercise_leaves_no_paper_that_looks_real(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.add("W035")
    path = signed(doctor)
    clinic.his.status = a_node_status(exercise=True)
    try:
        assert ">演练</div>" in doctor.client.get(path).text
    finally:
        clinic.his.status = a_node_status()


def test_who_prints_and_what_has_no_paper(clinic: Clinic) -> None:
    his, doctor = clinic.his, a_doctor(clinic)
    doctor.add("W035")
    unsigned = f"{doctor.path}/prescriptions/{doctor.sheets()[0].id}/paper"
    assert doctor.client.get(unsigned).status_code == 404
    path = signed(doctor)
    other = a_doctor(clinic)
    assert other.client.get(path.replace(doctor.path, other.path)).status_code == 404, "another visit's address"
    assert doctor.client.get(f"{path}?version=9").status_code == 404
    xu = his.sign_in("xu", client=his.browser())
    page = xu.get(path).text
    assert "盐酸氨溴索片" in page and f'href="{doctor.path}"' not in page, "no link that leads to a refusal"
    lin = his.sign_in("lin", client=his.browser())
    assert lin.get(path).status_code == his.post(lin, path, version="1").status_code == 403


def test_what_is_not_what_was_signed_is_not_printed(clinic: Clinic) -> None:
    doctor = a_doctor(clinic)
    doctor.add("W035")
    path = signed(doctor)
    (sheet,), page = doctor.sheets(), doctor.client.get(path).text
    assert "data-print" in print_it(doctor, path, page)
    clinic.his.write(lambda conn: conn.execute("DROP TRIGGER prescription_line_kept"))
    clinic.his.write(
        lambda conn: conn.execute("UPDATE prescription_line SET packs = 90 WHERE prescription_id = ?", (sheet.id,))
    )
    after = print_it(doctor, path, page)
    assert "is not what was signed" in after and "data-print" not in after
    assert 'accesskey="p"' not in after, "no button that counts nothing"
    assert ">预览<" in doctor.client.get(f"{path}?copy=1").text, "nor a copy that was counted before"
    assert "1 copy printed" in after
