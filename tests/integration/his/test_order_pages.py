"""Orders from the doctor's page to the nurse who carries them out: given at once, and one outcome each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge_node.his import request_key
from edge_node.his.audit import verify
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.orders import queries
from edge_node.his.orders.model import Outcome, Stage
from edge_node.store.connection import Connection, DatabaseError
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.orders import Nurse, a_house, actions, doctor_of, ordered, orders, the_order, words


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_house(tmp_path) as clinic:
        yield clinic


@pytest.fixture
def doctor(clinic: Clinic) -> Doctor:
    return doctor_of(clinic)


# The doctor.


def test_what_means_one_thing_is_ordered_at_once_and_nothing_typed_is_lost(doctor: Doctor) -> None:
    doctor.press("action", "od-find", od__q="T003", od__count="３", complaint="切割伤", rx__q="tb", dx="L98")
    order = the_order(doctor)
    assert (order.name, order.count, order.price_fen, order.ordered_by) == ("换药（小）", 3, 1200, "沈立群")
    fields = dict(doctor.fields())
    assert (fields["complaint"], fields["rx-q"], fields["dx"]) == ("切割伤", "tb", "L98")
    assert (fields["od-q"], fields["od-count"]) == ("", "")
    assert "0 of 3" in words(doctor.page)
    assert "Total ¥ 36.00" in words(doctor.page)


def test_several_are_shown_numbered_with_price_and_how_often_stays(doctor: Doctor) -> None:
    doctor.press("action", "od-find", od__q="hy", od__count="2")
    assert orders(doctor) == []
    assert "换药（小） Treatment 12.00 / 次" in words(doctor.page)
    assert 'id="od-found"' in doctor.page
    item = re.search(r'name="od-add" value="([^"]+)"', doctor.page)
    assert item is not None
    doctor.press("od-add", item[1])
    assert the_order(doctor).count == 2
    doctor.press("action", "od-find", od__q="青霉素钠")
    assert "Nothing in the price list" in doctor.page


def test_enter_in_the_field_orders_and_never_signs(doctor: Doctor) -> None:
    doctor.ready()
    doctor.press("action", "enter", od__q="jnzs")
    assert the_order(doctor).name == "肌内注射"
    assert doctor.his.conn.execute("SELECT count(*) FROM note_version").fetchone()[0] == 0


@pytest.mark.parametrize("typed, said", [("0", "1 to 60"), ("drei", "1 to 60"), ("9" * 3000, "1 to 60")])
def test_a_number_that_cannot_be_keeps_everything(doctor: Doctor, typed: str, said: str) -> None:
    answer = doctor.press("action", "od-find", od__q="T003", od__count=typed, complaint="切割伤")
    assert answer.status_code == 422
    assert said in doctor.page
    fields = dict(doctor.fields())
    assert (fields["od-q"], fields["od-count"], fields["complaint"]) == ("T003", typed, "切割伤")
    assert orders(doctor) == []


def test_a_number_alone_keeps_no_draft_from_being_saved(doctor: Doctor) -> None:
    assert doctor.press("action", "save", od__count="drei", complaint="切割伤").status_code == 302
    fields = dict(doctor.fields())
    assert (fields["od-count"], fields["complaint"]) == ("drei", "切割伤")


def test_a_signature_asks_about_what_was_typed_and_not_ordered(doctor: Doctor) -> None:
    doctor.ready()
    answer = doctor.press("action", "sign", od__q="T003")
    assert answer.status_code == 422
    assert "is typed, but not added" in doctor.page


def test_a_double_click_orders_once_and_another_thing_from_the_old_page_is_ordered_too(doctor: Doctor) -> None:
    doctor.press("action", "save", complaint="切割伤")
    before = doctor.page
    for code in ("T003", "T003", "T005"):
        doctor.page = before
        doctor.press("action", "od-find", od__q=code)
    assert [order.name for order in orders(doctor)] == ["换药（小）", "拆线"]


def test_taken_back_freely_until_the_note_is_signed_or_somebody_has_begun(doctor: Doctor) -> None:
    doctor.ready()
    first = ordered(doctor, "T003")
    doctor.press("od-cancel", first.id, complaint="改了主诉")
    assert queries.get(doctor.his.conn, first.id).stage is Stage.CANCELLED  # type: ignore[union-attr]
    assert 'value="改了主诉"' in doctor.page
    second = ordered(doctor, "T003", "2")
    doctor.press("action", "sign")
    doctor.page = doctor.client.get(f"{doctor.path}?amend=1").text
    answer = doctor.press("od-cancel", second.id)
    assert answer.headers["Location"] == f"/orders/{second.id}/cancel"
    assert "Why it is cancelled" in doctor.page
    assert queries.get(doctor.his.conn, second.id).is_open  # type: ignore[union-attr]
    refused = doctor.his.post(doctor.client, f"/orders/{second.id}/cancel", reason=" ")
    assert (refused.status_code, "Write why, in a few words" in refused.text) == (422, True)
    for _ in range(2):
        assert doctor.his.post(doctor.client, f"/orders/{second.id}/cancel", reason="患者拒绝").status_code == 302
    cancelled = queries.get(doctor.his.conn, second.id)
    assert cancelled is not None
    assert (cancelled.stage, cancelled.cancel_reason, cancelled.owed_fen) == (Stage.CANCELLED, "患者拒绝", 0)
    assert actions(doctor) == ["order_given", "order_cancelled"] * 2
    assert "患者拒绝" in doctor.client.get(doctor.path).text


def test_what_was_carried_out_cannot_be_cancelled(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003")
    stale = doctor.page
    Nurse(clinic, order.id).press("done")
    doctor.page = stale
    doctor.press("od-cancel", order.id)
    assert the_order(doctor).stage is Stage.DONE
    assert "carried out" in words(doctor.page)
    answer = doctor.his.post(doctor.client, f"/orders/{order.id}/cancel", reason="患者拒绝")
    assert (answer.status_code, "Nothing of it is left" in answer.text) == (409, True)


@pytest.mark.parametrize(
    "name, value",
    [("od-add", "x"), ("od-add", ""), ("od-test", "x"), ("od-cancel", "x")],
)
def test_what_there_is_not_is_no_form_of_ours(doctor: Doctor, name: str, value: str) -> None:
    assert doctor.press(name, value).status_code == 400
    assert orders(doctor) == []


def test_an_item_or_a_drug_that_nobody_carries_out_is_no_order(clinic: Clinic, doctor: Doctor) -> None:
    (fee,) = catalogues.find_prices(clinic.his.conn, "G001")
    (syrup,) = catalogues.find_drugs(clinic.his.conn, "W035", herbal=False)
    assert doctor.press("od-add", fee.id).status_code == 400
    assert doctor.press("od-test", syrup.id).status_code == 400
    other = ordered(Doctor(clinic, clinic.begun("段玉"), "guo"), "T003")
    assert doctor.press("od-cancel", other.id).status_code == 400
    assert queries.get(clinic.his.conn, other.id).is_open  # type: ignore[union-attr]


# The nurse.


def test_the_list_by_patient_with_allergies_and_how_often(clinic: Clinic, doctor: Doctor) -> None:
    ordered(doctor, "T003", "3")
    ordered(doctor, "I004")
    other = Doctor(clinic, clinic.begun("段玉"), "guo")
    ordered(other, "T012")
    clinic.his.write(
        lambda conn: conn.execute(
            "INSERT INTO allergy (id, patient_id, substance, recorded_at, recorded_by) "
            "SELECT 'a', id, '碘伏', 1, ? FROM patient WHERE name = '单雅琴'",
            (clinic.staff["lin"],),
        )
    )
    lin = clinic.his.sign_in("lin", client=clinic.his.browser())
    assert 'href="/orders"' in lin.get("/reception").text, "a link of the bar"
    page = words(lin.get("/orders").text)
    assert "3 to be done" in page
    assert re.search(r"内 01 .*单雅琴.*碘伏 换药（小） 0 of 3 次.*肌内注射 1 次.*内 02 .*段玉.*普通针刺", page)


def test_carried_out_as_often_as_it_was_ordered(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003", "2")
    nurse = Nurse(clinic, order.id)
    assert "Carried out: time 1 of 2" in words(nurse.page)
    nurse.press("done")
    assert "Recorded. 换药（小） · 1 of 2 次 · to be done" in words(nurse.after)
    nurse.look()
    nurse.press("done")
    assert "1 of 2" not in words(nurse.after)
    assert "Ended today" in words(nurse.after)
    nurse.look()
    assert 'value="done"' not in nurse.page
    doctor.page = doctor.client.get(doctor.path).text
    assert re.search(r"换药（小） 2 of 2 次 carried out .* 林芳", words(doctor.page)), "on the next load"
    assert actions(doctor) == ["order_given", "order_carried_out", "order_carried_out"]
    assert verify(clinic.his.conn) is None


def test_a_double_click_and_a_page_gone_back_to_are_one_outcome(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003", "3")
    nurse = Nurse(clinic, order.id)
    assert [nurse.press("done").status_code for _ in range(2)] == [302, 302]
    assert the_order(doctor).done == 1


def test_two_nurses_at_one_order_see_each_other(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003", "3")
    lin, ding = Nurse(clinic, order.id), Nurse(clinic, order.id, "ding")
    assert lin.press("done").status_code == 302
    answer = ding.press("refused", refused_note="患者拒绝")
    assert answer.status_code == 409
    page = words(answer.text)
    assert "somebody else has recorded something meanwhile" in page
    assert "患者拒绝" in answer.text
    assert "time 2 of 3" in page
    assert (the_order(doctor).done, the_order(doctor).stage) == (1, Stage.OPEN)
    ding.look()
    assert ding.press("done").status_code == 302
    assert the_order(doctor).done == 2


def test_not_carried_out_ends_it_with_a_reason_and_costs_what_was_done(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003", "3")
    nurse = Nurse(clinic, order.id)
    nurse.press("done")
    nurse.look()
    answer = nurse.press("refused", refused_note="")
    assert (answer.status_code, 'href="#refused_note"' in answer.text) == (422, True)
    nurse.press("refused", refused_note="患者要回家")
    found = the_order(doctor)
    assert (found.stage, found.owed_fen) == (Stage.REFUSED, 1200)
    assert "患者要回家" in doctor.client.get(doctor.path).text


def test_a_wrong_result_is_corrected_and_both_stay(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003")
    nurse = Nurse(clinic, order.id)
    nurse.press("done")
    nurse.look()
    answer = nurse.press("correct", correct_note="")
    assert (answer.status_code, "Write what was wrong" in answer.text) == (422, True)
    nurse.press("correct", correct_note="按错了行")
    found = the_order(doctor)
    assert [result.outcome for result in found.results] == [Outcome.DONE, Outcome.MISTAKEN]
    assert found.is_open
    assert nurse.press("correct", correct_note="再一次").status_code == 409, "it does not hold any more"
    nurse.look()
    assert "按错了行" in nurse.page


def test_nothing_that_was_recorded_is_changed_or_taken_away(clinic: Clinic, doctor: Doctor) -> None:
    Nurse(clinic, ordered(doctor, "T003").id).press("done")
    Nurse(clinic, ordered(doctor, "P003").id).press("placed")
    for sql in (
        "DELETE FROM order_result", "UPDATE order_result SET result = 'refused'",
        "DELETE FROM order_start", "UPDATE order_start SET started_at = 0",
    ):  # fmt: skip
        with pytest.raises(DatabaseError, match="never"):
            clinic.his.write(partial(_run, sql=sql))


def _run(conn: Connection, sql: str) -> None:
    conn.execute(sql)


def test_a_course_goes_on_on_later_days_after_todays_patients(clinic: Clinic, doctor: Doctor) -> None:
    ordered(doctor, "I004", "6")
    clinic.his.clock.advance(2 * 86_400)
    other = Doctor(clinic, clinic.begun("段玉"), "guo")
    ordered(other, "T012")
    lin = clinic.his.sign_in("lin", client=clinic.his.browser())
    assert re.search(r"段玉.*单雅琴.*肌内注射 0 of 6", words(lin.get("/orders").text))
    clinic.his.clock.advance(13 * 86_400)
    lin = clinic.his.sign_in("lin", client=clinic.his.browser())
    assert "单雅琴" not in lin.get("/orders").text


def test_the_list_reads_the_orders_of_two_weeks_and_no_more(clinic: Clinic) -> None:
    plan = clinic.his.conn.execute(f"EXPLAIN QUERY PLAN {queries.statement(queries.OPEN_SINCE)}", {"since": 1})
    assert "SEARCH order_item USING INDEX order_item_by_time (ordered_at>?)" in [row["detail"] for row in plan]


# Who may.


def test_who_may_what(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003")
    his = clinic.his
    zhou = his.sign_in("zhou", client=his.browser())
    lin = his.sign_in("lin", client=his.browser())
    posted: dict[str, Any] = {"act": "done", "seen": "0"}
    assert zhou.get("/orders").status_code == 403
    assert "/orders" not in zhou.get("/reception").text
    assert zhou.get(f"/orders/{order.id}").status_code == 403
    assert his.post(zhou, f"/orders/{order.id}", **posted).status_code == 403
    assert lin.get(f"/orders/{order.id}/cancel").status_code == 403
    assert his.post(lin, f"/orders/{order.id}/cancel", reason="x").status_code == 403
    assert the_order(doctor).seen == 0
    assert his.post(doctor.client, f"/orders/{order.id}", **posted).status_code == 302, "a doctor carries out as well"


@pytest.mark.parametrize(
    "fields, status",
    [
        ({"act": "sign", "seen": "0"}, 400),
        ({"act": "done", "seen": ""}, 400),
        ({"act": "done", "seen": "9" * 30}, 400),
        ({"act": "done", "seen": "7"}, 409),
        ({"act": "placed", "seen": "0"}, 409),
        ({"act": "read", "seen": "0", "result": "negative"}, 409),
        ({"act": "correct", "seen": "0", "corrects": "", "correct_to": "negative", "correct_note": "x"}, 409),
        ({"act": "correct", "seen": "0", "corrects": "x", "correct_to": "mistaken", "correct_note": "x"}, 409),
    ],
)
def test_a_form_that_does_not_fit_writes_nothing(
    clinic: Clinic, doctor: Doctor, fields: dict[str, str], status: int
) -> None:
    order = ordered(doctor, "T003")
    lin = clinic.his.sign_in("lin", client=clinic.his.browser())
    assert clinic.his.post(lin, f"/orders/{order.id}", **fields).status_code == status
    assert the_order(doctor).seen == 0
    assert clinic.his.post(lin, "/orders/x", **fields).status_code == 404
    assert lin.get("/orders?saved=x").status_code == 200


def test_a_token_is_asked_for(clinic: Clinic, doctor: Doctor) -> None:
    order = ordered(doctor, "T003")
    lin: FlaskClient = clinic.his.sign_in("lin", client=clinic.his.browser())
    form = {"csrf_token": clinic.his.csrf(lin), "act": "done", "seen": "0"}
    assert lin.post(f"/orders/{order.id}", data=form).status_code == 400
    assert lin.post(f"/orders/{order.id}", data={**form, "request_key": request_key.new()}).status_code == 302
