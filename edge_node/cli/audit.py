"""The audit log from the command line: `edge-node audit verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import utc_text
from edge_node.base.errors import StoreError
from edge_node.cli.his_file import database, reading
from edge_node.cli.main import Where, where_options
from edge_node.cli.output import answer, answer_json
from edge_node.his.audit import Broken, Chain, Damage, walk
from edge_node.store.connection import Connection

_SAID = {
    Damage.MISSING: "row %d is missing, though later rows are there",
    Damage.CHANGED: "row %d is not as it was written",
    Damage.OUT_OF_CHAIN: "row %d does not follow the row before it",
    Damage.TAIL_MISSING: "the log ends before row %d, though more rows were written",
}


@click.group("audit")
def audit_group() -> None:
    """The log of who did what."""


@audit_group.command("verify")
@click.option("--json", "as_json", is_flag=True, help="The same as a document.")
@where_options
@click.pass_obj
def verify(where: Where, as_json: bool) -> None:
    """Walk the whole audit log and name the first row that was changed or taken out; exit 4 when there is one.

    It finds what was done to the file of this machine. A log that somebody wrote anew from its first row fits in
    itself: compare its head with that of an earlier copy.
    """
    path = database(where)
    with reading(path) as conn:
        chain = walk(conn)
        around = _around(conn, chain.broken) if chain.broken else None
    if as_json:
        answer_json(_document(chain))
    if chain.broken is not None:
        raise _broken(chain.broken, around, path)
    if not as_json:
        answer(f"the audit log is whole: {chain.rows} rows, head {chain.head.hex()}")


def _document(chain: Chain) -> dict[str, Any]:
    broken = chain.broken
    return {
        "schema": 1,
        "whole": broken is None,
        "rows": chain.rows,
        "head": {"seq": chain.rows, "hash": chain.head.hex()},
        "broken": {"seq": broken.seq, "damage": str(broken.damage)} if broken else None,
    }


def _around(conn: Connection, broken: Broken) -> str:
    """Between which times the damage lies: those of the rows beside it, and of the row itself where it is there."""
    rows = conn.execute(
        "SELECT seq, at, action FROM audit_log WHERE seq BETWEEN :first AND :last ORDER BY seq",
        {"first": broken.seq - 1, "last": broken.seq + 1},
    )
    return "\n".join(f"row {row['seq']}: {utc_text(row['at'])} {row['action']}" for row in rows)


def _broken(broken: Broken, around: str | None, path: Path) -> StoreError:
    return StoreError(
        "audit-broken",
        _SAID[broken.damage] % broken.seq,
        context=f"in {path}\n{around}" if around else f"in {path}",
        hint="change nothing here; edge-node replica points lists the copies: restore one beside this file and compare",
    )
