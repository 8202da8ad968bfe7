"""The printed note that a patient takes home: what stands on it, and every copy counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.his.encounters import versions
from edge_node.his.encounters.note import Diagnosis, Note
from edge_node.his.staff.model import Role
from edge_node.status import Mode
from tests.support.doctor_form import Doctor
from tests.support.doctor_pages import words
from tests.support.encounters import Clinic
from tests.support.his import a_his, a_node_status, hidden_fields
from tests.support.orders import doctor_of, house, ordered

NOTE = Note(
    complaint="咳嗽、咳黄痰 5 天",
    history="受凉后咳嗽，\n无胸痛、咯血。",
    examination="双肺呼吸音粗",
    temperature="37.6",
    blood_pressure="138/86",
    onset_date="2026-11-15",
    diagnoses=(
        Diagnosis(code="J20.900", name="急性支气管炎", insurance_code="J20.9"),
        Diagnosis(code="", name="疲劳"),
    ),
)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = house(his)
        his.add_staff("xu", Role.PHARMACIST)
        his.sign_in("shen")
        yield clinic


def signed(clinic: Clinic, note: Note = NOTE) -> str:
    """The address of a signed note's paper."""
    encounter_id = clinic.begun()
    clinic.sign(encounter_id, note)
    return f"/encounters/{encounter_id}/note/paper"


def read(clinic: Clinic, path: str) -> str:
    answer = clinic.his.client.get(path)
    assert answer.status_code == 200
    return words(answer)


def print_it(clinic: Clinic, path: str, page: str) -> str:
    """Press the button of the page; returns the page that follows."""
    form = page.partition(f'method="post" action="{path}"')[2].partition("</form>")[0]
    answer = clinic.his.client.post(path, data=hidden_fields(form))
    assert answer.status_code == 302
    return clinic.his.client.get(answer.location).text


def test_what_a_patient_takes_home_in_chinese_on_an_english_page(clinic: Clinic) -> None:
    path = signed(clinic)
    said = read(clinic, path)
    (hash_,) = clinic.his.conn.execute("SELECT hash FROM note_version").fetchone()
    assert "Note on paper" in said
    for expected in (
        "西城门诊部 门诊病历", "姓名： 单雅琴", "性别：女", "年龄：46 岁", "科别：内科", "初复诊：初诊",
        "就诊时间：2026-", "门诊病历号：M1", "主诉： 咳嗽、咳黄痰 5 天", "发病日期： 2026-11-15",
        "现病史： 受凉后咳嗽， 无胸痛、咯血。",
        "过敏史： 未记录", "查体： T 37.6 ℃ BP 138/86 mmHg 双肺呼吸音粗",
        "诊断： 1. 急性支气管炎（J20.900） 医保编码 J20.9 2. 疲劳", "以下空白", "医师： 沈立群", "第 1 版",
        f"校验码 {bytes(hash_).hex()[-8:]}", "预览，未登记打印",
    ):  # fmt: skip
        assert expected in said, expected
    assert "离线" not in said and "处理" not in said and "修改" not in said
    assert f'href="{path}"' in clinic.his.client.get(path.removesuffix("/note/paper")).text


def test_each_copy_is_counted_and_a_double_click_is_one(clinic: Clinic) -> None:
    path = signed(clinic)
    preview = clinic.his.client.get(path).text
    assert ">预览<" in preview and "data-print" not in preview
    first, again = print_it(clinic, path, preview), print_it(clinic, path, preview)
    assert "第 1 次打印" in first and "第 1 次打印" in again and "预览" not in first and "补打" not in first
    assert "data-print" in first
    second = print_it(clinic, path, first)
    assert "第 2 次打印" in second and "补打" in second and "2 copies printed" in second
    rows = clinic.his.conn.execute("SELECT object, detail FROM audit_log WHERE action = 'note_printed' ORDER BY seq")
    encounter = path.split("/")[2]
    assert [tuple(row) for row in rows] == [
        (f"encounter:{encounter}", f'{{"copy":{n},"version":1}}') for n in (1, 2)
    ]  # fmt: skip
    assert "预览，未登记打印" in clinic.his.client.get(f"{path}?copy=7").text, "a copy that nobody asked for"


def test_an_amended_note_says_so_and_what_it_replaced_says_that(clinic: Clinic) -> None:
    path = signed(clinic)
    encounter_id = path.split("/")[2]
    clinic.his.clock.advance(60)
    clinic.sign(encounter_id, replace(NOTE, complaint="咳嗽 6 天"), n=2, based_on=1, reason="时间记错")
    new, old = read(clinic, path), read(clinic, f"{path}?version=1")
    assert "第 2 版" in new and "咳嗽 6 天" in new and "修改： 本病历为第 2 版，修改理由：时间记错" in new
    assert "取代" not in new
    assert "已被第 2 版取代" in old and "咳嗽、咳黄痰 5 天" in old and "修改理由" not in old
    assert "已被第 2 版取代" in print_it(clinic, path, clinic.his.client.get(f"{path}?version=1").text)
    assert "copy printed" not in read(clinic, path), "copies are counted version by version"
    assert f'href="{path}?version=1"' in clinic.his.client.get(f"/encounters/{encounter_id}/versions").text


