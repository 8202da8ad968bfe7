"""A machine that was replaced: it can be read, it says who, when and why, and it takes no writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.base.clock import parse_utc
from edge_node.his.context import EXTENSION
from edge_node.his.language import local
from edge_node.his.staff.model import Role
from edge_node.i18n import CHINESE
from edge_node.status.superseded import Superseded, SupersededFile, write_superseded
from tests.support.his import PASSWORD, His, a_his
from tests.support.people import an_id_number, departments

OWNER = Superseded(
    by="east-2", epoch=2, own_epoch=1, claimed_at="2026-11-22T01:14:02.000Z", found_at="2026-11-22T01:20:00.000Z",
    destination="cloud", why="主机烧坏", taken_epoch=1, taken_txid=77,
)  # fmt: skip
# As the clinic's clocks say it.
SINCE = f"{local(parse_utc('2026-11-22T01:14:02.000Z')):%Y-%m-%d %H:%M}"
FORM = {
    "department_id": "d1", "doctor_id": "", "name": "单雅琴", "sex": "2", "birth_date": "1980-03-14",
    "id_type": "resident", "id_number": an_id_number(), "phone": "138 0516 2207", "address": "",
}  # fmt: skip


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        his.context = his.app.extensions[EXTENSION] = replace(his.context, superseded=SupersededFile(tmp_path))
        his.write(departments)
        his.add_staff("zhoumin", Role.REGISTRAR)
        his.sign_in("zhoumin")
        yield his


def patients(his: His) -> int:
    return int(his.conn.execute("SELECT count(*) FROM patient").fetchone()[0])


def test_it_is_heeded_at_the_next_write_without_a_restart(his: His, tmp_path: Path) -> None:
    answer = his.post(his.client, "/reception", **FORM)
    assert (answer.status_code, patients(his)) == (302, 1)
    write_superseded(tmp_path, OWNER)
    answer = his.post(his.client, "/reception", **{**FORM, "name": "王芳", "id_number": "", "id_type": "none"})
    assert (answer.status_code, patients(his)) == (409, 1)
    assert "Not saved: this machine was replaced" in answer.text
    assert f"Replaced by east-2 on {SINCE}. The reason given: 主机烧坏" in answer.text
    assert "王芳" in answer.text, "what was typed is given back"


@pytest.mark.parametrize("path", ["/reception", "/patients", "/posture", "/password"])
@pytest.mark.parametrize("language", ["en", CHINESE])
def test_every_page_says_so_and_can_be_read(his: His, tmp_path: Path, path: str, language: str) -> None:
    his.client.set_cookie("lang", language)
    assert "east-2" not in his.client.get(path).text
    write_superseded(tmp_path, OWNER)
    page = his.client.get(path)
    assert page.status_code == 200
    assert "east-2" in page.text
    assert SINCE in page.text
    assert "主机烧坏" in page.text


def test_reading_goes_on_and_is_recorded(his: His, tmp_path: Path) -> None:
    his.post(his.client, "/reception", **FORM)
    (patient,) = his.conn.execute("SELECT id FROM patient").fetchone()
    write_superseded(tmp_path, OWNER)
    other = his.browser()
    his.sign_in("zhoumin", client=other)
    page = other.get(f"/patients/{patient}")
    assert page.status_code == 200
    assert "单雅琴" in page.text
    viewed = his.conn.execute("SELECT count(*) FROM audit_log WHERE action = 'viewed'").fetchone()[0]
    assert viewed == 1
    assert his.post(other, f"/patients/{patient}/whole", field="id_number").status_code == 200
    assert his.post(other, "/logout").status_code == 302


def test_a_password_is_not_changed_here_any_more(his: His, tmp_path: Path) -> None:
    write_superseded(tmp_path, OWNER)
    answer = his.post(his.client, "/password", old=PASSWORD, new="four other words here", again="four other words here")
    assert answer.status_code in (409, 422)
    assert his.sign_in("zhoumin", client=his.browser()) and his.last.status_code == 302


def test_what_machines_ask_is_answered_too(his: His, tmp_path: Path) -> None:
    assert his.client.get("/readyz").status_code == 200
    (tmp_path / "superseded.json").write_bytes(b"torn")
    answer = his.client.get("/readyz")
    assert answer.status_code == 503
    assert "replaced by another machine" in answer.text
    assert his.client.get("/healthz").status_code == 200
