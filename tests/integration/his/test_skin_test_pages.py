"""A skin test from its drug to its result: before it nothing is signed, after a positive one nothing either."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.encounters import queries as encounters
from edge_node.his.orders.model import Order, Stage
from edge_node.his.patients import allergies
from edge_node.i18n import CHINESE, ENGLISH
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.orders import Nurse, a_house, actions, doctor_of, orders, the_order, words

PENICILLIN = "W003"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_house(tmp_path) as clinic:
        yield clinic


@pytest.fixture
def doctor(clinic: Clinic) -> Doctor:
    return doctor_of(clinic)


def penicillin(doctor: Doctor) -> Order:
    """A sheet with penicillin, stopped, and its skin test ordered by one press beside the finding."""
    doctor.ready()
    doctor.add(PENICILLIN)
    assert "no skin test yet" in doctor.page
    assert doctor.press("action", "sign").status_code == 422
    drug = re.search(r'name="od-test" value="([^"]+)"', doctor.page)
    assert drug is not None
    assert doctor.press("od-test", drug[1], history="昨起发热").status_code == 302
    assert "waits for its skin test" in doctor.page
    assert "昨起发热" in doctor.page
    order = the_order(doctor)
    assert (order.name, order.substance, order.price_fen) == ("青霉素皮试", "青霉素", 600)
    doctor.press("action", "od-find", od__q="P001")
    assert len(orders(doctor)) == 1, "what is ordered already is not ordered twice"
    return order


def placed(clinic: Clinic, order: Order, *, minutes: int = 20) -> Nurse:
    nurse = Nurse(clinic, order.id)
    assert "Negative" not in words(nurse.page), "no result of what was not placed"
    assert nurse.press("placed", placed_at="").status_code == 302
    assert f"read in {minutes} min" in words(nurse.after)
    nurse.look()
    return nurse


def test_negative_after_its_time_lets_the_sheet_be_signed(clinic: Clinic, doctor: Doctor) -> None:
    order = penicillin(doctor)
    nurse = placed(clinic, order)
    clinic.his.clock.advance(12 * 60)
    answer = nurse.press("read", result="negative")
    assert answer.status_code == 422
    assert "Too early: wait 8 min more" in answer.text
    assert re.search(r'value="negative"[^>]* checked', answer.text), "what was chosen stays"
    assert the_order(doctor).stage is Stage.PLACED
    clinic.his.clock.advance(8 * 60)
    assert "to be read now" in words(nurse.client.get("/orders").text)
    assert nurse.press("read", result="negative", read_note="红晕 3 mm").status_code == 302
    doctor.page = doctor.client.get(doctor.path).text
    assert re.search(r"青霉素皮试 1 次 negative .* 林芳 · 红晕 3 mm", words(doctor.page))
    assert "skin test yet" not in doctor.page
    assert "waits for its skin test" not in doctor.page
    assert doctor.press("action", "sign", **{"rx-days-1": "3"}).status_code == 302
    assert doctor.sheets()[0].status == "signed"
    assert "青霉素皮试" in words(doctor.page).partition("Prescription 1")[2], "the signed page shows the order"
    assert actions(doctor) == ["order_given", "skin_test_placed", "skin_test_read"]
    (patient_id,) = clinic.his.conn.execute("SELECT patient_id FROM encounter").fetchone()
    assert "青霉素皮试" in words(nurse.client.get(f"/patients/{patient_id}").text)


def test_signed_while_it_waits_page_and_paper_say_so_until_the_result(clinic: Clinic, doctor: Doctor) -> None:
    """Signing is allowed, giving is not: whoever has the sheet or its print before them must read that."""
    order = penicillin(doctor)
    assert doctor.press("action", "sign", **{"rx-days-1": "3"}).status_code == 302
    paper = f"{doctor.path}/prescriptions/{doctor.sheets()[0].id}/paper"

    def on_paper(language: str) -> str:
        doctor.client.set_cookie("lang", language)
        return words(doctor.client.get(paper).text)

    for language in (ENGLISH, CHINESE):
        said = on_paper(language)
        assert "皮试待结果 结果阴性前不得发药" in said and "皮试结果：（ ）" in said, language
    assert "皮试待结果" in words(doctor.client.get(doctor.path).text)
    doctor.client.set_cookie("lang", ENGLISH)
    screen = words(doctor.client.get(doctor.path).text)
    assert screen.count("Skin test: result awaited") == 2, "at the head of the sheet and at its line"
    assert "青霉素皮试：皮试待结果" in words(doctor.client.get(f"{doctor.path}/note/paper").text)
    nurse = placed(clinic, order)
    clinic.his.clock.advance(20 * 60)
    assert "皮试待结果" in on_paper(ENGLISH), "placed is not read"
    nurse.press("read", result="negative")
    said = on_paper(ENGLISH)
    assert "待结果" not in said and "皮试结果：（－）" in said
    assert "result awaited" not in words(doctor.client.get(doctor.path).text)
    assert "青霉素皮试：（－）" in words(doctor.client.get(f"{doctor.path}/note/paper").text)


def test_a_test_that_was_cancelled_after_the_signature_is_awaited_still(clinic: Clinic, doctor: Doctor) -> None:
    order = penicillin(doctor)
    assert doctor.press("action", "sign", **{"rx-days-1": "3"}).status_code == 302
    cancelled = clinic.his.post(doctor.client, f"/orders/{order.id}/cancel", reason="患者不愿意")
    assert cancelled.status_code == 302 and the_order(doctor).stage is Stage.CANCELLED
    paper = f"{doctor.path}/prescriptions/{doctor.sheets()[0].id}/paper"
    assert "皮试待结果" in words(doctor.client.get(paper).text)
    assert "Skin test: result awaited" in words(doctor.client.get(doctor.path).text)
    clinic.his.clock.advance(40 * 24 * 3600)
    doctor.client = clinic.his.sign_in("shen", client=doctor.client)
    assert "result awaited" not in words(doctor.client.get(doctor.path).text), "nobody may dispense by it any more"


def test_positive_is_an_allergy_and_stops_whatever_the_test_says_later(clinic: Clinic, doctor: Doctor) -> None:
    order = penicillin(doctor)
    nurse = placed(clinic, order)
    clinic.his.clock.advance(5 * 60)
    assert nurse.press("read", result="positive").status_code == 422
    assert nurse.press("read", result="positive", read_note="风团 15 mm，伪足").status_code == 302
    assert "stands with the patient's allergies now" in words(nurse.after)
    faces = allergies.of_patient(clinic.his.conn, order.patient_id)
    assert [(one.substance, one.reaction, one.recorded_by) for one in faces.known] == [("青霉素", "皮试阳性", "林芳")]
    doctor.page = doctor.client.get(doctor.path).text
    assert "the patient is allergic to 青霉素" in words(doctor.page)
    assert doctor.press("action", "sign").status_code == 422
    nurse.look()
    assert nurse.press("correct", correct_to="negative", correct_note="看错了手臂").status_code == 302
    assert "the patient is allergic to 青霉素" in words(doctor.client.get(doctor.path).text), (
        "an allergy is ended, not undone"
    )
    row = clinic.his.conn.execute("SELECT detail FROM audit_log WHERE action = 'skin_test_read'").fetchone()
    assert '"early_min":"15"' in row["detail"]
    assert "青霉素" not in row["detail"]


def test_a_correction_to_positive_is_an_allergy_too(clinic: Clinic, doctor: Doctor) -> None:
    order = penicillin(doctor)
    nurse = placed(clinic, order)
    clinic.his.clock.advance(20 * 60)
    nurse.press("read", result="negative")
    nurse.look()
    assert nurse.press("correct", correct_to="positive", correct_note="半小时后起风团").status_code == 302
    assert [one.substance for one in allergies.of_patient(clinic.his.conn, order.patient_id).known] == ["青霉素"]
    assert the_order(doctor).stage is Stage.POSITIVE


def test_two_nurses_read_one_test(clinic: Clinic, doctor: Doctor) -> None:
    order = penicillin(doctor)
    lin = placed(clinic, order)
    clinic.his.clock.advance(21 * 60)
    ding = Nurse(clinic, order.id, "ding")
    assert lin.press("read", result="negative").status_code == 302
    answer = ding.press("read", result="positive", read_note="风团")
    assert (answer.status_code, "风团" in answer.text) == (409, True)
    assert the_order(doctor).stage is Stage.NEGATIVE
    assert allergies.of_patient(clinic.his.conn, order.patient_id).known == ()


def test_a_test_without_a_charge_item_is_ordered_all_the_same(clinic: Clinic, doctor: Doctor) -> None:
    clinic.his.write(lambda conn: conn.execute("UPDATE price_item SET active = 0 WHERE code = 'P001'"))
    doctor.ready()
    doctor.add("W001")
    (amoxicillin,) = catalogues.find_drugs(clinic.his.conn, "W001", herbal=False)
    doctor.press("od-test", amoxicillin.id)
    order = the_order(doctor)
    assert (order.name, order.substance, order.price_fen) == ("阿莫西林皮试", "阿莫西林", 0)
    assert "waits for its skin test" in doctor.page


def test_the_clinic_sets_how_long_it_is_watched(clinic: Clinic, doctor: Doctor) -> None:
    clinic.his.write(
        lambda conn: conn.execute("INSERT INTO setting (key, value, updated_at) VALUES ('skin_test_min', '30', 1)")
    )
    nurse = placed(clinic, penicillin(doctor), minutes=30)
    clinic.his.clock.advance(20 * 60)
    assert "Too early: wait 10 min more" in nurse.press("read", result="negative").text


def next_visit(clinic: Clinic, doctor: Doctor, *, days: int) -> Doctor:
    """The same patient comes again."""
    clinic.his.clock.advance(days * 86_400)
    (patient_id,) = clinic.his.conn.execute(
        "SELECT patient_id FROM encounter WHERE id = ?", (doctor.encounter_id,)
    ).fetchone()
    entry = clinic.comes("单雅琴", patient_id=patient_id)
    encounter_id = clinic.his.write(
        lambda conn: encounters.begin(
            conn, entry.registration_id, doctor_id=clinic.staff["shen"], at=clinic.his.clock.wall_ms()
        )
    )
    assert encounter_id is not None
    return Doctor(clinic, encounter_id)


def test_a_test_that_is_on_no_list_any_more_lets_nothing_be_signed(clinic: Clinic, doctor: Doctor) -> None:
    penicillin(doctor)
    later = next_visit(clinic, doctor, days=15)
    later.ready()
    later.add(PENICILLIN)
    assert "no skin test yet" in later.page
    assert later.press("action", "sign").status_code == 422
    assert "青霉素皮试" not in words(doctor.his.sign_in("lin", client=doctor.his.browser()).get("/orders").text)


def test_a_reprint_shows_the_result_of_its_own_time(clinic: Clinic, doctor: Doctor) -> None:
    nurse = placed(clinic, penicillin(doctor))
    clinic.his.clock.advance(20 * 60)
    nurse.press("read", result="negative")
    doctor.page = doctor.client.get(doctor.path).text
    assert doctor.press("action", "sign", **{"rx-days-1": "3"}).status_code == 302
    paper = f"{doctor.path}/prescriptions/{doctor.sheets()[0].id}/paper"

    def on_paper() -> str:
        """Sessions end meanwhile."""
        page = clinic.his.sign_in("shen", client=clinic.his.browser()).get(paper).text
        return page.partition("皮试结果：")[2][:3]

    assert on_paper() == "（－）"
    later = next_visit(clinic, doctor, days=10)
    later.ready()
    later.add(PENICILLIN)
    later.press("od-test", catalogues.find_drugs(clinic.his.conn, PENICILLIN, herbal=False)[0].id)
    test = the_order(later)
    assert on_paper() == "（－）", "another test waits"
    nurse = placed(clinic, test)
    clinic.his.clock.advance(20 * 60)
    nurse.press("read", result="positive", read_note="风团")
    assert on_paper() == "（－）", "that of a later visit is not of this paper"
    clinic.his.clock.advance(40 * 86_400)
    assert on_paper() == "（－）"
