"""Catalogues from spreadsheets: `edge-node import drugs | prices | icd | staff FILE`.

Everything that is wrong with a file is said at once, by row and column, and nothing of it is taken then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from edge_node.base.errors import ServiceError, UsageError
from edge_node.cli.his_file import database, reading, this_moment, writing
from edge_node.cli.main import Noun, Where, caller, where_options
from edge_node.cli.output import answer, table, talk
from edge_node.cli.user import changing
from edge_node.his import audit
from edge_node.his.catalogues import drugs, icd, people, prices
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.columns import Column, Problem, Read, read_rows
from edge_node.his.catalogues.queries import Kept
from edge_node.his.catalogues.sheets import read_sheet
from edge_node.his.staff import queries as staff
from edge_node.his.staff.passwords import first_password, hash_password
from edge_node.i18n import ENGLISH, translate
from edge_node.store.connection import Connection

# More lines than anybody reads at once; how many there are is said in any case.
_SHOWN = 50
_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group("import", cls=Noun)
def import_group() -> None:
    """Catalogues and staff from CSV or xlsx."""


def _importing(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.pass_obj(_FILE(changing(where_options(command))))


@import_group.command("drugs")
@_importing
def import_drugs(where: Where, file: Path, dry_run: bool, reason: str) -> None:
    """Drugs with what the rules of prescriptions ask for; the training set shows the columns."""
    rows = _read(file, drugs.COLUMNS).rows
    entries = [drugs.from_row(values) for _, values in rows]
    _keep(where, file, "drugs", lambda conn, at: catalogues.keep_drugs(conn, entries, at=at), dry_run, reason)


@import_group.command("prices")
@_importing
def import_prices(where: Where, file: Path, dry_run: bool, reason: str) -> None:
    """The price list of what is done."""
    items = [prices.PriceItem(**values) for _, values in _read(file, prices.COLUMNS).rows]
    _keep(where, file, "prices", lambda conn, at: catalogues.keep_prices(conn, items, at=at), dry_run, reason)


@import_group.command("icd")
@_importing
def import_icd(where: Where, file: Path, dry_run: bool, reason: str) -> None:
    """Diagnoses with their clinical and insurance codes; diseases and syndromes of Chinese medicine."""
    entries = [icd.IcdEntry(**values) for _, values in _read(file, icd.COLUMNS).rows]
    _keep(where, file, "icd", lambda conn, at: catalogues.keep_icd(conn, entries), dry_run, reason)


@import_group.command("staff")
@_importing
def import_staff(where: Where, file: Path, dry_run: bool, reason: str) -> None:
    """People who are not there yet, with first passwords that are shown once; nobody who is there is changed."""
    path = database(where)
    with reading(path) as conn:
        departments = dict(conn.execute("SELECT code, id FROM department WHERE active = 1 ORDER BY rank").fetchall())
        known = {person.code for person in staff.everybody(conn)}
    rows = [people.Person(**values) for _, values in _read(file, people.columns(tuple(departments))).rows]
    fresh = [person for person in rows if person.code.lower() not in known]
    passwords = {person.code: first_password() for person in fresh}
    hashes = {} if dry_run else {code: hash_password(password) for code, password in passwords.items()}

    def keep(conn: Connection, at: int) -> Kept:
        for person in fresh:
            staff_id = staff.insert(
                conn,
                code=person.code,
                name=person.name,
                title=person.title,
                department_id=departments.get(person.department),
                roles=person.roles,
                password_hash=hashes.get(person.code, ""),
                must_change=True,
                at=at,
            )
            staff.set_practice(conn, staff_id, licence_no=person.licence_no, rights=person.rights)
        return Kept(added=len(fresh), changed=0, same=len(rows) - len(fresh))

    _keep(where, file, "staff", keep, dry_run, reason)
    if fresh and not dry_run:
        talk("first passwords, shown once, to be changed at the first sign-in:")
        answer(table(("CODE", "PASSWORD", "NAME"), [(p.code.lower(), passwords[p.code], p.name) for p in fresh]))


def _read(file: Path, columns: Sequence[Column]) -> Read:
    """The file's rows; raises ServiceError sheet-unreadable or sheet-invalid, the latter with every problem."""
    read = read_rows(read_sheet(file), columns)
    if read.problems:
        shown = [_line(problem) for problem in read.problems[:_SHOWN]]
        if len(read.problems) > _SHOWN:
            shown.append(f"and {len(read.problems) - _SHOWN} more")
        raise ServiceError(
            "sheet-invalid",
            f"nothing was taken from {file}: {len(read.problems)} problem{'s' * (len(read.problems) > 1)}",
            context="\n  ".join(shown),
            hint="mend these cells and run the command again",
        )
    if not read.rows:
        raise UsageError("usage", f"{file} has headings and no rows", context=None, hint=None)
    return read


def _line(problem: Problem) -> str:
    place = f"row {problem.row}, {problem.column}" if problem.row else problem.column
    found = f': "{problem.found}"' if problem.found and problem.row else ""
    return f"{place}{found}: {translate(problem.text, ENGLISH)}"


def _keep(
    where: Where, file: Path, kind: str, keep: Callable[[Connection, int], Kept], dry_run: bool, reason: str
) -> None:
    """One transaction beside the HIS's own: the rows, and one entry of the audit log with the file's digest."""
    path = database(where, writes=True)
    now = this_moment()
    who = audit.Who(staff_id=None, station=f"edge-node import {kind}", address=caller())
    try:
        with writing(path) as conn:
            kept = keep(conn, now.at)
            if dry_run:
                raise _DryRun(kept)
            detail = {
                "file": file.name,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "added": kept.added,
                "changed": kept.changed,
                "reason": reason,
            }
            audit.record(
                conn, who, "catalogue_imported", f"catalogue:{kind}", detail, at=now.at, clock_state=now.clock_state
            )
    except _DryRun as asked:
        kept = asked.kept
    add, change = ("would add", "would change") if dry_run else ("added", "changed")
    answer(f"{kind}: {add} {kept.added}, {change} {kept.changed}, {kept.same} as they were")


class _DryRun(Exception):
    """Undo: everything was tried, nothing is kept."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept
