"""Staff accounts from the command line: `edge-node user add | list | reset | lock | unlock`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from edge_node.base.errors import UsageError
from edge_node.cli.his_file import database, reading, this_moment, writing
from edge_node.cli.main import Noun, Where, caller, where_options
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.his import audit
from edge_node.his.staff import queries
from edge_node.his.staff.model import Role, Staff
from edge_node.his.staff.passwords import first_password, hash_password
from edge_node.store.connection import Connection

_CODE = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")


@click.group("user", cls=Noun)
def user_group() -> None:
    """Who may sign in."""


def changing(command: Callable[..., Any]) -> Callable[..., Any]:
    """--dry-run and --reason, as on every command that changes something."""
    command = click.option("--reason", default="", help="Why; stands in the audit log.")(command)
    return click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")(command)


@user_group.command("add")
@click.argument("code")
@click.option("--name", required=True, help="As patients and colleagues read it.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([str(role) for role in Role]),
    help="May be given several times.",
)
@click.option("--title", default="", help="Such as 主治医师; shown beside the name.")
@click.option("--department", help="Code of the department, such as internal; a doctor's queue.")
@changing
@where_options
@click.pass_obj
def add(
    where: Where,
    code: str,
    name: str,
    roles: tuple[str, ...],
    title: str,
    department: str | None,
    dry_run: bool,
    reason: str,
) -> None:
    """Add a member of staff; prints the first password, which must be changed at the first sign-in."""
    path = database(where, writes=True)
    code = code.strip().lower()
    if not _CODE.fullmatch(code):
        raise UsageError(
            "usage",
            f'"{code}" cannot be a staff code',
            context="2 to 32 small letters, digits, dots, dashes or underscores, beginning with a letter or a digit",
            hint="pinyin of the name is easy to remember: edge-node user add zhoumin …",
        )
    if not name.strip():
        raise UsageError("usage", "a member of staff needs a name", context=None, hint="--name 周敏")
    with reading(path) as conn:
        department_id = _department_id(conn, department)
        if queries.find_by_code(conn, code) is not None:
            raise _taken(code)
    if dry_run:
        talk(f"would add {code} ({name}): {', '.join(roles)}")
        return
    password = first_password()
    stored = hash_password(password)

    def work(conn: Connection, now: audit.Moment) -> str:
        if queries.find_by_code(conn, code) is not None:
            raise _taken(code)
        return queries.insert(
            conn,
            code=code,
            name=name.strip(),
            title=title.strip(),
            department_id=department_id,
            roles=[Role(role) for role in roles],
            password_hash=stored,
            must_change=True,
            at=now.at,
        )

    _write(path, work, "staff_added", {"code": code, "roles": sorted(roles), "reason": reason})
    talk(f"added {code} ({name.strip()}); first password, shown once, to be changed at the first sign-in:")
    answer(password)


@user_group.command("reset")
@click.argument("code")
@changing
@where_options
@click.pass_obj
def reset(where: Where, code: str, dry_run: bool, reason: str) -> None:
    """Set a new first password, remove the second factor, end all sessions of the person, and lift a lock."""
    path = database(where, writes=True)
    with reading(path) as conn:
        found = _known(conn, code)
    if dry_run:
        factor = " remove the second factor," if found.has_second_factor else ""
        talk(f"would set a new first password for {found.code} ({found.name}),{factor} and end all sessions")
        return
    password = first_password()
    stored = hash_password(password)

    def work(conn: Connection, now: audit.Moment) -> str:
        queries.set_password(conn, found.id, stored, must_change=True)
        queries.remove_factor(conn, found.id)
        queries.end_sessions_of(conn, found.id, at=now.at)
        queries.forget_attempts_of(conn, found.code)
        return found.id

    _write(path, work, "password_reset", {"reason": reason, "second_factor_removed": found.has_second_factor})
    if found.has_second_factor:
        talk("the second factor is removed; it is set up anew on the person's own page")
    talk(f"new first password of {found.code} ({found.name}), shown once; signed out everywhere:")
    answer(password)


@user_group.command("lock")
@click.argument("code")
@changing
@where_options
@click.pass_obj
def lock(where: Where, code: str, dry_run: bool, reason: str) -> None:
    """Lock an account: nobody signs in with it any more, and who is signed in is out at once."""
    _set_active(where, code, False, dry_run=dry_run, reason=reason)


@user_group.command("unlock")
@click.argument("code")
@changing
@where_options
@click.pass_obj
def unlock(where: Where, code: str, dry_run: bool, reason: str) -> None:
    """Let an account that was locked work again, with the password that it had."""
    _set_active(where, code, True, dry_run=dry_run, reason=reason)


def _set_active(where: Where, code: str, active: bool, *, dry_run: bool, reason: str) -> None:
    path = database(where, writes=True)
    with reading(path) as conn:
        found = _known(conn, code)
    words = "unlocked" if active else "locked"
    if found.active is active:
        talk(f"{found.code} ({found.name}) is {words} already")
        return
    if dry_run:
        talk(f"{found.code} ({found.name}) would be {words}" + ("" if active else ", and signed out everywhere"))
        return

    def work(conn: Connection, now: audit.Moment) -> str:
        queries.set_active(conn, found.id, active)
        queries.end_sessions_of(conn, found.id, at=now.at)
        return found.id

    _write(path, work, f"staff_{words}", {"reason": reason})
    talk(f"{found.code} ({found.name}) is {words}" + ("" if active else ", and signed out everywhere"))


@user_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="The same as a document.")
@where_options
@click.pass_obj
def list_users(where: Where, as_json: bool) -> None:
    """All staff, their roles, and who has not yet chosen a password."""
    path = database(where)
    with reading(path) as conn:
        people = queries.everybody(conn)
        departments = dict(conn.execute("SELECT id, code FROM department").fetchall())
    if as_json:
        answer_json({"schema": 1, "users": [_as_json(person, departments) for person in people]})
        return
    rows = [
        (
            person.code,
            person.name,
            ", ".join(sorted(person.roles)),
            person.title or "-",
            departments.get(person.department_id or "", "-"),
            _state(person),
        )
        for person in people
    ]
    answer(table(("CODE", "NAME", "ROLES", "TITLE", "DEPARTMENT", "STATE"), rows))


def _state(person: Staff) -> str:
    if not person.active:
        return "locked"
    return "first password" if person.must_change else "active"


def _as_json(person: Staff, departments: Mapping[str, str]) -> dict[str, Any]:
    return {
        "code": person.code,
        "name": person.name,
        "title": person.title,
        "roles": sorted(person.roles),
        "department": departments.get(person.department_id or ""),
        "must_change": person.must_change,
        "second_factor": person.has_second_factor,
        "active": person.active,
    }


def _write(path: Path, work: Callable[[Connection, audit.Moment], str], action: str, detail: Mapping[str, Any]) -> None:
    """One transaction beside the HIS's own: the work and its row in the audit log."""
    now = this_moment()
    who = audit.Who(staff_id=None, station="edge-node user", address=caller())
    with writing(path) as conn:
        staff_id = work(conn, now)
        audit.record(conn, who, action, f"staff:{staff_id}", detail, at=now.at, clock_state=now.clock_state)


def _known(conn: Connection, code: str) -> Staff:
    # A terminal in another encoding gives half characters, which no database can be asked for.
    found = queries.find_by_code(conn, code) if code.isprintable() else None
    if found is None:
        raise UsageError(
            "staff-unknown",
            f"nobody signs in as {ascii(code) if not code.isprintable() else code}",
            context=None,
            hint="edge-node user list shows all codes",
        )
    return found


def _taken(code: str) -> UsageError:
    return UsageError(
        "staff-code-taken",
        f"somebody signs in as {code} already",
        context=None,
        hint=f"choose another code, or set a new password: edge-node user reset {code}",
    )


def _department_id(conn: Connection, code: str | None) -> str | None:
    if code is None:
        return None
    known = dict(conn.execute("SELECT code, id FROM department WHERE active = 1 ORDER BY rank").fetchall())
    if code not in known:
        raise UsageError(
            "department-unknown", f"there is no department {code}", context=f"known are {', '.join(known)}", hint=None
        )
    return str(known[code])
