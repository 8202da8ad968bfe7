"""The forms of the sign-in and of the password: parsed, with what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_node.his.forms import FieldProblem
from edge_node.his.staff.rules import PASSWORD_MAX_LENGTH, password_problem
from edge_node.i18n import text

# What a label on a desk can hold.
STATION_MAX_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What somebody typed to sign in."""

    code: str
    password: str
    station: str


def parse_sign_in(form: Mapping[str, str]) -> SignIn | list[FieldProblem]:
    """The sign-in form; says nothing of whether code and password fit together."""
    code = form.get("code", "").strip().lower()
    password = form.get("password", "")
    problems = []
    if not code or len(code) > 40:
        problems.append(FieldProblem(field="code", text=text("Type your staff code")))
    if not password or len(password) > PASSWORD_MAX_LENGTH:
        problems.append(FieldProblem(field="password", text=text("Type your password")))
    if problems:
        return problems
    station = " ".join(form.get("station", "").split())[:STATION_MAX_LENGTH]
    return SignIn(code=code, password=password, station=station)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassword:
    """A change of password; the old one is not yet verified."""

    old: str
    new: str


def parse_new_password(form: Mapping[str, str], *, code: str) -> NewPassword | list[FieldProblem]:
    """The form of a new password."""
    old, new, again = (form.get(name, "") for name in ("password", "new_password", "new_password_again"))
    problems = []
    if not old or len(old) > PASSWORD_MAX_LENGTH:
        problems.append(FieldProblem(field="password", text=text("Type the password that you have now")))
    if (problem := password_problem(new, code=code)) is not None:
        problems.append(FieldProblem(field="new_password", text=problem))
    elif new == old:
        problems.append(FieldProblem(field="new_password", text=text("That is the password that you have now")))
    elif new != again:
        problems.append(FieldProblem(field="new_password_again", text=text("Not the same as above; type it again")))
    return problems or NewPassword(old=old, new=new)
