"""The signature through a browser's client: what it needs, what it states, and what comes after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.clock import ClockState
from edge_node.his import audit
from edge_node.his.encounters import versions
from edge_node.status import Mode
from edge_node.store.connection import Connection
from tests.support.doctor_pages import TYPED, actions, get, post, words
from tests.support.encounters import Clinic
from tests.support.his import a_his, a_node_status


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


def test_a_note_is_signed(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    answer = post(clinic, encounter_id, **TYPED | {"action": "sign"})
    page = words(get(clinic, answer.location))
    assert answer.location == f"/encounters/{encounter_id}"
    for shown in (
        "Signed",
        "Version 1",
        "沈立群",
        "cough for 5 days",
        "37.6 ℃",
        "138/86 mmHg",
        "急性支气管炎",
        "J20.900",
    ):
        assert shown in page
    (version,) = versions.versions(clinic.his.conn, encounter_id)
    assert (version.author_id, version.clock_state, version.mode) == (clinic.staff["shen"], "synced", "online")
    assert actions(clinic) == ["note_signed", "viewed"]
    assert audit.verify(clinic.his.conn) is None


def test_measures_have_their_units_among_the_versions_too(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    page = words(get(clinic, f"/encounters/{encounter_id}/versions"))
    assert "37.6 ℃" in page and "138/86 mmHg" in page


def test_the_sign_button_is_held_with_its_reasons_beside_it(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    page = get(clinic, f"/encounters/{encounter_id}")
    held = re.search(r"<button[^>]*btn--held[^>]*>", page.text)
    assert held is not None
    assert 'aria-disabled="true"' in held[0] and 'aria-describedby="still"' in held[0]
    assert "disabled" not in held[0].replace("aria-disabled", ""), "it can be focused and pressed"
    assert "Cannot be signed yet: The complaint is missing ; A diagnosis is missing" in words(page)
    assert re.search(r'id="still">.*?<a href="#complaint">.*?<a href="#dx">', page.text, re.DOTALL)
    post(clinic, encounter_id, **TYPED)
    assert "btn--held" not in get(clinic, f"/encounters/{encounter_id}").text


def test_pressing_the_held_button_with_everything_typed_signs(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    assert post(clinic, encounter_id, **TYPED | {"action": "sign"}).status_code == 302
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1


@pytest.mark.parametrize(
    "changes, field, sentence",
    [
        pytest.param({"complaint": ""}, "complaint", "The complaint is missing", id="no-complaint"),
        pytest.param({"diagnosis": ""}, "dx", "A diagnosis is missing", id="no-diagnosis"),
        pytest.param({"temperature": "376"}, "temperature", "25 to 45, such as 37.6", id="a-lost-point"),
        pytest.param({"dx": "gxy"}, "dx", '"gxy" is typed, but not added to the list', id="a-diagnosis-half-typed"),
    ],
)
def test_what_cannot_be_signed_comes_back_as_typed(
    clinic: Clinic, changes: dict[str, str], field: str, sentence: str
) -> None:
    encounter_id = clinic.begun()
    typed = TYPED | changes
    answer = post(clinic, encounter_id, **typed | {"action": "sign"})
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert f'id="{field}"' in answer.text
    assert sentence in words(answer)
    assert typed["history"] in answer.text
    assert answer.text.count('aria-invalid="true"') == 1
    assert re.search(r"<title>\(1\)", answer.text)
    assert versions.versions(clinic.his.conn, encounter_id) == []


def test_a_double_click_signs_once(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    first, second = (post(clinic, encounter_id, **TYPED | {"action": "sign"}) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1


@pytest.mark.parametrize("state", list(ClockState))
def test_the_signature_carries_the_clock_and_the_mode(clinic: Clinic, state: ClockState) -> None:
    clinic.his.status = a_node_status(clock=state, mode=Mode.OFFLINE)
    encounter_id = clinic.begun()
    warned = "The clock of this node cannot be right." in words(get(clinic, f"/encounters/{encounter_id}"))
    assert warned is (state is ClockState.SUSPECT)
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    (version,) = versions.versions(clinic.his.conn, encounter_id)
    assert (version.clock_state, version.mode) == (state, "offline")
    assert ("clock suspect" in words(get(clinic, f"/encounters/{encounter_id}"))) is (state is ClockState.SUSPECT)


def test_an_amendment_needs_a_change_and_its_reason(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    form = get(clinic, f"/encounters/{encounter_id}?amend=1")
    assert "Version 1 of 沈立群" in words(form)
    assert "Cannot be signed yet: Say why the signed note is changed" in words(form)
    unchanged = post(clinic, encounter_id, **TYPED | {"action": "sign", "revision": "1", "version": "2"})
    assert unchanged.status_code == 422
    assert "Say why the signed note is changed" in words(unchanged)
    assert "Nothing differs from the signed version" in words(unchanged)
    post(
        clinic, encounter_id,
        **TYPED
        | {"action": "sign", "revision": "1", "version": "2", "complaint": "cough for 6 days", "reason": "misheard"},
    )  # fmt: skip
    page = words(get(clinic, f"/encounters/{encounter_id}"))
    assert "Version 2" in page and "misheard" in page and "cough for 6 days" in page
    trace = words(get(clinic, f"/encounters/{encounter_id}/versions?revision=2"))
    assert "cough for 5 6 days" in trace, "both are readable, one struck and one marked"


def test_a_begun_amendment_keeps_its_reason_and_is_announced(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    answer = post(clinic, encounter_id, **TYPED | {"revision": "1", "complaint": "changed", "reason": "half a reason"})
    assert answer.location == f"/encounters/{encounter_id}?amend=1"
    assert 'value="half a reason"' in get(clinic, answer.location).text
    page = words(get(clinic, f"/encounters/{encounter_id}"))
    assert "A change of this note is begun and not signed." in page
    assert "cough for 5 days" in page, "what counts is the signed version"


def test_a_note_that_is_not_what_was_signed_is_said_to_be(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})

    def tamper(conn: Connection) -> None:
        conn.execute("DROP TRIGGER note_version_kept")
        conn.execute("UPDATE note_version SET body = replace(body, '5 days', '9 days')")

    clinic.his.write(tamper)
    assert "Version 1 of this note is not what was signed." in words(get(clinic, f"/encounters/{encounter_id}"))
