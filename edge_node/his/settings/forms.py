"""The form of the settings: parsed, with what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_node.his.forms import FieldProblem, whole_number
from edge_node.his.settings.model import Settings
from edge_node.his.staff.model import Role
from edge_node.i18n import text

# A skin test that is a week old says nothing of today; the usual rules name 24 to 72 hours.
HOURS_MOST = 168


def parse(form: Mapping[str, str], roles: Sequence[str]) -> Settings | list[FieldProblem]:
    """The settings; `roles` are the boxes that were ticked."""
    problems = []
    narcotics = form.get("narcotics", "")
    if narcotics not in ("on", "off"):
        problems.append(FieldProblem(field="narcotics", text=text("Choose one of the two")))
    try:
        hours = whole_number(form.get("skin_test_hours", "").strip())
    except ValueError:
        hours = 0
    if not 1 <= hours <= HOURS_MOST:
        problems.append(
            FieldProblem(field="skin_test_hours", text=text("A whole number from 1 to %(most)d", most=HOURS_MOST))
        )
    known = {str(role): role for role in Role}
    if not set(roles) <= set(known):
        problems.append(FieldProblem(field="totp_roles", text=text("Choose from the list")))
    if problems:
        return problems
    return Settings(
        narcotics=narcotics == "on", skin_test_hours=hours, totp_roles=frozenset(known[role] for role in roles)
    )


def values_of(settings: Settings) -> dict[str, str]:
    """The settings as the form shows them; the ticked boxes are apart."""
    return {"narcotics": "on" if settings.narcotics else "off", "skin_test_hours": str(settings.skin_test_hours)}
