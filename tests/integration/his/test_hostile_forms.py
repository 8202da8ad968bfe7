"""Forms and requests that no page of ours makes: answered at once with a page, and nothing is half done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from edge_node.his.audit import verify
from tests.support.encounters import NOTE, Clinic
from tests.support.his import a_his

HUGE, ENDLESS = "9" * 30, "9" * 5000
HALF_A_CHARACTER = '{"diagnoses":[],"complaint":"\\ud800"}'
BRACKETS = "[" * 100_000
# A pattern that compares every place with every other needs hours for these, a good one milliseconds.
LONG = 400_000
AT_ONCE_S = 5.0


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        his.app.testing = False
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


@pytest.fixture
def registrar(clinic: Clinic) -> FlaskClient:
    return clinic.his.sign_in("zhou", client=clinic.his.browser())


@pytest.mark.parametrize("page", ["0", "00", "-1", "²", "٣", "1e3", HUGE, ENDLESS])
def test_a_page_of_the_queue_that_there_is_not(clinic: Clinic, registrar: FlaskClient, page: str) -> None:
    assert registrar.get("/reception", query_string={"page": page}).status_code == 200


@pytest.mark.parametrize("version", ["", "-1", "1_0", "\0", HUGE, ENDLESS])
def test_a_version_that_no_form_has(clinic: Clinic, registrar: FlaskClient, version: str) -> None:
    clinic.begun()
    (patient_id,) = clinic.his.conn.execute("SELECT id FROM patient").fetchone()
    answer = clinic.his.post(
        registrar, f"/patients/{patient_id}/edit", version=version, name="甲乙", sex="1", birth_date="1980-03-14",
        id_type="none",
    )  # fmt: skip
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"revision": HUGE}, id="a-huge-revision"),
        pytest.param({"revision": "99"}, id="a-revision-that-was-never-saved"),
        pytest.param({"based_on": HUGE}, id="a-huge-beginning"),
        pytest.param({"mine": HALF_A_CHARACTER}, id="half-a-character"),
        pytest.param({"mine": BRACKETS}, id="brackets"),
        pytest.param({"mine": '{"diagnoses":[],"complaint":"%s"}' % ("x" * 20_000)}, id="longer-than-a-note"),
    ],
)
@pytest.mark.parametrize("way", ["merged", "mine", "saved"])
def test_a_conflict_that_no_page_has_shown(clinic: Clinic, fields: dict[str, str], way: str) -> None:
    encounter_id = clinic.begun()
    clinic.save(encounter_id, NOTE, based_on=0)
    form = {"revision": "1", "based_on": "0", "mine": '{"diagnoses":[]}', "action": way, **fields}
    answer = clinic.his.post(clinic.his.client, f"/encounters/{encounter_id}/settle", **form)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "kept", [BRACKETS, '["/patients",[["a","\\ud800"]]]', '["/\\ud800",[]]', '["/x",[["\\ud800",""]]]']
)
@pytest.mark.parametrize("password, status", [("three words apart", 302), ("wrong words", 422)])
def test_a_form_that_was_never_kept(clinic: Clinic, kept: str, password: str, status: int) -> None:
    clinic.his.sign_in("zhou", client=clinic.his.browser(), password=password, kept=kept)
    assert clinic.his.last.status_code == status


@pytest.mark.parametrize("path", ["/patients/find", "/reception/find", "/patients/begin"])
@pytest.mark.parametrize("letters", ["a", "1", "a1", "a "])
def test_a_long_search_is_answered_at_once(clinic: Clinic, registrar: FlaskClient, path: str, letters: str) -> None:
    began = time.monotonic()
    answer = clinic.his.post(registrar, path, q=f"x{letters * LONG}!"[:LONG])
    assert answer.status_code in (200, 302)
    assert len(answer.headers.get("Location", "")) < 1000
    assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("field", ["temperature", "pulse", "respiration", "blood_pressure", "onset_date"])
def test_a_row_of_spaces_in_a_measure_is_answered_at_once(clinic: Clinic, field: str) -> None:
    encounter_id = clinic.begun()
    began = time.monotonic()
    answer = clinic.his.post(
        clinic.his.client, f"/encounters/{encounter_id}", revision="0", **{field: f"x{' ' * LONG}!"}
    )  # fmt: skip
    assert answer.status_code == 422
    assert time.monotonic() - began < AT_ONCE_S


def test_the_first_signature_is_version_one_whatever_the_form_says(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.his.post(
        clinic.his.client, f"/encounters/{encounter_id}", revision="0", version="7", action="sign",
        complaint="cough for 5 days", diagnosis="J20.900|急性支气管炎",
    )  # fmt: skip
    signed = [row["n"] for row in clinic.his.conn.execute("SELECT n FROM note_version")]
    (status,) = clinic.his.conn.execute("SELECT status FROM registration").fetchone()
    assert (signed, status) == ([1], "done")
    assert verify(clinic.his.conn) is None


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "://"])
def test_an_origin_that_is_no_address(clinic: Clinic, origin: str) -> None:
    assert clinic.his.client.post("/login", headers={"Origin": origin}).status_code == 403


def test_a_host_that_cannot_be_one(clinic: Clinic) -> None:
    assert clinic.his.client.get("/login", headers={"Host": "x" * 300}).status_code == 400


def test_a_form_of_too_many_parts_to_a_page_that_there_is_not(clinic: Clinic) -> None:
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="a{n}"\r\n\r\n1\r\n' for n in range(2000))
    answer = clinic.his.client.post(
        "/nowhere", data=f"{parts}--x--\r\n", content_type="multipart/form-data; boundary=x"
    )  # fmt: skip
    assert answer.status_code == 404


def test_a_note_can_be_read_while_nothing_can_be_written(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    encounter_id = clinic.begun()
    clinic.save(encounter_id, NOTE, based_on=0)
    clinic.his.context.writer.close()
    for path in ("", "/versions"):
        page = clinic.his.client.get(f"/encounters/{encounter_id}{path}")
        assert page.status_code == 200 and NOTE.complaint in page.text
    assert "view_not_recorded" in capsys.readouterr().err
