"""Midnight ends no visit: what a doctor has begun stays in sight until it is signed, as of an earlier day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest

from edge_node.his.encounters import queries
from edge_node.his.language import local
from edge_node.his.reception.rules import Status
from tests.support.doctor_pages import get, post, words
from tests.support.encounters import NOTE, Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


def until_midnight(clinic: Clinic, *, seconds_before: float) -> None:
    """The clinic's own midnight, in the time zone of the machine; the doctor of the night signs in."""
    now = local(clinic.his.clock.wall_ms())
    midnight = datetime.combine(now.date() + timedelta(days=1), time()).astimezone()
    clinic.his.clock.advance((midnight - now).total_seconds() - seconds_before)
    clinic.his.sign_in("shen")


def a_day_later(clinic: Clinic) -> None:
    clinic.his.clock.advance(24 * 3600)
    clinic.his.sign_in("shen")


def rail(clinic: Clinic, path: str = "/encounters/") -> list[str]:
    """The people of the rail, from the top."""
    cards = re.findall(r'<a class="q".*?</a>', get(clinic, path).text, re.DOTALL)
    return [" ".join(re.sub("<[^>]+>", " ", card).split()) for card in cards]


def names(cards: list[str]) -> list[str]:
    return re.findall("[甲乙丙丁戊].", " ".join(cards))


def test_the_minute_at_which_it_becomes_one_of_yesterday(clinic: Clinic) -> None:
    until_midnight(clinic, seconds_before=120)
    encounter_id = clinic.begun("单雅琴")
    day = clinic.today
    clinic.save(encounter_id, NOTE, based_on=0)
    clinic.his.clock.advance(59.999)
    assert clinic.today == day
    (before,) = rail(clinic)
    assert "with you" in before and f"{day:%m-%d}" not in before
    clinic.his.clock.advance(0.001)
    assert clinic.today == day + timedelta(days=1)
    (after,) = rail(clinic)
    assert "单雅琴" in after and f"{day:%m-%d}" in after and "not signed" in after
    assert "内" not in after, "its number is another patient's by now"
    page = words(get(clinic, f"/encounters/{encounter_id}"))
    assert f"This visit is of {day.isoformat()}, and its note was left open." in page
    answer = post(clinic, encounter_id, action="sign", revision="1", complaint="cough", diagnosis="J20.900|支气管炎")
    assert answer.status_code == 302
    assert "left open" not in words(get(clinic, f"/encounters/{encounter_id}"))
    assert 'class="q"' not in get(clinic, "/encounters/").text, "what is signed has left the rail"


def test_they_stand_between_who_is_here_and_who_waits_and_only_before_their_doctor(clinic: Clinic) -> None:
    left = [clinic.begun(name) for name in ("甲一", "乙二", "丙三")]
    a_day_later(clinic)
    clinic.begun("丁四")
    clinic.comes("戊五")
    assert names(rail(clinic)) == ["丁四", "丙三", "乙二", "甲一", "戊五"]
    note = f"/encounters/{left[2]}"
    assert names(rail(clinic, note)) == ["丁四", "丙三", "乙二", "戊五"], "two of them leave room for who waits"
    assert "1 more note of an earlier day is not signed" in words(get(clinic, note))
    assert names(rail(clinic, f"/encounters/{left[0]}")) == ["丁四", "丙三", "乙二", "甲一", "戊五"], "nor is it hidden"
    guo = clinic.his.sign_in("guo", client=clinic.his.browser())
    assert "甲一" not in guo.get("/encounters/").text


def test_who_was_called_yesterday_and_did_not_come_is_taken_off_the_list(clinic: Clinic) -> None:
    encounter_id = clinic.begun("单雅琴")
    a_day_later(clinic)
    page = words(get(clinic, f"/encounters/{encounter_id}"))
    assert "Did not come: off my list" in page
    assert "back to the queue" not in page and "Call again" not in page, "nobody hears a call of yesterday"
    clinic.his.post(clinic.his.client, f"/encounters/{encounter_id}/back")
    assert queries.status(clinic.his.conn, encounter_id) is Status.WAITING
    page = words(get(clinic, "/encounters/"))
    assert "单雅琴" not in page and "0 patients wait for you" in page


def test_a_clock_that_was_set_back_hides_nobody(clinic: Clinic) -> None:
    clinic.begun("单雅琴")
    clinic.his.clock.step_wall(-24 * 3600)
    clinic.his.sign_in("shen")
    (card,) = rail(clinic)
    assert "with you" in card and "not signed" not in card
