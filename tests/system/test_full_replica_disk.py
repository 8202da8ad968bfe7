"""The replica's own disk is full, or at a stop the only disk: the clinic works, it is told, and nothing is lost."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from edge_node.replication.litestream import restore_from_files
from edge_node.replication.local_disk import RESERVE_BYTES
from edge_node.store.connection import connect_reader
from edge_node.store.inspect import row_digest, wal_bytes
from tests.support.desk import Desk, phone_number
from tests.support.disks import MISSING, a_small_disk, fill
from tests.support.node import RunningNode, edge_node, running_node
from tests.support.replicators import captured
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

GIB = 1 << 30
# Litestream tries again after ever longer pauses, of five minutes at the most.
RECOVERS_WITHIN_S = 150.0
# How long people go on working while nothing can be captured.
LASTS_S = 15.0
# What the WAL may come to: Litestream goes on checkpointing, since it stages captures beside the data.
WAL_BELOW_BYTES = 16 << 20


class Reception:
    """A registrar who registers one patient after another, and remembers who was promised to be there."""

    def __init__(self, node: RunningNode) -> None:
        self._desk = Desk(node.url)
        self._desk.sign_in("zhoumin", node.passwords()["zhoumin"])
        self.promised: list[str] = []

    def register(self) -> int:
        """One more; the HTTP status."""
        phone = phone_number(len(self.promised))
        # The HIS ends a connection on which nothing is asked for a while.
        self._desk.hang_up()
        status = self._desk.register(f"满盘{len(self.promised)}", phone).status
        if status == 302:
            self.promised.append(phone)
        return status

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.hang_up()


@pytest.mark.timeout(400)
def test_a_full_replica_disk_stops_nobody_and_heals_by_itself(tmp_path: Path) -> None:
    home = tmp_path / "node"
    with (
        a_small_disk(tmp_path / "disk.img", home / "replica", size_bytes=2 * GIB) as disk,
        running_node(home) as node,
        Reception(node) as reception,
    ):
        assert {reception.register() for _ in range(10)} == {302}
        until(lambda: is_well(node), within_s=30)
        fill(disk / "filler")
        began_s = time.monotonic()
        statuses = set()
        while time.monotonic() - began_s < LASTS_S:
            statuses.add(reception.register())
            time.sleep(0.1)
        assert statuses == {302}
        problems = until(lambda: told(node, "litestream-down", "replica-disk-low"), within_s=60)
        assert "no space left on device" in problems["litestream-down"]["why"]
        rows = destinations(node)
        for name in ("local", "cloud"):
            assert rows[name]["state"] == "behind", rows
            # As old as what was written first after the disk was full.
            assert rows[name]["rpo_s"] > time.monotonic() - began_s - 10
        assert wal_bytes(home / "data/his.db") < WAL_BELOW_BYTES
        assert re.search(r'^edge_problems\{code="litestream-down"\} 1', metrics(node), flags=re.MULTILINE)
        assert reception.register() == 302

        (disk / "filler").unlink()
        healed_s = time.monotonic()
        until(lambda: is_well(node) and not told(node, "replica-disk-low"), within_s=RECOVERS_WITHIN_S)
        print(f"well again after {time.monotonic() - healed_s:.0f} s; {len(reception.promised)} registrations")
        assert reception.register() == 302
        nothing_promised_is_missing(home, reception)
        until(lambda: captured(home, "his") and is_well(node), within_s=30)
        identity = tmp_path / "identity"
        identity.write_text(node.recovery_identity())
        assert node.stop() < 60
        for origin in ("local", "cloud"):
            to = tmp_path / f"{origin}.db"
            asked = ("replica", "restore", "--from", origin, "--to", str(to), "--identity", str(identity))
            done = edge_node(*asked, home=home)
            assert done.returncode == 0, done.stderr
            equal(to, home / "data/his.db")


@pytest.mark.timeout(300)
def test_the_reserve_gives_a_full_disk_the_room_for_a_clean_stop(tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "disk.img", tmp_path / "disk", size_bytes=2 * GIB) as disk:
        home = disk / "node"
        with running_node(home) as node, Reception(node) as reception:
            reserve = home / "reserve"
            until(reserve.exists, within_s=30)
            assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
            assert {reception.register() for _ in range(20)} == {302}
            # Until somebody is turned away: the WAL has room of its own for a while.
            fill(disk / "filler")
            until(lambda: fill(disk / "filler") or reception.register() == 503, within_s=90)
            assert reserve.exists(), "it is for the stop"
            node.stop()
            assert not reserve.exists()
            assert "reserve_removed" in node.output and "Traceback" not in node.output
        nothing_promised_is_missing(home, reception)
        to = tmp_path / "back.db"
        restore_from_files(home / "replica/e0001/his", to)
        equal(to, home / "data/his.db")


def destinations(node: RunningNode) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in node.status()["replica"]["destinations"]}


def told(node: RunningNode, *codes: str) -> dict[str, dict[str, Any]]:
    """What `status` says of these problems; empty until it names all of them."""
    found = {problem["code"]: problem["args"] for problem in node.status()["problems"]}
    return found if set(codes) <= set(found) else {}


def is_well(node: RunningNode) -> bool:
    status = node.status()
    states = {row["state"] for row in status["replica"]["destinations"]}
    return bool(status["replica"]["litestream"] == "running" and states == {"current"})


def metrics(node: RunningNode) -> str:
    with urlopen(f"http://127.0.0.1:{node.port + 1}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def nothing_promised_is_missing(home: Path, reception: Reception) -> None:
    with contextlib.closing(connect_reader(home / "data/his.db")) as conn:
        phones = {phone for (phone,) in conn.execute("SELECT phone FROM patient")}
        assert set(reception.promised) <= phones
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def equal(copy: Path, live: Path) -> None:
    with contextlib.closing(connect_reader(copy)) as one, contextlib.closing(connect_reader(live)) as other:
        assert row_digest(one) == row_digest(other)
