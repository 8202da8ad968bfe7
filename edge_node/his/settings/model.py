"""What a clinic decides for itself, and how it lies in the table `setting`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_node.his.calling.rules import Shows
from edge_node.his.orders.rules import READ_AFTER_MIN
from edge_node.his.prescriptions.model import Clinic
from edge_node.his.staff import rules
from edge_node.his.staff.model import Role

NARCOTICS = "narcotics"
SKIN_TEST_HOURS = "skin_test_hours"
SKIN_TEST_MIN = "skin_test_min"
TOTP_ROLES = "totp_roles"
IDLE_LOCK_MIN = "idle_lock_min"
SESSION_HOURS = "session_hours"
PROOF_MIN = "proof_min"
CALL_SCREEN = "call_screen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """May narcotics be prescribed here; for how many hours a skin test counts; who needs a second factor.
    A skin test is read `skin_test_min` minutes after it was placed, or later where the label says so.

    A desk locks itself after `idle_lock_min` without a touch (None: as the node's configuration has it) and
    `session_hours` after the sign-in; a signature asks for a proof when the last one is older than `proof_min`, with 0
    always.
    """

    narcotics: bool
    skin_test_hours: int
    totp_roles: frozenset[Role]
    idle_lock_min: int | None = None
    session_hours: int = rules.SESSION_MAX_MS // 3_600_000
    proof_min: int = rules.PROOF_MS // 60_000
    # What a screen shows to everybody, somebody has decided; a training clinic begins with it.
    call_screen: Shows = Shows.OFF
    skin_test_min: int = READ_AFTER_MIN


DEFAULTS = Settings(
    narcotics=Clinic().narcotics, skin_test_hours=Clinic().skin_test_hours, totp_roles=frozenset()
)  # fmt: skip


def of_rows(rows: Mapping[str, str]) -> Settings:
    """The settings from the table; what is missing or unreadable is as delivered."""
    return Settings(
        narcotics=rows.get(NARCOTICS) == "on",
        skin_test_hours=_number(rows, SKIN_TEST_HOURS, DEFAULTS.skin_test_hours),
        totp_roles=frozenset(role for role in Role if role in rows.get(TOTP_ROLES, "").split(",")),
        idle_lock_min=_number(rows, IDLE_LOCK_MIN, 0) or None,
        session_hours=_number(rows, SESSION_HOURS, DEFAULTS.session_hours),
        proof_min=_number(rows, PROOF_MIN, DEFAULTS.proof_min),
        skin_test_min=_number(rows, SKIN_TEST_MIN, DEFAULTS.skin_test_min),
        call_screen=Shows(screen) if (screen := rows.get(CALL_SCREEN)) in set(Shows) else DEFAULTS.call_screen,
    )


def _number(rows: Mapping[str, str], key: str, otherwise: int) -> int:
    found = rows.get(key, "")
    return int(found) if found.isascii() and found.isdigit() else otherwise


def to_rows(settings: Settings) -> dict[str, str]:
    """The reverse of `of_rows`."""
    return {
        NARCOTICS: "on" if settings.narcotics else "off",
        SKIN_TEST_HOURS: str(settings.skin_test_hours),
        SKIN_TEST_MIN: str(settings.skin_test_min),
        TOTP_ROLES: ",".join(role for role in Role if role in settings.totp_roles),
        IDLE_LOCK_MIN: "" if settings.idle_lock_min is None else str(settings.idle_lock_min),
        SESSION_HOURS: str(settings.session_hours),
        PROOF_MIN: str(settings.proof_min),
        CALL_SCREEN: str(settings.call_screen),
    }
