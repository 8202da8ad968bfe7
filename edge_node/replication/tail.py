"""What a superseded machine holds beyond what the new owner took over, laid out so that a person can reconcile it.

`superseded-tail/e0002/` (the new owner's epoch) holds `his.db`, a whole copy of the database as it is now; one CSV per
table with each row that was added, changed or removed since the change that was taken over; and `tail.json`, written
last. The local replica of the old epoch stays where it is: every instant in between can be restored from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.base.files import atomic_write
from edge_node.replication.epoch import folder_name
from edge_node.replication.fence import FIRST_TXID
from edge_node.replication.restore import restore
from edge_node.replication.restore_points import points_of
from edge_node.replication.source import LocalSource
from edge_node.status.superseded import Superseded
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.copies import copy_database, sync
from edge_node.store.inspect import LITESTREAM_TABLES

FOLDER = "superseded-tail"
# Of no use to who reconciles: how the program works, and who sat at which desk.
LEFT_OUT = (
    *LITESTREAM_TABLES, "_sqlite_migrations", "sequence_block", "session", "login_attempt", "request_key",
    "patient_pinyin",
)  # fmt: skip
_SECRET = ("password_hash", "secret")
_NAME = re.compile(r"[A-Za-z_]\w*")
# A spreadsheet would take it for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What was exported. `rows` counts by table and kind of change; empty when what was taken over is not known."""

    folder: Path
    base_txid: int | None
    rows: Mapping[str, Mapping[str, int]]

    @property
    def row_count(self) -> int:
        return sum(count for kinds in self.rows.values() for count in kinds.values())


def tail_folder(state_dir: Path, epoch: int) -> Path:
    """Where the tail is, once it is exported."""
    return state_dir / FOLDER / folder_name(epoch)


def export_tail(his: Path, local_replica: Path, *, state_dir: Path, found: Superseded, now_ms: int) -> Tail:
    """Export the tail; it appears whole or not at all, and one that is there is kept. Blocks.

    `local_replica` is that of `his` in the epoch that was superseded. Raises OSError and EdgeError.
    """
    folder = tail_folder(state_dir, found.epoch)
    if (folder / "tail.json").exists():
        return _read(folder)
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    now_db, base_db = beside / "his.db", beside / "base.db"
    copy_database(his, now_db)
    base_txid = _restore_base(local_replica, base_db, found)
    rows = _write_changes(now_db, base_db, beside) if base_txid is not None else {}
    for leftover in beside.glob("base.db*"):
        leftover.unlink()
    tail = Tail(folder=folder, base_txid=base_txid, rows=rows)
    document = {
        "schema": 1, "exported_at": utc_text(now_ms), "superseded": asdict(found), "base_txid": base_txid,
        "rows": rows, "local_replica": str(local_replica), "note": _note(found, base_txid),
    }  # fmt: skip
    atomic_write(beside / "tail.json", json.dumps(document, ensure_ascii=False, indent=1).encode(), mode=0o600)
    beside.rename(folder)
    sync(folder.parent)
    return tail


def _note(found: Superseded, base_txid: int | None) -> str:
    if base_txid is None:
        return "what the new owner took over is not known, or cannot be restored here: compare his.db with its database"
    if found.taken_txid == FIRST_TXID:
        return f"the new owner has nothing of this epoch: every row that has changed since its TXID {base_txid}"
    if base_txid != found.taken_txid:
        return (
            f"the new owner took over TXID {found.taken_txid}; here only TXID {base_txid} can still be restored: some "
            "of these rows are there already"
        )
    return f"every row that was added, changed or removed after TXID {base_txid}, which the new owner took over"


def _read(folder: Path) -> Tail:
    document = json.loads((folder / "tail.json").read_bytes())
    return Tail(folder=folder, base_txid=document["base_txid"], rows=document["rows"])


