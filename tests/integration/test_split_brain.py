"""Row 11: the clinic was promoted on B, and A returns and writes.

A is superseded within one round and stays so; B's chain is intact and restores; what only A holds is laid out for a
person; no number is given twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.cli.promotion import Promoted
from edge_node.his.numbering import is_number
from edge_node.status.superseded import read_superseded
from edge_node.store.connection import Connection, close_keeping_wal, connect, connect_reader
from edge_node.store.inspect import row_digest
from tests.support.desk import Desk, phone_number
from tests.support.node import RunningNode, edge_node, free_port, running_node
from tests.support.owners import a_wish, made_clinic, promoted, shipping, url
from tests.support.replicated import Replicated, end, replicating, start_replicator
from tests.support.s3 import S3Server, s3_server
from tests.support.waiting import until

# The claims are looked at every 5 s, and each look may take its deadline of 5 s.
ONE_ROUND_S = 12.0


@pytest.fixture(params=["file", "moto", pytest.param("rclone", marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[S3Server | None]:
    if request.param == "file":
        yield None
        return
    with s3_server(tmp_path / "server", request.param) as running:
        yield running


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Connection]:
    with contextlib.closing(connect_reader(path)) as conn:
        yield conn


def write_on(clinic: Replicated, count: int) -> None:
    """Rows of a table that is reconciled, as the HIS would write them."""
    conn = connect(clinic.his)
    try:
        for _ in range(count):
            conn.execute(
                "INSERT INTO icd (code, name, name_en, initials) VALUES ('T' || hex(randomblob(8)), '试', 'trial', 's')"
            )
    finally:
        close_keeping_wal(conn)


@pytest.mark.timeout(300)
def test_the_old_machine_returns_and_writes(server: S3Server | None, tmp_path: Path) -> None:
    old = made_clinic(tmp_path / "a", server)
    with shipping(old):
        write_on(old, 5)
        old.wait_until_captured(beyond=1)
        old.wait_until_shipped()
    write_on(old, 3)  # What was written with no replicator left: nobody else has it.
    done = promoted(a_wish(old, tmp_path / "b", server=server))
    new = Replicated(home=tmp_path / "b", identity=old.identity)
    taken_over = icd(new.his)
    with replicating_at(new, 2):
        # A is back: it has what nobody else has, and writes on.
        began = time.monotonic()
        with replicating(old) as replicator:
            write_on(old, 2)
            found = until(lambda: read_superseded(old.home), within_s=ONE_ROUND_S)
            took_s = time.monotonic() - began
            print(f"superseded after {took_s:.1f} s")
            assert (found.epoch, found.own_epoch, found.why) == (2, 1, "the machine burnt")
            assert (found.taken_epoch, found.taken_txid) == (1, done.claim.from_txid)
            until(lambda: old.state().get("superseded_by") == found.by)
            check_tail(old, found_rows=5, epoch=2)
            before = listed(old, server)
            write_on(old, 2)
            old.wait_until_captured(beyond=old.local_head())
            assert replicator.poll() is None
        assert listed(old, server) == before, "nothing of the old epoch is shipped any more"
        write_on(new, 4)
        until(lambda: new.destination().get("confirmed_txid", -1) == head(new, 2) > 1, within_s=30)
    check_chain(done, new, server, tmp_path, rows=taken_over + 4)
    # Also after a start without a line: the file is all it takes.
    with replicating(old):
        until(lambda: old.destination().get("state") == "paused")
        assert "superseded" in [problem["code"] for problem in status(old)["problems"]]


def status(clinic: Replicated) -> dict[str, list[dict[str, str]]]:
    done = edge_node("status", "--json", home=clinic.home)
    assert done.returncode == 4, done.stdout
    return dict(json.loads(done.stdout))


def icd(path: Path) -> int:
    with reading(path) as conn:
        return int(conn.execute("SELECT count(*) FROM icd").fetchone()[0])


@contextlib.contextmanager
def replicating_at(node: Replicated, epoch: int) -> Iterator[None]:
    process = start_replicator(node)
    try:
        until(lambda: node.state().get("litestream") == "running" and head(node, epoch) > 0, within_s=30)
        until(lambda: node.destination().get("kit"), within_s=30)
        yield
    finally:
        end(process)


def head(node: Replicated, epoch: int) -> int:
    names = (node.home / "replica" / f"e{epoch:04d}" / "his" / "ltx").glob("*/*.ltx")
    return max((int(path.stem.split("-")[1], 16) for path in names), default=0)


def listed(clinic: Replicated, server: S3Server | None) -> list[str]:
    """The objects of the old epoch."""
    wish = a_wish(clinic, clinic.home, server=server)

    async def keys() -> list[str]:
        await wish.origin.open_to_read()
        try:
            return [item.key for item in await wish.origin.list("training-0001/e0001")]
        finally:
            await wish.origin.close()

    return asyncio.run(keys())


def check_tail(clinic: Replicated, *, found_rows: int, epoch: int) -> None:
    folder = clinic.home / "superseded-tail" / f"e{epoch:04d}"
    until(lambda: (folder / "tail.json").exists(), within_s=30)
    with (folder / "icd.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= found_rows
    assert {row["change"] for row in rows} == {"added"}
    assert all(row["name_en"] == "trial" for row in rows)
    told = json.loads((folder / "tail.json").read_bytes())
    assert told["base_txid"] == told["superseded"]["taken_txid"]
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".csv") == ["icd.csv"]
    with reading(folder / "his.db") as copy:
        assert row_digest(copy)
        assert copy.execute("SELECT count(*) FROM icd").fetchone()[0] >= found_rows
    until(lambda: "superseded-tail" in [problem["code"] for problem in clinic.state()["problems"]])


def check_chain(done: Promoted, new: Replicated, server: S3Server | None, folder: Path, *, rows: int) -> None:
    """What the new machine has shipped restores, and is its own."""
    assert done.claim.epoch == 2
    third = promoted(a_wish(new, folder / "c", cloud=url(folder / "a", server), server=server))
    assert (third.claim.epoch, third.claim.from_epoch) == (3, 2)
    assert icd(folder / "c" / "data" / "his.db") == rows


@pytest.mark.timeout(300)
def test_staff_at_two_machines(tmp_path: Path) -> None:
    """Two whole nodes: registered at A, promoted to B, A switched on again; every number is given once."""
    with running_node(tmp_path / "a") as a:
        old = Replicated(home=a.home, identity=a.recovery_identity())
        passwords = a.passwords()
        with at_the_desk(a.url, passwords) as desk:
            numbers = [register(desk, a, n) for n in range(3)]
        until(lambda: old.destination().get("kit") and old.wait_until_shipped(), within_s=40)
        a.stop()
        # While the replicator is gone, another is registered: this one is lost, its number was printed.
        lost = registered_behind_its_back(old)
        home = tmp_path / "b"
        promoted(a_wish(old, home, cloud=f"file://{a.home}/cloud"))
        with running_node(home) as b:
            with at_the_desk(b.url, passwords) as desk:
                again = [register(desk, b, n) for n in range(3, 6)]
            assert all(is_number(mrn) and is_number(visit) for mrn, visit, _ in [*numbers, *again])
            everything = [*numbers, lost, *again]
            for kind in range(3):
                assert len({entry[kind] for entry in everything}) == len(everything), "a number was given twice"
            a.start()
            found = until(lambda: read_superseded(old.home), within_s=ONE_ROUND_S)
            with at_the_desk(a.url, passwords) as desk:
                refused = desk.register("晚来的人", phone_number(99))
            assert refused.status == 409, refused.body
            assert found.by in refused.body
            assert "the machine burnt" in refused.body
            assert a.status()["node"]["superseded_by"] == found.by
            until(lambda: "outbox-superseded" in [problem["code"] for problem in a.status()["problems"]])
            folder = old.home / "superseded-tail" / "e0002"
            until(lambda: (folder / "tail.json").exists(), within_s=30)
            with (folder / "registration.csv").open(encoding="utf-8-sig", newline="") as file:
                (row,) = csv.DictReader(file)
            assert (row["change"], row["visit_no"], row["patient_mrn"]) == ("added", lost[1], lost[0])
            assert b.status()["node"] == {**b.status()["node"], "epoch": 2, "superseded_by": None}


@contextlib.contextmanager
def at_the_desk(url: str, passwords: dict[str, str]) -> Iterator[Desk]:
    with Desk(url) as desk:
        desk.sign_in("zhoumin", passwords["zhoumin"])
        yield desk


def register(desk: Desk, node: RunningNode, n: int) -> tuple[str, str, int]:
    """Record number, visit number and queue number of a new patient."""
    answer = desk.register("".join(chr(0x4E00 + 97 * n + k) for k in range(3)), phone_number(n))
    assert answer.status == 302, answer.body
    return numbers_of(node.home, answer.location.partition("registered=")[2][:26])


def numbers_of(home: Path, registration: str) -> tuple[str, str, int]:
    with reading(home / "data" / "his.db") as conn:
        row = conn.execute(
            "SELECT mrn, visit_no, queue_no FROM registration JOIN patient ON patient.id = patient_id "
            "WHERE registration.id = ?",
            (registration,),
        ).fetchone()
    return str(row[0]), str(row[1]), int(row[2])


def registered_behind_its_back(clinic: Replicated) -> tuple[str, str, int]:
    """The HIS alone, for one more patient: nothing captures what it writes."""
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "edge_node",
        "run",
        "his",
        "--home",
        str(clinic.home),
        "--listen",
        f"127.0.0.1:{port}",
    ]
    log = (clinic.home / "alone.log").open("ab")
    with log, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        try:
            until(lambda: answers(port), within_s=30)
            with at_the_desk(f"http://127.0.0.1:{port}", RunningNode(clinic.home).passwords()) as desk:
                answer = desk.register("失去的人", phone_number(77))
            assert answer.status == 302, answer.body
            return numbers_of(clinic.home, answer.location.partition("registered=")[2][:26])
        finally:
            process.terminate()
            process.wait(15)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
