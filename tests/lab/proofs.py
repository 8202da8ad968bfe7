"""What must hold after whatever the laboratory did to a clinic: nothing answered is lost, nothing is told twice."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from edge_node.base.errors import EdgeError
from edge_node.replication.litestream import ControlSocket, SocketSilent
from edge_node.store.connection import connect_reader
from edge_node.store.inspect import row_digest
from tests.lab.clinic import NODE_ID, LabNode
from tests.lab.load import Load
from tests.lab.receiver import Receiver
from tests.support.waiting import until


class HasData(Protocol):
    """A node, or a copy of its data, as these proofs look at it."""

    @property
    def home(self) -> Path: ...


def database(node: HasData) -> Path:
    return node.home / "data/his.db"


def nothing_answered_is_lost(node: HasData, load: Load) -> None:
    """Every registration and every signature that the staff were answered is in the database."""
    with closing(connect_reader(database(node))) as conn:
        phones = dict(
            conn.execute("SELECT registration.id, phone FROM registration JOIN patient ON patient.id = patient_id")
        )
        versions = dict(conn.execute("SELECT encounter_id, count(*) FROM note_version GROUP BY encounter_id"))
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    registrations, encounters = load.answered("registration"), load.answered("encounter")
    assert registrations
    assert encounters
    lost = [row for row in registrations if phones.get(row["id"]) != row["phone"]]
    unsigned = [row for row in encounters if versions.get(row["id"]) != row["versions"]]
    assert lost == []
    assert unsigned == []
    for what, rows in (("registration", registrations), ("encounter", encounters)):
        assert len({row["id"] for row in rows}) == len(rows), f"a {what} was answered twice under one id"


def told_exactly_once_in_order(node: HasData, receiver: Receiver) -> int:
    """The receiver holds every message of the outbox once, and each patient's in the order of the outbox.

    Returns how many there are. The outbox must be empty.
    """
    with closing(connect_reader(database(node))) as conn:
        rows = conn.execute("SELECT id, key, state, body, topic FROM outbox ORDER BY seq").fetchall()
        signed = conn.execute("SELECT encounter_id, n FROM note_version").fetchall()
    assert {row["state"] for row in rows} == {"sent"}
    got = receiver.received()
    assert got.refused == []
    assert all(attempt.digest_ok for attempt in got.kept)
    assert {attempt.node for attempt in got.kept} == {NODE_ID}
    kept = {attempt.idempotency_key: attempt.body for attempt in got.kept}
    assert len(kept) == len(got.kept), "a key was kept twice"
    assert kept == {row["id"]: row["body"] for row in rows}
    key_of = {row["id"]: row["key"] for row in rows}
    assert _by_key([row["id"] for row in rows], key_of) == _by_key(list(kept), key_of)
    bodies = [json.loads(row["body"]) for row in rows if row["topic"] == "encounter"]
    told = Counter((body["encounter"], body["version"]) for body in bodies)
    assert told == Counter((row["encounter_id"], row["n"]) for row in signed), "each signature is one message"
    return len(rows)


def _by_key(ids: Sequence[str], key_of: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for id_ in ids:
        found[key_of[id_]].append(id_)
    return found


def captured_txid(node: LabNode) -> int:
    """Have Litestream capture what the database holds now; 0 while it does not answer."""
    socket = ControlSocket(node.home / "run/replica/litestream.sock")
    try:
        return socket.sync(database(node), timeout_s=5)
    except (OSError, SocketSilent, EdgeError):
        return 0


def is_shipped(node: LabNode, destination: str, txid: int) -> bool:
    """Does this destination hold the transaction, by the node's own word?"""
    copy = node.destination(destination)
    return bool(copy) and copy["state"] == "current" and copy["confirmed_txid"] >= txid


def a_restore_equals_the_live_one(node: LabNode, folder: Path, *, origin: str, within_s: float = 30.0) -> None:
    """Restore from a destination, in the clinic, with the identity of the safe; row for row the same as the live one.

    Nobody may be writing. Waits until what is captured now has arrived; after a kill of the HIS Litestream begins anew
    some seconds later, and until then a copy is older.
    """
    identity = folder / "identity"
    identity.touch(mode=0o600)
    identity.write_text(node.recovery_identity)
    said: list[str] = []

    def equals() -> bool:
        txid = captured_txid(node)
        if not txid or not is_shipped(node, origin, txid):
            return False
        copy = folder / f"restored-{txid}-{len(said)}.db"
        asked = ("replica", "restore", "--from", origin, "--to", str(copy), "--identity", str(identity))
        restored = node.command(*asked)
        said.append(restored.stderr)
        if restored.returncode != 0:
            return False
        with closing(connect_reader(copy)) as copied, closing(connect_reader(database(node))) as live:
            return row_digest(copied) == row_digest(live)

    try:
        until(equals, within_s=within_s, every_s=0.5)
    except AssertionError as error:
        raise AssertionError(f"no restore from {origin} equals the live database: {error}\n{''.join(said)}") from error
