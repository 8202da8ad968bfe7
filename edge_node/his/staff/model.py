"""People who work here, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_node.i18n import Text, text


class Role(StrEnum):
    REGISTRAR = "registrar"
    NURSE = "nurse"
    DOCTOR = "doctor"
    PHARMACIST = "pharmacist"
    CASHIER = "cashier"
    MANAGER = "manager"
    ADMIN = "admin"
    AUDITOR = "auditor"


ROLE_NAMES: dict[Role, Text] = {
    Role.REGISTRAR: text("registrar"),
    Role.NURSE: text("nurse"),
    Role.DOCTOR: text("doctor"),
    Role.PHARMACIST: text("pharmacist"),
    Role.CASHIER: text("cashier"),
    Role.MANAGER: text("manager"),
    Role.ADMIN: text("administrator"),
    Role.AUDITOR: text("auditor"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """One member of staff. `code` is what they sign in with; `title` is shown beside the name where there is one.

    `has_second_factor` once its owner has shown a code.
    """

    id: str
    code: str
    name: str
    title: str
    department_id: str | None
    roles: frozenset[Role]
    must_change: bool
    active: bool
    has_second_factor: bool

    def may(self, *roles: Role) -> bool:
        """Has the person any of these roles?"""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that holds: who, at which desk, since when; times are UTC milliseconds.

    `confirmed_at` is when the person last proved who they are.
    """

    staff: Staff
    station: str
    created_at: int
    last_seen_at: int
    confirmed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session as a list shows it. `digest` (hexadecimal) names it; the browser's own secret is not in it."""

    digest: str
    staff_id: str
    station: str
    address: str
    created_at: int
    last_seen_at: int
