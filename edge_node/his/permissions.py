"""Who may do what: one table, by the endpoint of each page and form. Data.

A route without an entry keeps the HIS from starting, and so does an entry without a route: what nobody has thought
about is open to nobody. The bar at the top asks the same table, so that no link of it leads to a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_node.his.staff.model import Role, Staff

# Everybody on the clinic's network: no patient data is shown there. Whoever is signed in, in whatever role.
EVERYBODY: frozenset[Role] | None = None
SIGNED_IN = frozenset(Role)

_DESK = frozenset({Role.REGISTRAR, Role.NURSE})
_DESK_READS = _DESK | {Role.MANAGER}
_CARE = frozenset({Role.REGISTRAR, Role.NURSE, Role.DOCTOR, Role.PHARMACIST, Role.CASHIER, Role.MANAGER})
# Whoever hears of an allergy writes it down; that it is none any more, somebody who treats says.
_ASKS = frozenset({Role.REGISTRAR, Role.NURSE, Role.DOCTOR, Role.PHARMACIST})
# Whoever meets two records of one person merges them; that it was none, who answers for the clinic says.
_MANAGER = frozenset({Role.MANAGER})
_DOCTOR = frozenset({Role.DOCTOR})
# The pharmacist checks and files the printed one (处方管理办法, article 28).
_PRINTS = frozenset({Role.DOCTOR, Role.PHARMACIST})
_MEASURES = frozenset({Role.NURSE, Role.DOCTOR})
_CONSOLE = frozenset({Role.MANAGER, Role.ADMIN})
_ADMIN = frozenset({Role.ADMIN})
# Who looks after the traces leaves none but that of looking; who runs the machine does not judge its log.
_AUDITS = frozenset({Role.AUDITOR, Role.MANAGER})

TABLE: Mapping[str, frozenset[Role] | None] = {
    "static": EVERYBODY,
    "home": SIGNED_IN,
    "language.choose": EVERYBODY,
    "health.healthz": EVERYBODY,
    "health.readyz": EVERYBODY,
    "health.status": EVERYBODY,
    # Masked names at most, and nothing before the clinic has switched it on.
    "calling.index": EVERYBODY,
    "posture.index": EVERYBODY,
    "posture.line": EVERYBODY,
    "trust.index": EVERYBODY,
    "trust.certificate": EVERYBODY,
    "staff.login": EVERYBODY,
    "staff.sign_in": EVERYBODY,
    "staff.sign_in_code": EVERYBODY,
    "staff.logout": SIGNED_IN,
    "staff.password": SIGNED_IN,
    "factor.index": SIGNED_IN,
    "factor.begin": SIGNED_IN,
    "factor.confirm": SIGNED_IN,
    "factor.remove": SIGNED_IN,
    "sessions.index": SIGNED_IN,
    "sessions.end": SIGNED_IN,
    "sessions.end_others": SIGNED_IN,
    "reception.index": _DESK_READS,
    "reception.find": _DESK_READS,
    "reception.registration": _DESK_READS,
    "reception.register": _DESK,
    "reception.cancel": _DESK,
    "reception.come_back": _DESK,
    "triage.index": _MEASURES,
    "triage.show": _MEASURES,
    "triage.measure": _MEASURES,
    "patients.index": _CARE,
    "patients.find": _CARE,
    "patients.record": _CARE,
    "patients.show_whole": _CARE,
    "patients.compare": _DESK_READS,
    "patients.compare_with": _DESK_READS,
    "patients.merge": _DESK_READS,
    "patients.undo_merge": _MANAGER,
    # Loses nothing either way: the other one can be offered again.
    "patients.say_apart": _DESK_READS,
    "patients.take_back_apart": _DESK_READS,
    "patients.new": _DESK,
    "patients.begin": _DESK,
    "patients.create": _DESK,
    "patients.edit": _DESK,
    "patients.change": _DESK,
    "patients.record_allergy": _ASKS,
    "patients.no_allergy": _ASKS,
    "patients.end_allergy": _ASKS - {Role.REGISTRAR},
    "orders.index": _MEASURES,
    "orders.show": _MEASURES,
    "orders.carry_out": _MEASURES,
    "orders.cancelling": _DOCTOR,
    "orders.cancel": _DOCTOR,
    "encounters.index": _DOCTOR,
    "encounters.call": _DOCTOR,
    "encounters.waiting": _DOCTOR,
    "encounters.begin": _DOCTOR,
    "encounters.put_back": _DOCTOR,
    "calling.room": _DOCTOR,
    "calling.choose_room": _DOCTOR,
    "calling.again": _DOCTOR,
    "encounters.show": _DOCTOR,
    "encounters.save": _DOCTOR,
    "encounters.settle": _DOCTOR,
    "encounters.history": _DOCTOR,
    "encounters.template": _DOCTOR,
    "encounters.keep_template": _DOCTOR,
    "encounters.paper": _PRINTS,
    "encounters.print_paper": _PRINTS,
    "encounters.note_paper": _DOCTOR,
    "encounters.print_note": _DOCTOR,
    "console.index": _CONSOLE,
    "console.line": _CONSOLE,
    "console.replica": _CONSOLE,
    "console.order": _ADMIN,
    "console.end_order": _ADMIN,
    "traces.index": _AUDITS,
    "traces.find": _AUDITS,
    "settings.index": _ADMIN,
    "settings.change": _ADMIN,
    "settings.permissions": _CONSOLE | _AUDITS,
    "people.index": _ADMIN,
    "people.end_sessions": _ADMIN,
    "people.confirm": _ADMIN,
    "people.lock": _ADMIN,
    "people.unlock": _ADMIN,
}


@dataclass(frozen=True, slots=True)
class Permissions:
    """A table of endpoints with the roles that may; None is everybody, signed in or not."""

    table: Mapping[str, frozenset[Role] | None]

    def is_open(self, endpoint: str) -> bool:
        """Does it need no sign-in? One that is not in the table does."""
        return endpoint in self.table and self.table[endpoint] is EVERYBODY

    def roles_of(self, endpoint: str) -> tuple[Role, ...]:
        """The roles that may; none for an endpoint that is not in the table."""
        roles = self.table.get(endpoint, frozenset())
        return tuple(Role) if roles is None else tuple(role for role in Role if role in roles)

    def may(self, staff: Staff, endpoint: str) -> bool:
        """May this person go there?"""
        return staff.may(*self.roles_of(endpoint))

    def check(self, endpoints: Iterable[str]) -> None:
        """Raises LookupError, naming them, unless exactly these endpoints are in the table."""
        there = set(endpoints)
        missing, gone = sorted(there - set(self.table)), sorted(set(self.table) - there)
        if missing or gone:
            raise LookupError(f"permissions: no entry for {missing}, no route for {gone}")
