"""Calling patients in, against a real database: whom, in which order, and exactly one each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.his.encounters import desk, queries
from edge_node.his.encounters.desk import Stage
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from tests.support.encounters import BRONCHITIS, NOTE, Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        yield Clinic(his)


def status(clinic: Clinic, registration_id: str) -> Status:
    entry = reception.entry(clinic.his.conn, registration_id)
    assert entry is not None
    return entry.status


def test_who_came_first_is_called_first(clinic: Clinic) -> None:
    for name in ("王秀兰", "曾国强"):
        clinic.comes(name)
    assert [clinic.call_next("shen"), clinic.call_next("guo"), clinic.call_next("shen")] == ["王秀兰", "曾国强", None]


def test_who_asked_for_another_doctor_is_left_to_that_doctor(clinic: Clinic) -> None:
    clinic.comes("王秀兰", doctor="guo")
    clinic.comes("曾国强")
    assert clinic.call_next("shen") == "曾国强"
    assert clinic.call_next("shen") is None
    assert clinic.call_next("guo") == "王秀兰"


def test_other_departments_wait_for_their_own_doctors(clinic: Clinic) -> None:
    clinic.comes("李梓涵", department="paediatrics")
    assert clinic.call_next("shen") is None
    assert clinic.call_next("shen", department=None) == "李梓涵"


def test_yesterday_is_over(clinic: Clinic) -> None:
    clinic.comes("王秀兰")
    clinic.his.clock.advance(24 * 3600)
    assert clinic.call_next("shen") is None


def test_an_absent_patient_does_not_hold_the_queue_up(clinic: Clinic) -> None:
    first = clinic.comes("王秀兰")
    clinic.comes("曾国强")
    assert clinic.call_next("shen") == "王秀兰"
    encounter = queries.of_registration(clinic.his.conn, first.registration_id)
    assert encounter is not None
    assert clinic.his.write(lambda conn: queries.put_back(conn, encounter.id))
    assert status(clinic, first.registration_id) is Status.WAITING
    assert [clinic.call_next("guo"), clinic.call_next("guo")] == ["曾国强", "王秀兰"], "who was absent comes last"
    again = queries.of_registration(clinic.his.conn, first.registration_id)
    assert again is not None
    assert (again.id, again.doctor_name) == (encounter.id, "郭宁"), "the same encounter, with who sees them now"


def test_one_patient_is_called_by_one_doctor(clinic: Clinic) -> None:
    entry = clinic.comes("王秀兰")
    at = clinic.his.clock.wall_ms()

    def begin(doctor: str) -> str | None:
        return clinic.his.write(
            lambda conn: queries.begin(conn, entry.registration_id, doctor_id=clinic.staff[doctor], at=at)
        )

    first = begin("shen")
    assert first is not None
    assert begin("guo") is None
    encounter = queries.get(clinic.his.conn, first)
    assert encounter is not None
    assert encounter.doctor_name == "沈立群", "the second call changed nothing"


def test_a_patient_of_whom_something_is_written_stays(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.save(encounter_id, NOTE, based_on=0)
    assert not clinic.his.write(lambda conn: queries.put_back(conn, encounter_id))


def test_a_signature_ends_the_encounter(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.his.clock.advance(600)
    clinic.sign(encounter_id)
    encounter = queries.get(clinic.his.conn, encounter_id)
    assert encounter is not None
    assert encounter.ended_at == clinic.his.clock.wall_ms()
    assert status(clinic, encounter.registration_id) is Status.DONE


def test_the_rail_shows_mine_and_who_waits_for_me(clinic: Clinic) -> None:
    for name in ("王秀兰", "曾国强", "覃𬭎", "仇亦凡"):
        clinic.comes(name, doctor="guo" if name == "覃𬭎" else None)
    clinic.call_next("shen")
    rail = desk.rail(
        clinic.his.conn,
        queue_date=clinic.today,
        doctor_id=clinic.staff["shen"],
        now=clinic.his.clock.wall_ms(),
        department_id=clinic.departments["internal"],
        limit=1,
    )
    cards = [(card.entry.patient.name, card.encounter_id is not None, card.waited_min) for card in rail.cards]
    assert cards == [("王秀兰", True, 4), ("曾国强", False, 3)]
    assert (rail.waiting, rail.hidden) == (2, 1)
    assert rail.department is not None
    assert rail.department.name == "内科"


def test_history_is_of_earlier_visits_with_their_newest_diagnoses(clinic: Clinic) -> None:
    first = clinic.begun("单雅琴")
    clinic.sign(first)
    encounter = queries.get(clinic.his.conn, first)
    assert encounter is not None
    clinic.his.clock.advance(30 * 24 * 3600)
    now = clinic.comes("", patient_id=encounter.patient_id)
    clinic.comes("", patient_id=encounter.patient_id, department="tcm")
    visits = desk.history(clinic.his.conn, encounter.patient_id, except_registration=now.registration_id)
    assert [(visit.encounter_id, visit.diagnoses) for visit in visits] == [(first, (BRONCHITIS.name,))]


def test_stages_of_a_note(clinic: Clinic) -> None:
    def stage() -> Stage:
        case = desk.case(clinic.his.conn, encounter_id)
        assert case is not None
        return case.stage

    encounter_id = clinic.begun()
    stages = [stage()]
    clinic.save(encounter_id, NOTE, based_on=0)
    stages.append(stage())
    clinic.sign(encounter_id, based_on=1)
    stages.append(stage())
    clinic.save(encounter_id, NOTE.__class__(complaint="more"), based_on=1)
    stages.append(stage())
    assert stages == [Stage.WRITING, Stage.WRITING, Stage.SIGNED, Stage.AMENDING]


def test_an_unknown_encounter_is_none(clinic: Clinic) -> None:
    assert queries.get(clinic.his.conn, "no") is None
    assert desk.case(clinic.his.conn, "no") is None


@pytest.mark.parametrize(
    "typed, first",
    [
        pytest.param("jxzqgy", "J20.900", id="all-initials"),
        pytest.param("JXZQ", "J20.900", id="some-initials-in-capitals"),
        pytest.param("j20", "J20.900", id="code"),
        pytest.param("I10.x00", "I10.x00", id="whole-code"),
        pytest.param("支气管", "J40.x00", id="the-shortest-name-that-begins-so"),
        pytest.param("哮喘", "J45.900", id="part-of-the-name"),
        pytest.param("hypert", "I10.x00", id="english"),
        pytest.param("gxy", "I10.x00", id="short-initials"),
        pytest.param("  痛风 ", "M10.900", id="spaces-around"),
        pytest.param("zqg", "J40.x00", id="initials-of-a-part-after-those-that-begin-so"),
    ],
)
def test_diagnoses_are_found(clinic: Clinic, typed: str, first: str) -> None:
    found = queries.find_diagnoses(clinic.his.conn, typed)
    assert found and found[0].code == first


@pytest.mark.parametrize("typed", ["", "  ", "%", "_", "xyzzy", "'; DROP TABLE icd; --"])
def test_nothing_is_found(clinic: Clinic, typed: str) -> None:
    assert queries.find_diagnoses(clinic.his.conn, typed) == []


def test_no_more_than_asked_for(clinic: Clinic) -> None:
    assert len(queries.find_diagnoses(clinic.his.conn, "j", limit=4)) == 4


@pytest.mark.parametrize(
    "typed, meant",
    [
        pytest.param("J20.900", "J20.900", id="a-whole-code"),
        pytest.param("jxzqgy", "J20.900", id="the-only-match"),
        pytest.param("肺炎", "J18.900", id="a-whole-name-among-others"),
        pytest.param("jx", None, id="several"),
        pytest.param("xyzzy", None, id="none"),
    ],
)
def test_what_is_meant_without_doubt(clinic: Clinic, typed: str, meant: str | None) -> None:
    found = desk.only_match(queries.find_diagnoses(clinic.his.conn, typed), typed)
    assert (found.code if found else None) == meant
