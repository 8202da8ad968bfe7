"""What a clinic decides for itself, and how it lies in the table `setting`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_node.his.prescriptions.model import Clinic
from edge_node.his.staff.model import Role

NARCOTICS = "narcotics"
SKIN_TEST_HOURS = "skin_test_hours"
TOTP_ROLES = "totp_roles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """May narcotics be prescribed here; for how many hours a skin test counts; who needs a second factor."""

    narcotics: bool
    skin_test_hours: int
    totp_roles: frozenset[Role]


DEFAULTS = Settings(
    narcotics=Clinic().narcotics, skin_test_hours=Clinic().skin_test_hours, totp_roles=frozenset()
)  # fmt: skip


def of_rows(rows: Mapping[str, str]) -> Settings:
    """The settings from the table; what is missing or unreadable is as delivered."""
    hours = rows.get(SKIN_TEST_HOURS, "")
    return Settings(
        narcotics=rows.get(NARCOTICS) == "on",
        skin_test_hours=int(hours) if hours.isdigit() else DEFAULTS.skin_test_hours,
        totp_roles=frozenset(role for role in Role if role in rows.get(TOTP_ROLES, "").split(",")),
    )


def to_rows(settings: Settings) -> dict[str, str]:
    """The reverse of `of_rows`."""
    return {
        NARCOTICS: "on" if settings.narcotics else "off",
        SKIN_TEST_HOURS: str(settings.skin_test_hours),
        TOTP_ROLES: ",".join(role for role in Role if role in settings.totp_roles),
    }
