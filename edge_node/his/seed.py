"""What a new clinic begins with: departments, common diagnoses, note templates; for training also staff, drugs, prices.

`init` plants it; the official catalogues and the real staff come by `import` and `user add`. A training clinic's call
screen is on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ulid import ULID

from edge_node.his.calling.rules import Shows
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import common_diagnoses, note_templates, training_drugs, training_prices
from edge_node.his.encounters.note import to_json
from edge_node.his.settings.model import CALL_SCREEN
from edge_node.his.staff import queries as staff_queries
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentSeed:
    """A department; `mark` is the character that its queue numbers begin with."""

    code: str
    mark: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSeed:
    """A member of staff of the training clinic; `department` is the code of one of default_departments()."""

    code: str
    name: str
    title: str
    roles: tuple[Role, ...]
    department: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who can now sign in, and the password to tell them; it is stored nowhere."""

    code: str
    name: str
    roles: tuple[Role, ...]
    password: str


def default_departments() -> tuple[DepartmentSeed, ...]:
    """The departments of an ordinary outpatient clinic, in the order in which they are offered."""
    return (
        DepartmentSeed(code="internal", mark="内", name="内科", name_en="Internal medicine"),
        DepartmentSeed(code="paediatrics", mark="儿", name="儿科", name_en="Paediatrics"),
        DepartmentSeed(code="surgery", mark="外", name="外科", name_en="Surgery"),
        DepartmentSeed(code="gynaecology", mark="妇", name="妇科", name_en="Gynaecology"),
        DepartmentSeed(code="tcm", mark="中", name="中医科", name_en="Chinese medicine"),
        DepartmentSeed(code="emergency", mark="急", name="急诊", name_en="Emergency"),
    )


def training_staff() -> tuple[StaffSeed, ...]:
    """One person of each role and a doctor of each larger department, so that every page can be tried."""
    return (
        StaffSeed(code="admin", name="管理员", title="", roles=(Role.ADMIN,)),
        StaffSeed(code="hanmei", name="韩梅", title="诊所经理", roles=(Role.MANAGER,)),
        StaffSeed(code="zhoumin", name="周敏", title="挂号员", roles=(Role.REGISTRAR, Role.CASHIER)),
        StaffSeed(code="linfang", name="林芳", title="护士", roles=(Role.NURSE,)),
        StaffSeed(code="shenliqun", name="沈立群", title="主治医师", roles=(Role.DOCTOR,), department="internal"),
        StaffSeed(code="guoning", name="郭宁", title="医师", roles=(Role.DOCTOR,), department="paediatrics"),
        StaffSeed(code="taoran", name="陶然", title="副主任医师", roles=(Role.DOCTOR,), department="surgery"),
        StaffSeed(code="qinhanmin", name="秦汉民", title="主任医师", roles=(Role.DOCTOR,), department="tcm"),
        StaffSeed(code="xuyan", name="许岩", title="药师", roles=(Role.PHARMACIST,)),
        StaffSeed(code="weiran", name="魏然", title="审计员", roles=(Role.AUDITOR,)),
    )


def plant(
    conn: Connection,
    *,
    at: int,
    training: bool,
    hash_password: Callable[[str], str],
    make_password: Callable[[], str],
    must_change: bool = True,
) -> list[Account]:
    """Write departments, diagnoses and note templates, and for a training clinic drugs, prices and staff, who are
    returned with their passwords.

    Only into a new database, within the caller's transaction; IntegrityError when it was planted before. `at` is UTC
    milliseconds. `hash_password` takes its time by design (about 50 ms for each person).
    """
    departments = {seed.code: str(ULID()) for seed in default_departments()}
    conn.executemany(
        "INSERT INTO department (id, code, mark, name, name_en, rank) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (departments[seed.code], seed.code, seed.mark, seed.name, seed.name_en, rank)
            for rank, seed in enumerate(default_departments(), start=1)
        ],
    )
    catalogues.keep_icd(conn, common_diagnoses())
    conn.executemany(
        "INSERT INTO note_template (id, name, department_id, body, rank) VALUES (?, ?, ?, ?, ?)",
        [
            (str(ULID()), name, departments.get(department), to_json(note), rank)
            for rank, (name, department, note) in enumerate(note_templates(), start=1)
        ],
    )
    if training:
        catalogues.keep_drugs(conn, training_drugs(), at=at)
        catalogues.keep_prices(conn, training_prices(), at=at)
        conn.execute(
            "INSERT INTO setting (key, value, updated_at) VALUES (:key, :value, :at)",
            {"key": CALL_SCREEN, "value": Shows.NAMES, "at": at},
        )
    accounts = []
    for seed in training_staff() if training else ():
        password = make_password()
        staff_queries.insert(
            conn,
            code=seed.code,
            name=seed.name,
            title=seed.title,
            roles=seed.roles,
            at=at,
            must_change=must_change,
            department_id=departments[seed.department] if seed.department else None,
            password_hash=hash_password(password),
        )
        accounts.append(Account(code=seed.code, name=seed.name, roles=seed.roles, password=password))
    return accounts
