"""What the audit log is compared with: anchors at a destination, in files, or another copy of the database."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.errors import StoreError, UsageError
from edge_node.cli.main import Where, run_as_owner
from edge_node.replication.anchors import Anchor, Compared, line_of, missing_days, parse_anchor, read_anchors
from edge_node.replication.claims import read_claim
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import claimed_epochs, claims_prefix
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer
from edge_node.services.destinations import configured
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.failures import store_errors

SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What was noted, by whom; `taken_over` as `anchors.line_of`, `unreadable` are objects or files that are none."""

    name: str
    anchors: Sequence[Anchor]
    taken_over: Mapping[int, int]
    unreadable: Sequence[str]


def is_copy(against: str) -> bool:
    """Is it another file of the database?"""
    try:
        with Path(against).open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError:
        return False


async def gather(where: Where, against: str, *, node_id: str | None, bucket: S3Access) -> Anchors:
    """The anchors at a destination of the configuration, at a URL, or in a file or folder. Raises EdgeError."""
    path = Path(against)
    if "://" not in against and path.exists():
        return _of_files(path)
    destination, node_id = _destination(where, against, node_id, bucket)
    try:
        await destination.open_to_read()
        node_id = node_id or await _only_node(destination)
        anchors, unreadable = await read_anchors(destination, node_id)
        numbers = claimed_epochs([item.key for item in await destination.list(claims_prefix(node_id))])
        claims = [await read_claim(destination, node_id, number) for number in numbers]
    finally:
        await destination.close()
    taken_over = line_of(claim for claim in claims if claim is not None)
    return Anchors(name=destination.name, anchors=anchors, taken_over=taken_over, unreadable=unreadable)


def _destination(where: Where, against: str, node_id: str | None, bucket: S3Access) -> tuple[Destination, str | None]:
    if "://" in against:
        return Destination(against, against, Sealer(()), s3=bucket), node_id
    config = where.load()
    run_as_owner(config)
    known = {found.name: found for found in config.replica.destination}
    if against not in known:
        raise UsageError(
            "usage",
            f"there is no destination, file or folder {against!r}",
            context=f"known: {', '.join(known) or 'none'}",
            hint="give one of these, a URL such as file:///mnt/nas/clinic, or a file",
        )
    found = configured(known[against], Sealer(()), state_dir=config.node.state_dir)
    return found, node_id or config.node.id


async def _only_node(destination: Destination) -> str:
    nodes = [node for node in await destination.folders("") if await destination.list(claims_prefix(node))]
    if len(nodes) == 1:
        return nodes.pop()
    raise UsageError(
        "usage",
        f"{destination.name} holds " + ("several clinics" if nodes else "no clinic"),
        context=", ".join(sorted(nodes)) or None,
        hint="say which one: --node ID" if nodes else "is it the right address? it holds one folder per clinic",
    )


def _of_files(path: Path) -> Anchors:
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    anchors, unreadable = [], []
    for file in files:
        try:
            anchors.append(parse_anchor(file.read_bytes()))
        except (OSError, ValueError):
            # A folder may hold claims and other things beside.
            if not path.is_dir() or file.parent.name == "anchors":
                unreadable.append(str(file))
    return Anchors(name=str(path), anchors=anchors, taken_over={}, unreadable=unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """Two copies of one log: how many rows they share from the first on, and the first that is another, if there is."""

    common: int
    seq: int | None


def first_difference(conn: Connection, other: Path) -> Differs:
    """The first row that is not the same in another copy; rows that only one of them has are later ones, and no
    difference. Raises StoreError."""
    question = "SELECT seq, hash FROM audit_log ORDER BY seq"
    with contextlib.closing(connect_reader(other)) as there, store_errors(other):
        common = 0
        for mine, theirs in zip(conn.execute(question), there.execute(question), strict=False):
            if (mine["seq"], bytes(mine["hash"])) != (theirs["seq"], bytes(theirs["hash"])):
                return Differs(common=common, seq=min(mine["seq"], theirs["seq"]))
            common += 1
    return Differs(common=common, seq=None)


def sentences(found: Anchors, compared: Compared, *, is_node: bool) -> list[str]:
    """What the comparison says, for a person; that something differs is told by the error."""
    count = len(found.anchors)
    if not count:
        return [f"there is no anchor at {found.name}: whether the log was written anew cannot be told from it"]
    said = []
    fitting = compared.fitting
    if fitting:
        first, last = fitting[0], max(fitting, key=lambda anchor: anchor.seq)
        said.append(
            f"{len(fitting)} of {count} anchors at {found.name} fit: noted first {_noted(first)}, last {_noted(last)}"
        )
    if not compared.differing and fitting:
        said.append(
            f"since {fitting[0].at} nothing up to row {last.seq} was written anew; later rows are not noted yet"
        )
    if compared.beyond and not is_node:
        said.append(
            f"{len(compared.beyond)} anchors lie after the end of this file, first {_noted(compared.beyond[0])}: "
            "it is an older state, or its end was cut off"
        )
    if compared.aside:
        said.append(f"{len(compared.aside)} anchors are of rows that a later machine did not take over")
    if days := missing_days(found.anchors):
        said.append(f"without an anchor: {_shortened(days)}")
    if found.unreadable:
        said.append(f"not readable as anchors: {_shortened(found.unreadable)}")
    return said


def rewritten(found: Anchors, compared: Compared, *, where: Path, is_node: bool) -> StoreError | None:
    """What was noted is not what the log says: the first row that shows it, and since when it can be trusted."""
    bad = compared.contradicted if is_node else compared.first_bad
    if bad is None:
        return None
    good, again = compared.last_good, compared.trusted_since
    first = good.seq + 1 if good else 1
    lines = [f"in {where}, against {found.name}"]
    if compared.first_bad is None:
        message = f"the log ends before row {bad.seq}, which was noted on {bad.at}"
    else:
        message = f"row {bad.seq} is not the one that was noted on {bad.at}: the log was written anew"
        lines.append(f"the first row that was changed is one of {first} to {bad.seq}")
    lines.append(
        f"up to row {good.seq} it is as it was noted on {good.at}" if good else "no earlier row was noted before that"
    )
    if compared.differing:
        lines.append(
            f"it was written anew before {again.at}, and not since"
            if again
            else f"it was written anew after {max(anchor.at for anchor in compared.differing)}"
        )
    return StoreError(
        "audit-rewritten",
        message,
        context="\n".join(lines),
        hint=f"replica restore --at {bad.at} brings that state back; audit verify --against THAT.db then names the row",
    )


def as_json(found: Anchors, compared: Compared) -> dict[str, Any]:
    """The comparison as a document."""
    good, since = compared.last_good, compared.trusted_since
    return {
        "name": found.name,
        "anchors": len(found.anchors),
        "fitting": len(compared.fitting),
        "differing": [{"seq": one.seq, "at": one.at, "hash": one.hash} for one in compared.differing],
        "beyond": [{"seq": one.seq, "at": one.at} for one in compared.beyond],
        "not_taken_over": len(compared.aside),
        "as_noted_up_to": {"seq": good.seq, "at": good.at} if good else None,
        "trusted_since": since.at if since else None,
        "missing_days": missing_days(found.anchors),
        "unreadable": list(found.unreadable),
    }


def _noted(anchor: Anchor) -> str:
    return f"on {anchor.at} (row {anchor.seq})"


def _shortened(words: Sequence[str]) -> str:
    return ", ".join(words) if len(words) <= 5 else f"{', '.join(words[:4])}, … {words[-1]}"
