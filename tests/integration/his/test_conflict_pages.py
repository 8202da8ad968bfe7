"""Two people at one note, through their browsers: nobody writes over somebody."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from edge_node.his.encounters import versions
from edge_node.his.encounters.note import Diagnosis, Note
from tests.support.doctor_pages import TYPED, actions, newest, post, words
from tests.support.encounters import BRONCHITIS, NOTE, Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


@pytest.fixture
def overtaken(clinic: Clinic) -> tuple[str, TestResponse]:
    """An encounter whose draft guo changed while shen had it open, and the page that shen gets."""
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED)
    guo = clinic.his.sign_in("guo", client=clinic.his.browser())
    theirs = TYPED | {
        "history": "Dry at first, yellow since 3 days. Hay fever.",
        "diagnosis": ["J20.900|急性支气管炎", "M10.900|痛风"],
    }
    assert post(clinic, encounter_id, client=guo, **theirs | {"revision": "1"}).status_code == 302
    mine = TYPED | {"history": "Dry at first, yellow since 3 days, worse at night.", "pulse": "88"}
    return encounter_id, post(clinic, encounter_id, **mine | {"revision": "1"})


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return html.unescape(found[1])


def test_both_sides_are_shown_and_put_together(clinic: Clinic, overtaken: tuple[str, TestResponse]) -> None:
    encounter_id, answer = overtaken
    assert answer.status_code == 409
    page = words(answer)
    assert "郭宁 saved draft 2 at" in page
    assert re.search(r"<ins>[^<]*Hay fever[^<]*</ins>", answer.text)
    assert re.search(r"<ins>[^<]*worse at night[^<]*</ins>", answer.text)
    assert "Dry at first, yellow since 3 days, worse at night. Hay fever.</textarea>" in answer.text
    assert 'value="M10.900|痛风" checked' in answer.text
    assert [draft.revision for draft in versions.drafts(clinic.his.conn, encounter_id)] == [2, 1], "nothing is written"


@pytest.mark.parametrize(
    "action, history, pulse, gout",
    [
        pytest.param("merged", "together", "88", True, id="merged"),
        pytest.param("mine", "Dry at first, yellow since 3 days, worse at night.", "88", False, id="mine"),
        pytest.param("saved", "Dry at first, yellow since 3 days. Hay fever.", "", True, id="saved"),
    ],
)
def test_three_ways_out(
    clinic: Clinic, overtaken: tuple[str, TestResponse], action: str, history: str, pulse: str, gout: bool
) -> None:
    encounter_id, page = overtaken
    fields = {name: hidden(page.text, name) for name in ("revision", "based_on", "mine", "complaint", "temperature")}
    answer = clinic.his.post(
        clinic.his.client,
        f"/encounters/{encounter_id}/settle",
        **fields,
        action=action,
        history="together",
        pulse="88",
        diagnosis=["J20.900|急性支气管炎", "M10.900|痛风"],
    )
    assert (answer.status_code, answer.location) == (302, f"/encounters/{encounter_id}")
    note = newest(clinic, encounter_id)
    assert (note.history, note.pulse, Diagnosis(code="M10.900", name="痛风") in note.diagnoses) == (
        history,
        pulse,
        gout,
    )
    everything = [draft.note.history for draft in versions.drafts(clinic.his.conn, encounter_id)]
    assert "Dry at first, yellow since 3 days. Hay fever." in everything
    assert "Dry at first, yellow since 3 days, worse at night." in everything
    assert actions(clinic)[-1] == "note_conflict_settled"


def test_a_third_save_shows_the_conflict_again(clinic: Clinic, overtaken: tuple[str, TestResponse]) -> None:
    encounter_id, page = overtaken
    clinic.save(encounter_id, replace(NOTE, history="third"), based_on=2, doctor="guo")
    fields = {name: hidden(page.text, name) for name in ("revision", "based_on", "mine")}
    answer = clinic.his.post(
        clinic.his.client, f"/encounters/{encounter_id}/settle", **fields, action="mine", complaint="x"
    )
    assert answer.status_code == 409
    assert "worse at night" in answer.text and "third" in answer.text


def test_a_signature_does_not_pass_over_somebody_elses_save(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.save(encounter_id, NOTE, based_on=0, doctor="guo")
    assert post(clinic, encounter_id, **TYPED | {"action": "sign"}).status_code == 409
    assert versions.versions(clinic.his.conn, encounter_id) == []


def test_somebody_else_signed_meanwhile(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.sign(encounter_id, NOTE, doctor="guo")
    answer = post(clinic, encounter_id, **TYPED | {"action": "save"})
    assert answer.status_code == 409
    fields = {name: hidden(answer.text, name) for name in ("revision", "based_on", "mine")}
    settled = clinic.his.post(clinic.his.client, f"/encounters/{encounter_id}/settle", **fields, action="mine")
    assert settled.location == f"/encounters/{encounter_id}?amend=1", "what is written now is an amendment"


def test_the_same_words_from_two_people_are_no_conflict(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    note = Note(complaint="cough", diagnoses=(BRONCHITIS,))
    clinic.save(encounter_id, note, based_on=0, doctor="guo")
    answer = post(clinic, encounter_id, complaint="cough", diagnosis="J20.900|急性支气管炎")
    assert answer.status_code == 302
