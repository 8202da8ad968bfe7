"""The form of the settings: parsed, with what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_node.his.calling.rules import Shows
from edge_node.his.forms import FieldProblem, whole_number
from edge_node.his.settings.model import Settings
from edge_node.his.staff import rules
from edge_node.his.staff.model import Role
from edge_node.i18n import text

# A skin test that is a week old says nothing of today; the usual rules name 24 to 72 hours.
HOURS_MOST = 168
# Guides and labels name 15 to 30 minutes; after an hour a wheal may be gone.
SKIN_TEST_MIN = range(15, 61)
# A shorter one locks while somebody listens to a patient; a longer one is none on a desk that everybody passes.
IDLE_MIN = range(5, 31)
SESSION_HOURS = range(1, rules.SESSION_LONGEST_MS // 3_600_000 + 1)
# A working day; 0 asks at every signature.
PROOF_MIN = range(481)


def parse(form: Mapping[str, str], roles: Sequence[str]) -> Settings | list[FieldProblem]:
    """The settings; `roles` are the boxes that were ticked."""
    problems: list[FieldProblem] = []
    narcotics = form.get("narcotics", "")
    if narcotics not in ("on", "off"):
        problems.append(FieldProblem(field="narcotics", text=text("Choose one of the two")))
    hours = _number(form, "skin_test_hours", range(1, HOURS_MOST + 1), problems)
    minutes = _number(form, "skin_test_min", SKIN_TEST_MIN, problems)
    idle = _number(form, "idle_lock_min", IDLE_MIN, problems) if form.get("idle_lock_min", "").strip() else None
    session_hours = _number(form, "session_hours", SESSION_HOURS, problems)
    proof = _number(form, "proof_min", PROOF_MIN, problems)
    screen = form.get("call_screen", "")
    if screen not in set(Shows):
        problems.append(FieldProblem(field="call_screen", text=text("Choose from the list")))
    known = {str(role): role for role in Role}
    if not set(roles) <= set(known):
        problems.append(FieldProblem(field="totp_roles", text=text("Choose from the list")))
    if problems:
        return problems
    return Settings(
        narcotics=narcotics == "on", skin_test_hours=hours, totp_roles=frozenset(known[role] for role in roles),
        idle_lock_min=idle, session_hours=session_hours, proof_min=proof, call_screen=Shows(screen),
        skin_test_min=minutes,
    )  # fmt: skip


def _number(form: Mapping[str, str], name: str, allowed: range, problems: list[FieldProblem]) -> int:
    """The number that was typed; one that is not allowed is added to the problems."""
    try:
        typed = whole_number(form.get(name, "").strip())
    except ValueError:
        typed = -1
    if typed not in allowed:
        said = text("A whole number from %(least)d to %(most)d", least=allowed.start, most=allowed.stop - 1)
        problems.append(FieldProblem(field=name, text=said))
    return typed


def values_of(settings: Settings) -> dict[str, str]:
    """The settings as the form shows them; the ticked boxes are apart."""
    return {
        "narcotics": "on" if settings.narcotics else "off",
        "skin_test_hours": str(settings.skin_test_hours),
        "skin_test_min": str(settings.skin_test_min),
        "idle_lock_min": "" if settings.idle_lock_min is None else str(settings.idle_lock_min),
        "session_hours": str(settings.session_hours),
        "proof_min": str(settings.proof_min),
        "call_screen": str(settings.call_screen),
    }
