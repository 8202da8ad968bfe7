"""A new clinic's database: what is planted, once and for the right kind of clinic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.his import seed
from edge_node.his.catalogues.training import common_diagnoses
from edge_node.his.reception import queries as reception
from edge_node.his.staff import queries as staff
from edge_node.his.staff.model import Role
from edge_node.store.connection import IntegrityError
from tests.support.his import His, a_his


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        yield his


def plant(his: His, *, training: bool) -> list[seed.Account]:
    passwords = iter(f"first-{n}" for n in range(99))
    return his.write(
        lambda conn: seed.plant(
            conn,
            at=1,
            training=training,
            hash_password=lambda password: f"hash of {password}",
            make_password=lambda: next(passwords),
        )
    )


def test_a_real_clinic_gets_departments_and_diagnoses_and_no_accounts(his: His) -> None:
    assert plant(his, training=False) == []
    assert [department.mark for department in reception.departments(his.conn)] == ["内", "儿", "外", "妇", "中", "急"]
    assert staff.everybody(his.conn) == []
    (count,) = his.conn.execute("SELECT count(*) FROM icd").fetchone()
    assert count == len(common_diagnoses())


def test_a_training_clinic_gets_its_staff_with_passwords_that_are_stored_nowhere(his: His) -> None:
    accounts = plant(his, training=True)
    people = {person.code: person for person in staff.everybody(his.conn)}
    assert {account.code for account in accounts} == set(people)
    assert len({account.password for account in accounts}) == len(accounts)
    for account in accounts:
        person = people[account.code]
        assert (person.name, person.roles, person.must_change) == (account.name, frozenset(account.roles), True)
        assert staff.password_hash(his.conn, person.id) == f"hash of {account.password}"
    departments = {department.id: department.name for department in reception.departments(his.conn)}
    assert departments[people["shenliqun"].department_id or ""] == "内科"
    assert people["admin"].may(Role.ADMIN)


def test_planting_twice_changes_nothing(his: His) -> None:
    plant(his, training=True)
    with pytest.raises(IntegrityError):
        plant(his, training=True)
    assert len(reception.departments(his.conn)) == len(seed.default_departments())
    assert len(staff.everybody(his.conn)) == len(seed.training_staff())