def _restore_base(local_replica: Path, to: Path, found: Superseded) -> int | None:
    """The database as the new owner took it over, or the nearest state before; its TXID, None where there is none."""
    if found.taken_txid is None or found.taken_epoch != found.own_epoch:
        return None
    source = LocalSource(local_replica)
    try:
        return asyncio.run(restore(source, to, txid=found.taken_txid)).txid
    except ReplicaError:
        if found.taken_txid != FIRST_TXID:
            return None
    try:
        # All of the epoch is the tail: from the oldest state that is left of it.
        oldest = min((one.max_txid for one in asyncio.run(points_of(source)) if one.min_txid == 1), default=None)
        return None if oldest is None else asyncio.run(restore(source, to, txid=oldest)).txid
    except ReplicaError:
        return None


def _write_changes(now_db: Path, base_db: Path, folder: Path) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    with contextlib.closing(connect_reader(now_db)) as conn:
        conn.execute("ATTACH DATABASE ? AS base", (f"file:{quote(str(base_db))}?mode=ro",))
        tables = _tables(conn, "main")
        for table in sorted(tables - set(LEFT_OUT)):
            found: dict[str, int] = {}
            for change, rows in _changes(conn, table, tables, in_base=table in _tables(conn, "base")):
                kept = list(rows)
                if kept:
                    _append(folder / f"{table}.csv", change, kept)
                    found[change] = len(kept)
            if found:
                counts[table] = found
    return counts


def _tables(conn: Connection, schema: str) -> set[str]:
    rows = conn.execute(
        f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
    )
    return {name for (name,) in rows if _NAME.fullmatch(name)}


def _changes(
    conn: Connection, table: str, tables: Collection[str], *, in_base: bool
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """The rows of a table that are new, that differ, and that are gone."""
    info = conn.execute(f'PRAGMA main.table_info("{table}")').fetchall()
    base_names = {row["name"] for row in conn.execute(f'PRAGMA base.table_info("{table}")')}
    # A migration may have run since: what the older schema lacks cannot be compared.
    names = [row["name"] for row in info if not in_base or row["name"] in base_names]
    keys = [row["name"] for row in info if row["pk"]] or ["rowid"]
    selected = ", ".join([*(f'n."{name}"' for name in names if name not in _SECRET), *_whose(names, table, tables)])
    is_same_row = " AND ".join(f'o."{key}" IS n."{key}"' for key in keys)
    is_equal = " AND ".join(f'o."{name}" IS n."{name}"' for name in names)

    def rows(here: str, there: str, condition: str) -> Iterator[dict[str, Any]]:
        sql = f'SELECT {selected} FROM {here}."{table}" AS n WHERE {condition.format(there=there, table=table)}'
        return (dict(zip(row.keys(), row, strict=True)) for row in conn.execute(sql))

    other = 'EXISTS (SELECT 1 FROM {there}."{table}" AS o WHERE ' + is_same_row + ")"
    if not in_base:
        yield "added", rows("main", "base", "1")
        return
    differs = f"{other} AND NOT {other[:-1]} AND {is_equal})"
    yield "added", rows("main", "base", f"NOT {other}")
    yield "changed", rows("main", "base", differs)
    yield "removed", rows("base", "main", f"NOT {other}")


def _whose(names: Collection[str], table: str, tables: Collection[str]) -> Sequence[str]:
    """Columns that say whose row it is, for a person: an identifier says nothing."""
    if "patient" not in tables or table == "patient":
        return ()
    if "patient_id" in names:
        patient = "n.patient_id"
    elif "encounter_id" in names and "encounter" in tables:
        patient = "(SELECT e.patient_id FROM encounter AS e WHERE e.id = n.encounter_id)"
    elif "registration_id" in names and "registration" in tables:
        patient = "(SELECT r.patient_id FROM registration AS r WHERE r.id = n.registration_id)"
    else:
        return ()
    return [
        f"(SELECT p.{column} FROM patient AS p WHERE p.id = {patient}) AS patient_{column}"
        for column in ("mrn", "name")
    ]


def _append(path: Path, change: str, rows: Sequence[Mapping[str, Any]]) -> None:
    is_new = not path.exists()
    # With a mark at its beginning, by which spreadsheets know the encoding.
    with path.open("a", encoding="utf-8-sig" if is_new else "utf-8", newline="") as file:
        path.chmod(0o600)
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["change", *rows[0]])
        writer.writerows([change, *(_cell(name, value) for name, value in row.items())] for row in rows)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and (name == "at" or name.endswith("_at")) and value > 10**11:
        return utc_text(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
