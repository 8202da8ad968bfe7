"""Diagnoses on the doctor's page: both codes side by side, and a disease of Chinese medicine with its syndrome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs
from edge_node.his.context import EXTENSION
from edge_node.his.encounters import versions
from edge_node.outbox.model import Route
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.his import a_his
from tests.support.orders import doctor_of

HERBS_ALONE = "Herbs, and no diagnosis of Chinese medicine yet"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with a_his(Path(tmp_path_factory.mktemp("his"))) as his:
        clinic = Clinic(his)
        route = Route(upstream="platform", topics=("encounter",))
        his.app.extensions[EXTENSION] = replace(his.context, upstreams=(route,))
        his.write(lambda conn: catalogues.keep_drugs(conn, training_drugs(), at=1))
        yield clinic


@pytest.fixture
def doctor(clinic: Clinic) -> Doctor:
    return doctor_of(clinic)


def test_a_disease_its_syndrome_by_the_same_field_and_both_codes_in_what_is_signed(doctor: Doctor) -> None:
    doctor.press("action", "find", dx="J20.900", complaint="咳嗽 5 天")
    answer = doctor.press("action", "enter", dx="A04.01.01")
    assert answer.location.endswith("#dx"), "the field waits for the syndrome"
    assert "Syndrome of" in doctor.page and "no syndrome yet" in doctor.page
    doctor.press("action", "find", dx="tr")
    found = doctor.page.partition('id="found"')[0].rpartition("<tr>")[2]
    assert "痰热郁肺证" in found and "Phlegm-heat congesting the lung" in found, "syndromes come first"
    doctor.press("action", "enter", dx="tryfz")
    assert "Syndrome of" not in doctor.page and "B02.02.04" in doctor.page
    assert doctor.press("action", "sign").status_code == 302

    conn = doctor.his.conn
    rows = conn.execute(
        "SELECT code, insurance_code, kind, syndrome_code, syndrome_name FROM diagnosis WHERE encounter_id = ? "
        "ORDER BY rank",
        (doctor.encounter_id,),
    ).fetchall()
    assert [tuple(row) for row in rows] == [
        ("J20.900", "J20.900", "disease", "", ""),
        ("A04.01.01", "", "tcm_disease", "B02.02.04", "痰热郁肺证"),
    ]
    assert versions.broken_version(conn, doctor.encounter_id) is None
    (body,) = conn.execute("SELECT body FROM outbox ORDER BY seq DESC LIMIT 1").fetchone()
    assert json.loads(body)["diagnoses"] == [
        {"code": "J20.900", "name": "急性支气管炎", "insurance_code": "J20.900"},
        {
            "code": "A04.01.01", "name": "咳嗽", "kind": "tcm_disease", "syndrome_code": "B02.02.04",
            "syndrome_name": "痰热郁肺证",
        },
    ]  # fmt: skip
    for text in ("咳嗽", "Cough", "痰热郁肺证", "A04.01.01"):
        assert text in doctor.page


def test_a_syndrome_that_the_catalogue_lacks_stands_in_the_doctors_words(doctor: Doctor) -> None:
    doctor.press("action", "find", dx="A04.01.01", complaint="咳嗽")
    doctor.press("action", "find", dx="寒包火证")
    assert doctor.page.count('name="syndrome" value="寒包火证"') == 1
    doctor.press("syndrome", "寒包火证", dx="")
    draft = versions.newest_draft(doctor.his.conn, doctor.encounter_id)
    assert draft is not None
    assert [(one.name, one.syndrome_name, one.syndrome_code) for one in draft.note.diagnoses] == [
        ("咳嗽", "寒包火证", "")
    ]


def test_without_a_disease_that_waits_no_syndrome_is_offered(doctor: Doctor) -> None:
    doctor.press("action", "find", dx="B02.02", complaint="咳嗽")
    assert 'name="syndrome"' not in doctor.page and "Nothing in the catalogue" in doctor.page
    doctor.press("syndrome", "B02.02.04|痰热郁肺证")
    assert "痰热郁肺证" not in doctor.page, "a form that nobody filled in changes nothing"


def test_herbs_without_a_diagnosis_of_chinese_medicine_are_remarked_on_and_signed(doctor: Doctor) -> None:
    doctor.ready()
    doctor.press("rx-open", "herbal")
    assert HERBS_ALONE not in doctor.page
    doctor.add("甘草")
    assert HERBS_ALONE in doctor.page
    doctor.press("action", "find", dx="A04.01.01")
    assert HERBS_ALONE not in doctor.page and "咳嗽: its syndrome is not said" in doctor.page
    assert doctor.press("action", "sign", rx__doses="3").status_code == 302
