"""SIGKILL at random instants under load: what was answered is there, and the copy equals the live database."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_node.base.errors import EdgeError
from edge_node.replication.litestream import ControlSocket, SocketSilent
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.inspect import row_digest
from tests.support.desk import Desk, phone_number
from tests.support.node import RunningNode, edge_node, running_node
from tests.support.waiting import until

KILLS, KILLS_LONG = 30, 100
VICTIMS = ("his", "litestream", "replica")
BACK_WITHIN_S = 30.0
DESKS = 3


@dataclass
class Load:
    """Desks that register patients without a pause; `answered` is the ledger of what the clinic was promised."""

    node: RunningNode
    password: str
    first: int = 0
    answered: dict[str, str] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    _seen: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        for number in range(DESKS):
            desk = Desk(self.node.url)
            desk.sign_in("zhoumin", self.password, station=str(number))
            thread = threading.Thread(target=self._work, args=(desk, number), name=f"desk-{number}")
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def has_gone_on(self) -> bool:
        """Has anything been answered, or failed, since this was asked last?"""
        before, self._seen = self._seen, len(self.answered)
        return self._seen > before or bool(self.failures)

    def _work(self, desk: Desk, number: int) -> None:
        try:
            count = 0
            while not self._stop.is_set():
                count += 1
                phone = phone_number(self.first + number * 1_000_000 + count)
                registration = desk.register_until_answered(
                    name_of(phone), phone, give_up_at=time.monotonic() + BACK_WITHIN_S
                )
                assert registration, f"no answer for {BACK_WITHIN_S} s"
                self.answered[registration] = phone
        except BaseException as error:
            self.failures.append(error)
        finally:
            desk.hang_up()


def name_of(phone: str) -> str:
    """A name that sounds like no other: somebody alike would be asked about, as a likely duplicate."""
    return "".join("甲乙丙丁戊己庚辛壬癸"[int(digit)] for digit in phone[3:])


def kill(node: RunningNode, part: str) -> None:
    """SIGKILL one part, and wait until another process does its work."""
    began = time.monotonic()
    pid = until(lambda: struck(node, part), within_s=BACK_WITHIN_S)
    until(lambda: node.pid_of(part) not in (None, pid), within_s=BACK_WITHIN_S)
    print(f"{part} killed, back after {time.monotonic() - began:.1f} s")


def struck(node: RunningNode, part: str) -> int | None:
    """The pid that was killed; None when the part is not there, or has ended this moment (Litestream begins anew)."""
    pid = node.pid_of(part)
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return pid


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(KILLS, marks=pytest.mark.timeout(300)),
        pytest.param(KILLS_LONG, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_nothing_answered_is_lost(tmp_path: Path, kills: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with running_node(tmp_path / "node") as node:
        with Load(node, node.passwords()["zhoumin"]) as load:
            for number in range(kills):
                time.sleep(dice.uniform(0.05, 0.6))
                kill(node, VICTIMS[number % len(VICTIMS)] if number < len(VICTIMS) else dice.choice(VICTIMS))
                if dice.random() < 0.7:
                    # Else a slow machine would be killed at its start for ever; now and then that is what is wanted.
                    until(load.has_gone_on, within_s=BACK_WITHIN_S)
                assert not load.failures
            enough = len(load.answered)
            until(lambda: len(load.answered) > enough + 5 or load.failures, within_s=BACK_WITHIN_S)
        assert not load.failures

        txid = until(lambda: captured_txid(node), within_s=BACK_WITHIN_S)
        until(lambda: is_shipped(node, txid), within_s=BACK_WITHIN_S, every_s=0.2)
        live = connect_reader(node.home / "data/his.db")
        try:
            rows = dict(live.execute("SELECT r.id, p.phone FROM registration r JOIN patient p ON p.id = r.patient_id"))
            lost = {
                registration: phone for registration, phone in load.answered.items() if rows.get(registration) != phone
            }
            assert lost == {}
            assert len(rows) == len(set(rows.values())), "a form that was sent again must not register twice"
            assert live.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            assert live.execute("PRAGMA foreign_key_check").fetchall() == []

            identity = tmp_path / "identity"
            identity.write_text(node.recovery_identity())
            identity.chmod(0o600)
            # After the last kill of the HIS Litestream begins anew, some seconds later: until then a copy is older.
            until(lambda: equals_a_restore(node, live, identity), within_s=BACK_WITHIN_S, every_s=1)
        finally:
            live.close()
        print(f"{len(load.answered)} registrations answered through {kills} kills, load {os.getloadavg()[0]:.1f}")


def equals_a_restore(node: RunningNode, live: Connection, identity: Path) -> bool:
    """Does a restore from the destination equal the live database, row for row?"""
    copy = identity.with_name(f"restored-{time.monotonic_ns()}.db")
    asked = ("replica", "restore", "--from", "cloud", "--to", str(copy), "--identity", str(identity))
    restored = edge_node(*asked, home=node.home)
    if restored.returncode != 0:
        print(restored.stderr)
        return False
    copied = connect_reader(copy)
    try:
        return row_digest(copied) == row_digest(live)
    finally:
        copied.close()


def captured_txid(node: RunningNode) -> int:
    """Have Litestream capture what the database holds now; 0 while it does not answer."""
    socket = ControlSocket(node.home / "run/replica/litestream.sock")
    try:
        return socket.sync(node.home / "data/his.db", timeout_s=5)
    except (OSError, SocketSilent, EdgeError):
        return 0


def is_shipped(node: RunningNode, txid: int) -> bool:
    """Does the destination hold this transaction, by the node's own word?"""
    replica = node.status()["replica"]
    cloud = next((copy for copy in replica["destinations"] if copy["name"] == "cloud"), None)
    return bool(cloud and cloud["state"] == "current" and cloud["confirmed_txid"] >= txid)
