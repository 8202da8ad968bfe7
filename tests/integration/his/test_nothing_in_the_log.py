"""Whatever is typed of a patient, and whatever becomes of it: log, figures, status and audit log hold none of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_node.his import request_key
from edge_node.his.staff.model import Role
from edge_node.store.connection import connect
from edge_node.store.databases import db_path
from tests.support.people import an_id_number
from tests.support.served_clinic import Served, a_served_clinic
from tests.support.waiting import until

# Characters of names; with seven of them none stands in a log by chance.
HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=7, max_size=12)
LATIN = st.text("bcdfghjklmnpqrstvwxz", min_size=9, max_size=14).map(str.title)
PHONES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
BORN = st.dates(min_value=date(1940, 1, 1), max_value=date(2005, 1, 1))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_served_clinic(tmp_path_factory.mktemp("log")) as served:
        yield served


def visits(served: Served, name: str, phone: str, id_number: str, born: str, note: str, address: str) -> list[int]:
    """Everything that can become of it: kept, refused, looked for, asked for where there is nothing, and a bug."""
    desk, doctor = served.desk(Role.REGISTRAR), served.desk(Role.DOCTOR)
    person = {
        "name": name, "sex": "2" if int(id_number[16]) % 2 == 0 else "1", "birth_date": born, "id_type": "resident",
        "id_number": id_number, "phone": phone, "address": address, "department_id": served.department(),
    }  # fmt: skip
    said = []
    key = {"request_key": request_key.new()}
    answer = desk.post("/reception", person | key)
    said.append(answer.status)
    said.append(desk.post("/reception", person | key | {"birth_date": "2999-01-01", "phone": phone * 9}).status)
    for words in (name, phone, id_number):
        said += [
            desk.get(desk.post("/patients/find", {"q": words}).location).status,
            desk.get(desk.post("/reception/find", {"q": words}).location).status,
            desk.get(f"/patients?q={quote(words)}").status, desk.get(f"/patients?find={quote(words)}").status,
            desk.get(f"/patients/{quote(words)}").status, desk.get(f"/nowhere/{quote(words)}?of={quote(words)}").status,
            desk.get(f"/language/en?next=/patients?q={quote(words)}").status,
            desk.post(f"/reception/{quote(words)}/cancel", {"reason": note}).status,
            desk.post("/reception", {"name": words}).status,
            served.post(Role.ADMIN, f"/patients/{quote(words)}", {"name": words}).status,
        ]  # fmt: skip
    doctor.post("/encounters/call", {"request_key": request_key.new()})
    row = served.conn.execute("SELECT id FROM encounter ORDER BY rowid DESC LIMIT 1").fetchone()
    if row:
        form = {
            "revision": "0",
            "complaint": note,
            "history": f"{name} {phone}",
            "dx": name,
            "rx-q": note,
            "od-q": name,
        }
        said.append(doctor.post(f"/encounters/{row[0]}", form | key).status)
        said.append(doctor.post(f"/encounters/{row[0]}", form | key | {"rx-drug": note}).status)
        said.append(doctor.post(f"/encounters/{row[0]}/settle", form | {"mine": note, "based_on": phone}).status)
    desk.get(f"/login?next=/patients?q={quote(name)}")
    return said


def test_log_figures_and_status_hold_nothing_of_a_patient(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    secrets, codes = set[str](), set[int]()

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(name=HAN | LATIN, phone=PHONES, born=BORN, note=HAN, address=HAN, sequence=st.integers(0, 999))
    def someone_comes(name: str, phone: str, born: date, note: str, address: str, sequence: int) -> None:
        number = an_id_number(str(born), f"{sequence:03}")
        secrets.update((name, phone, number, note, address))
        codes.update(visits(served, name, phone, number, str(born), note, address))

    someone_comes()
    # Now the program makes a mistake with everything in its hands.
    with connect(db_path(served.home, "his")) as conn:
        conn.execute("DROP TABLE patient_pinyin")
    someone_comes()
    assert {200, 302, 400, 404, 422, 500} <= codes
    served.service.get("/healthz")
    told = [served.service.body, *(served.desk(Role.ADMIN).get(path).body for path in ("/readyz", "/api/status"))]
    until(lambda: '"500"' in status_of(served))
    captured = capfd.readouterr()
    assert "bug" in captured.err, "the mistake is in the log, under its number"
    everything = "\n".join([captured.err, captured.out, status_of(served), *told])
    assert [words for words in secrets if any(form in everything for form in spellings(words))] == []
    # The audit log is read by whoever judges traces, not by whoever treats: it names records, and says no more of them.
    details = "\n".join(row[0] for row in served.conn.execute("SELECT detail || object FROM audit_log"))
    assert [words for words in secrets if any(form in details for form in spellings(words))] == []


def status_of(served: Served) -> str:
    """The status file of the service, with the figures that travel in it."""
    return (served.home / "run" / "his" / "status.json").read_text(encoding="utf-8")


def spellings(words: str) -> tuple[str, ...]:
    """As it may be written in a log, an address or JSON."""
    return words, quote(words), quote_plus(words), json.dumps(words)[1:-1], repr(words)[1:-1]
