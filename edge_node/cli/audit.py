"""The audit log from the command line: `edge-node audit verify`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import utc_text
from edge_node.base.errors import StoreError
from edge_node.cli import audit_anchors
from edge_node.cli.his_file import database, reading
from edge_node.cli.main import Noun, Where, where_options
from edge_node.cli.output import answer, answer_json
from edge_node.his.audit import Broken, Chain, Damage, walk
from edge_node.replication.anchor_keeper import hashes_of
from edge_node.replication.anchors import compare
from edge_node.replication.s3_access import S3Access
from edge_node.store.connection import Connection

_SAID = {
    Damage.MISSING: "row %d is missing, though later rows are there",
    Damage.CHANGED: "row %d is not as it was written",
    Damage.OUT_OF_CHAIN: "row %d does not follow the row before it",
    Damage.TAIL_MISSING: "the log ends before row %d, though more rows were written",
}


@click.group("audit", cls=Noun)
def audit_group() -> None:
    """The log of who did what."""


@audit_group.command("verify")
@click.option("--json", "as_json", is_flag=True, help="The same as a document.")
@click.option(
    "--against",
    help="A destination, a URL, or a file: compare with what was noted there of this log, or with another copy of it.",
)
@click.option("--file", "file", type=click.Path(path_type=Path), help="A restored his.db, instead of this machine's.")
@click.option("--node", "node_id", help="Whose anchors, where a URL holds several clinics'.")
@click.option("--endpoint", help="The store's address, where --against is an s3:// URL.")
@click.option("--region", help="Its region.")
@click.option("--credential", type=click.Path(path_type=Path), help="File with its key.")
@where_options
@click.pass_obj
def verify(
    where: Where,
    as_json: bool,
    against: str | None,
    file: Path | None,
    node_id: str | None,
    endpoint: str | None,
    region: str | None,
    credential: Path | None,
) -> None:
    """Walk the whole audit log and name the first row that was changed or taken out; exit 4 when there is one.

    The chain shows what was done to single rows. A log that somebody wrote anew from some row on fits in itself: the
    node notes its head at every destination once a day and at each drill, and --against compares with that. With --file
    and a URL or a file it needs no configuration of ours.
    """
    path = file.absolute() if file is not None else database(where)
    bucket = S3Access(endpoint=endpoint, region=region, credential=credential)
    with reading(path) as conn:
        chain = walk(conn)
        around = _around(conn, chain.broken) if chain.broken else None
        document, said = _document(chain), [f"the audit log is whole: {chain.rows} rows, head {chain.head.hex()}"]
        error = _broken(chain.broken, around, path) if chain.broken is not None else None
        if against is not None and audit_anchors.is_copy(against):
            found = audit_anchors.first_difference(conn, Path(against))
            document["against"] = {"name": against, "common": found.common, "first_difference": found.seq}
            if found.seq is None:
                said.append(f"the first {found.common} rows are the same in {against}; one of the two ends there")
            else:
                error = error or _differs(conn, found, path, against)
        elif against is not None:
            noted = asyncio.run(audit_anchors.gather(where, against, node_id=node_id, bucket=bucket))
            hashes = hashes_of(conn, noted.anchors)
            compared = compare(noted.anchors, hashes, rows=chain.rows, taken_over=noted.taken_over)
            document["against"] = audit_anchors.as_json(noted, compared)
            said += audit_anchors.sentences(noted, compared, is_node=file is None)
            error = error or audit_anchors.rewritten(noted, compared, where=path, is_node=file is None)
    if as_json:
        answer_json(document)
    elif error is None:
        answer("\n".join(said))
    if error is not None:
        raise error


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


def _differs(conn: Connection, found: audit_anchors.Differs, path: Path, against: str) -> StoreError:
    assert found.seq is not None
    return StoreError(
        "audit-rewritten",
        f"row {found.seq} is not the one in {against}",
        context=f"in {path}; the {found.common} rows before it are the same\n"
        + _around(conn, Broken(seq=found.seq, damage=Damage.CHANGED)),
        hint="one of the two was written anew from this row on; audit verify --against DESTINATION tells which",
    )


def _broken(broken: Broken, around: str | None, path: Path) -> StoreError:
    return StoreError(
        "audit-broken",
        _SAID[broken.damage] % broken.seq,
        context=f"in {path}\n{around}" if around else f"in {path}",
        hint="change nothing here; edge-node replica points lists the copies: restore one beside this file and compare",
    )
