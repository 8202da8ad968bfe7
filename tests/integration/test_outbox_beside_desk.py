"""A desk's write while a thousand messages drain: the real HIS, the real outbox, a real receiver, each a process.

Two phases alternate: alone, and beside a drain. The same number of paced writes is measured in both.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_node.his import seed
from edge_node.his.staff import passwords, queries
from edge_node.his.staff.model import Role
from edge_node.outbox import queue
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection, transaction
from tests.support.desk import Desk, phone_number
from tests.support.messages import a_body
from tests.support.node import free_port
from tests.support.outboxes import a_home, a_process, state_of, the_database
from tests.support.waiting import until

MESSAGES, PATIENTS = 1000, 200
PACE_S = 0.02
ROUNDS = 3
WITHIN = 3.0
PASSWORD = "three words apart"
ROUTES = (Route(upstream="platform", topics=("encounter",)),)
AT = 1_795_000_000_000
# As long as a signed note with its patient is.
NOTE = {"history": "三天前受凉后出现咳嗽，" * 20, "examination": "咽部充血，双肺呼吸音粗，" * 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """Processes that run, a desk that is signed in, and the table beside them."""

    home: Path
    desk: Desk
    conn: Connection
    count: Iterator[int]

    def write(self) -> float:
        """Register one patient; returns how long the answer took."""
        number = next(self.count)
        began = time.monotonic()
        answer = self.desk.register(f"单雅琴{number}", phone_number(number))
        taken = time.monotonic() - began
        assert answer.status == 302, f"{answer.status}\n{answer.body}"
        return taken

    def writes(self, more: Callable[[int], bool]) -> list[float]:
        """Seconds of writes at a steady pace, as long as `more` says so."""
        times: list[float] = []
        next_at = time.monotonic()
        while more(len(times)):
            time.sleep(max(0.0, next_at - time.monotonic()))
            next_at = max(next_at + PACE_S, time.monotonic())
            times.append(self.write())
        return times

    def left(self) -> int:
        return int(self.conn.execute("SELECT count(*) FROM outbox WHERE state IN ('queued', 'waiting')").fetchone()[0])

    def put(self) -> None:
        with transaction(self.conn):
            for n in range(MESSAGES):
                key = f"p{n % PATIENTS}"
                queue.put(
                    self.conn, topic="encounter", key=key, body=a_body(key, n=n, note=NOTE), upstreams=ROUTES, at=AT
                )


@contextlib.contextmanager
def a_receiver() -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.support.upstream"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def a_clinic(folder: Path, receiver_port: int) -> Iterator[Clinic]:
    upstream = (
        f'[[upstream]]\nname = "platform"\nkind = "http"\nurl = "http://127.0.0.1:{receiver_port}/messages"\n'
        'topics = ["encounter"]\n'
    )
    home, port = a_home(folder / "node", upstream), free_port()
    with the_database(home) as conn:
        with transaction(conn):
            seed.plant(conn, at=AT, training=False, hash_password=str, make_password=str)
            queries.insert(
                conn, code="zhou", name="周敏", title="", department_id=None, roles=[Role.REGISTRAR],
                password_hash=passwords.hash_password(PASSWORD), must_change=False, at=AT,
            )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        with a_process("his", home, "--listen", f"127.0.0.1:{port}"), a_process("outbox", home), Desk(url) as desk:
            until(lambda: serves(url), within_s=30)
            until(lambda: state_of(home), within_s=30)
            desk.sign_in("zhou", PASSWORD)
            yield Clinic(home=home, desk=desk, conn=conn, count=iter(range(10**6)))


def serves(url: str) -> bool:
    with contextlib.suppress(OSError), Desk(url) as desk:
        return desk.get("/healthz").status == 200
    return False


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def measure(clinic: Clinic, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """The p99 of each round alone and beside the drain, and how long the drains took; both have as many writes."""
    alone, beside, drains = [], [], []
    for _ in range(rounds):
        clinic.put()
        began = time.monotonic()
        busy = clinic.writes(lambda _: clinic.left() > 0)
        drains.append(time.monotonic() - began)
        until(lambda: state_of(clinic.home)["queued"] == 0)
        quiet = clinic.writes(len(busy).__gt__)
        alone.append(p99(quiet))
        beside.append(p99(busy))
        words = [f"{name} p50 {1000 * statistics.median(times):.1f} p99 {1000 * p99(times):.1f} ms"
                 for name, times in (("alone", quiet), ("beside", busy))]  # fmt: skip
        print(f"{len(busy)} writes in {drains[-1]:.1f} s", *words, sep="   ")
    return alone, beside, drains


@pytest.mark.alone
def test_a_desks_write_while_a_thousand_messages_drain(tmp_path: Path) -> None:
    """Medians of three rounds; when they say no, of six: what else the machine does is in them too."""
    alone, beside = [], []
    with a_receiver() as receiver:
        assert receiver.stdin and receiver.stdout
        with a_clinic(tmp_path, int(receiver.stdout.readline())) as clinic:
            clinic.writes(lambda done: done < 30)
            for _ in range(2):
                measured = measure(clinic, ROUNDS)
                alone, beside = [*alone, *measured[0]], [*beside, *measured[1]]
                ratio = statistics.median(beside) / statistics.median(alone)
                print(f"ratio {ratio:.2f}, drain {statistics.median(measured[2]):.1f} s")
                if ratio <= WITHIN:
                    break
            sent = clinic.conn.execute("SELECT count(*), sum(attempts) FROM outbox WHERE state = 'sent'").fetchone()
        receiver.stdin.close()
        said = json.loads(receiver.stdout.readline())
    told = len(alone) * MESSAGES
    assert tuple(sent) == (told, told)
    assert (said["kept"], said["arrivals"], said["unsound"], said["overlaps"]) == (told, told, 0, 0)
    assert ratio <= WITHIN
