"""Two records that look alike and are of two people: said once, not asked again, and taken back by one press."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from edge_node.base.clock import ClockState
from edge_node.his.audit import Who, record, verify
from edge_node.his.patients import apart
from edge_node.his.staff.model import Role
from edge_node.store import his_migrations
from edge_node.store.connection import Connection
from tests.support.doctor_pages import words
from tests.support.encounters import Clinic
from tests.support.his import a_his

OFFERED = "Possibly the same person"
SAID = "Said to be different people"


class Desk(Clinic):
    """The desk with two records that look alike, one and other."""

    def look(self, path: str, client: FlaskClient | None = None) -> str:
        return words((client or self.his.client).get(path))

    def press(self, what: str, one: str, other: str) -> str:
        answer = self.his.post(self.his.client, f"/patients/{one}/{what}", other=other)
        assert answer.status_code == 302
        return str(answer.location)

    def merge(self, kept: str, merged: str) -> None:
        fields = {"other": merged, "kept": kept, "reason": "同一人"}
        assert self.his.post(self.his.client, f"/patients/{kept}/merge", **fields).status_code == 302

    def record(self, name: str) -> str:
        return self.comes(name).patient.id

    def holding(self) -> list[tuple[str, str]]:
        rows = self.his.conn.execute("SELECT one_id, other_id FROM patient_apart WHERE undone_at IS NULL")
        return [tuple(row) for row in rows]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with a_his(tmp_path) as his:
        desk = Desk(his)
        his.add_staff("han", Role.MANAGER, name="韩梅")
        his.sign_in("zhou")
        yield desk


@pytest.fixture
def pair(desk: Desk) -> tuple[str, str]:
    """Of one name and birthday; one of them is not in today's queue any more, so that they could be merged."""
    one, other = desk.record("单雅琴"), desk.record("单雅琴")
    gone = "UPDATE registration SET status = 'cancelled' WHERE patient_id = ?"
    desk.his.write(lambda conn: conn.execute(gone, (other,)))
    return one, other


def test_they_are_not_offered_again_from_either_side_and_it_is_said_by_whom(desk: Desk, pair: tuple[str, str]) -> None:
    one, other = pair
    assert OFFERED in desk.look(f"/patients/{one}")
    assert desk.press("apart", one, other).startswith(f"/patients/{one}?saved=apart")
    desk.press("apart", other, one)
    for mine, theirs in (pair, pair[::-1]):
        page = desk.his.client.get(f"/patients/{mine}")
        assert OFFERED not in words(page) and SAID in words(page) and "Zhou" in words(page)
        assert f"/patients/{mine}/merge?other={theirs}" in page.text, "it stays within reach"
        assert "No other record looks alike" in desk.look(f"/patients/{mine}/merge")
    assert len(desk.holding()) == 1, "said twice, it is written down once"
    rows = desk.his.conn.execute("SELECT object, detail FROM audit_log WHERE action = 'patients_told_apart'")
    assert [(row["object"], json.loads(row["detail"])) for row in rows] == [(f"patient:{one}", {"other": other})]
    assert verify(desk.his.conn) is None


def test_taken_back_they_are_offered_as_before(desk: Desk, pair: tuple[str, str]) -> None:
    one, other = pair
    desk.press("apart", one, other)
    assert "Take back: they may be one person" in desk.look(f"/patients/{other}/merge?other={one}")
    for _ in range(2):
        desk.press("apart/undo", other, one)
    page = desk.look(f"/patients/{one}")
    assert OFFERED in page and SAID not in page
    (count,) = desk.his.conn.execute("SELECT count(*) FROM audit_log WHERE action = 'telling_apart_undone'").fetchone()
    assert count == 1
    desk.press("apart", one, other)
    assert len(desk.holding()) == 1, "and can be said again"


def test_who_makes_a_second_record_all_the_same_is_not_asked_afterwards(desk: Desk) -> None:
    there = desk.record("单雅琴")
    form = {"name": "单雅芹", "sex": "2", "birth_date": "1980-03-14", "id_type": "none"}
    held = desk.his.post(desk.his.client, "/patients/new", **form)
    assert held.status_code == 409
    made = desk.his.post(desk.his.client, "/patients/new", **form, distinct_from=there)
    assert made.status_code == 302
    assert OFFERED not in desk.look(made.location) and SAID in desk.look(made.location)
    assert OFFERED not in desk.look(f"/patients/{there}")
    third = desk.his.post(desk.his.client, "/patients/new", **form)
    assert third.status_code == 409, "a third one looks like both of them"
    assert "Are the first two one person?" not in third.text, "that is answered"
    (said,) = apart.of_person(desk.his.conn, there)
    desk.press("apart/undo", there, said.other.id)
    assert "Are the first two one person?" in desk.his.post(desk.his.client, "/patients/new", **form).text


def test_merged_on_purpose_it_is_taken_back_and_an_undone_merge_says_it_again(
    desk: Desk, pair: tuple[str, str]
) -> None:
    one, other = pair
    desk.press("apart", one, other)
    desk.merge(one, other)
    assert desk.holding() == [] and SAID not in desk.look(f"/patients/{one}")
    han = desk.his.sign_in("han", client=desk.his.browser())
    desk.his.post(han, f"/patients/{one}/merge/undo", merged=other, reason="两个人")
    page = desk.look(f"/patients/{other}")
    assert OFFERED not in page and SAID in page and "韩梅" in page


def test_what_was_said_of_a_record_holds_for_what_it_is_merged_into(desk: Desk, pair: tuple[str, str]) -> None:
    one, other = pair
    third = desk.record("单雅琴")
    desk.his.write(lambda conn: conn.execute("UPDATE registration SET status = 'cancelled'"))
    desk.press("apart", one, other)
    desk.merge(third, other)
    (said,) = apart.of_person(desk.his.conn, one)
    assert said.other.id == third
    assert OFFERED not in desk.look(f"/patients/{third}") and SAID in desk.look(f"/patients/{third}")
    desk.press("apart/undo", third, one)
    assert desk.holding() == []
    assert OFFERED in desk.look(f"/patients/{one}")


def test_only_who_may_merge_says_it(desk: Desk, pair: tuple[str, str]) -> None:
    one, other = pair
    desk.his.add_staff("jin", Role.CASHIER)
    jin = desk.his.sign_in("jin", client=desk.his.browser())
    for what in ("apart", "apart/undo"):
        assert desk.his.post(jin, f"/patients/{one}/{what}", other=other).status_code == 403
        assert desk.his.post(desk.his.client, f"/patients/{one}/{what}", other="nobody").status_code == 404
    page = jin.get(f"/patients/{one}").text
    assert "/apart" not in page and OFFERED not in page


def test_what_the_audit_log_alone_knew_is_taken_over_by_the_migration(desk: Desk, pair: tuple[str, str]) -> None:
    """As a database of the release before has it: said while a record was made, and kept nowhere else."""
    one, other = pair
    taken_over = his_migrations.LEFT_OPEN.partition("INSERT OR IGNORE")[2]

    def work(conn: Connection) -> None:
        zhou = Who(staff_id=desk.staff["zhou"], station="", address="")
        record(
            conn, zhou, "patient_created", f"patient:{other}", {"distinct_from": [one, "gone"]}, at=7,
            clock_state=ClockState.SYNCED,
        )  # fmt: skip
        for _ in range(2):
            conn.execute(f"INSERT OR IGNORE {taken_over}")

    desk.his.write(work)
    (said,) = apart.of_person(desk.his.conn, one)
    assert (said.other.id, said.at, said.by) == (other, 7, "Zhou")
