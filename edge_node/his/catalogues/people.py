"""Staff as a list: who, in which roles, with which rights. Pure; passwords are made when they are kept."""

from __future__ import annotations

from dataclasses import dataclass

from edge_node.his.catalogues.columns import Column, code, one_of, some_of, words
from edge_node.his.prescriptions.model import Right
from edge_node.his.staff.model import Role

_ROLES = {
    "挂号": Role.REGISTRAR,
    "护士": Role.NURSE,
    "医生": Role.DOCTOR,
    "药师": Role.PHARMACIST,
    "收费": Role.CASHIER,
    "经理": Role.MANAGER,
    "管理员": Role.ADMIN,
    "审计": Role.AUDITOR,
}
_RIGHTS = {"麻醉和第一类精神药品": Right.NARCOTIC, "限制使用级抗菌药物": Right.RESTRICTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A row of the list; `department` is a department's code."""

    code: str
    name: str
    title: str
    roles: tuple[Role, ...]
    department: str
    licence_no: str
    rights: tuple[Right, ...]


def columns(departments: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns, with the codes of the departments that there are."""
    return (
        Column(key="code", zh="工号", en="code", read=code, required=True),
        Column(key="name", zh="姓名", en="name", read=words, required=True),
        Column(key="title", zh="职称", en="title", read=words, default=""),
        Column(key="roles", zh="岗位", en="roles", read=some_of(_ROLES), required=True),
        Column(key="department", zh="科室", en="department", read=one_of({c: c for c in departments}), default=""),
        Column(key="licence_no", zh="执业证号", en="licence", read=words, default=""),
        Column(key="rights", zh="处方权", en="rights", read=some_of(_RIGHTS), default=()),
    )
