"""What a new clinic begins with: its departments and common diagnoses, and for a training clinic its staff.

`init` plants it; the official catalogues and the real staff come by `import` and `user add`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pypinyin import Style, lazy_pinyin
from ulid import ULID

from edge_node.his.seed_diagnoses import COMMON_DIAGNOSES
from edge_node.his.staff import queries as staff_queries
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection

# It reads zhui in every medical term; pypinyin knows the hammer, chui.
_VERTEBRA = "椎"


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
class DiagnosisSeed:
    """A row of the diagnosis catalogue; `initials` are the pinyin initials of the Chinese name."""

    code: str
    name: str
    name_en: str
    initials: str


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
    )


def diagnoses() -> tuple[DiagnosisSeed, ...]:
    """The common diagnoses with the initials by which they are found."""
    return tuple(
        DiagnosisSeed(code=code, name=name, name_en=name_en, initials=diagnosis_initials(name))
        for code, name, name_en in COMMON_DIAGNOSES
    )


def diagnosis_initials(name: str) -> str:
    """The pinyin initials of a medical term: jxzqgy for 急性支气管炎; digits stay, brackets and spaces do not.

    The common reading of a phrase is right for medical terms, but for the vertebra; surnames, with their rare readings,
    are another matter.
    """
    plain = re.sub(r"[^\w]", "", name)
    parts = (lazy_pinyin(part, style=Style.FIRST_LETTER) for part in plain.split(_VERTEBRA))
    return "z".join("".join(letters) for letters in parts).lower()


def plant(
    conn: Connection,
    *,
    at: int,
    training: bool,
    hash_password: Callable[[str], str],
    make_password: Callable[[], str],
    must_change: bool = True,
) -> list[Account]:
    """Write the departments and diagnoses, and for a training clinic its staff, who are returned with their passwords.

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
    conn.executemany(
        "INSERT INTO icd (code, name, name_en, initials) VALUES (?, ?, ?, ?)",
        [(seed.code, seed.name, seed.name_en, seed.initials) for seed in diagnoses()],
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