def test_what_was_prescribed_and_ordered_beside_it(clinic: Clinic) -> None:
    doctor = doctor_of(clinic)
    doctor.ready()
    doctor.add("W035")
    ordered(doctor, "whxr", "3")
    assert doctor.press("action", "sign").status_code == 302
    said = words(doctor.client.get(f"{doctor.path}/note/paper"))
    number = doctor.sheets()[0].versions[0].rx_no
    assert f"处理： 处方 {number}： 盐酸氨溴索片" in said and "每次 30 mg 口服 每日 3 次 5 日" in said
    assert "雾化吸入" in said and "3 次" in said
    assert "过敏史： 否认药物过敏" in said


def test_allergies_are_those_of_the_day_it_was_signed(clinic: Clinic) -> None:
    entry_path = signed(clinic)
    (patient_id,) = clinic.his.conn.execute("SELECT patient_id FROM encounter").fetchone()
    clinic.his.clock.advance(60)
    lin = clinic.his.sign_in("lin", client=clinic.his.browser())
    clinic.his.post(lin, f"/patients/{patient_id}/allergies", substance="青霉素", reaction="皮疹")
    assert "过敏史： 未记录" in read(clinic, entry_path), "what was learned later was not known then"
    clinic.his.clock.advance(60)
    clinic.sign(entry_path.split("/")[2], replace(NOTE, history="复核"), n=2, based_on=1, reason="补过敏史")
    assert "过敏史： 青霉素（皮疹）" in read(clinic, entry_path)


def test_a_long_note_goes_on_on_the_next_sheet_and_nothing_is_lost(clinic: Clinic) -> None:
    sentence = "受凉后咳嗽咳痰，痰黄量中等，夜间加重 amoxicillin 0.5 g tid 口服三日未缓解。"
    history = "".join(f"{n}{sentence}" for n in range(60))
    answer = clinic.his.client.get(signed(clinic, replace(NOTE, history=history)))
    assert answer.text.count('class="sheet a5') > 2 and answer.text.count("以下空白") == 1
    assert "接下页" in answer.text and "第 2 页，共" in answer.text
    said = "".join(words(answer).split())
    for n in range(60):
        assert f"{n}受凉后咳嗽咳痰" in said, n


def test_marks_of_an_outage_and_of_an_exercise(clinic: Clinic) -> None:
    path = signed(clinic)
    clinic.his.write(lambda conn: conn.execute("DROP TRIGGER note_version_kept"))
    clinic.his.status = replace(a_node_status(exercise=True), mode=Mode.OFFLINE)
    assert ">演练</div>" in clinic.his.client.get(path).text
    encounter_id = clinic.begun("王兰")
    clinic.his.write(
        lambda conn: versions.sign(
            conn, encounter_id, NOTE, n=1, based_on=0, by=clinic.staff["shen"], at=clinic.his.clock.wall_ms(),
            clock_state="holdover", mode="offline",
        )
    )  # fmt: skip
    said = read(clinic, f"/encounters/{encounter_id}/note/paper")
    assert "【离线】" in said and "本病历在离线时签名，时间为本机时间（守时）" in said


def test_who_prints_and_what_has_no_paper(clinic: Clinic) -> None:
    his, path = clinic.his, signed(clinic)
    open_note = clinic.begun("王兰")
    assert his.client.get(f"/encounters/{open_note}/note/paper").status_code == 404, "nothing is signed"
    assert his.client.get(f"{path}?version=9").status_code == 404
    for code in ("xu", "lin", "zhou"):
        other = his.sign_in(code, client=his.browser())
        assert other.get(path).status_code == his.post(other, path, version="1").status_code == 403


def test_what_is_not_what_was_signed_is_not_printed(clinic: Clinic) -> None:
    path = signed(clinic)
    page = clinic.his.client.get(path).text
    assert "data-print" in print_it(clinic, path, page)
    clinic.his.write(lambda conn: conn.execute("DROP TRIGGER note_version_kept"))
    clinic.his.write(
        lambda conn: conn.execute("UPDATE note_version SET body = replace(body, '5 天', '9 天')"),
    )
    after = print_it(clinic, path, page)
    assert "is not what was signed" in after and "data-print" not in after
    assert 'accesskey="p"' not in after, "no button that counts nothing"
    assert ">预览<" in clinic.his.client.get(f"{path}?copy=1").text, "nor a copy that was counted before"


def test_the_doctor_who_signs_prints_by_a_key(clinic: Clinic) -> None:
    doctor = Doctor(clinic, clinic.begun())
    doctor.ready()
    assert doctor.press("action", "sign").status_code == 302
    link = doctor.page.partition(f'href="{doctor.path}/note/paper"')[2].partition(">")[0]
    assert 'accesskey="p"' in link
