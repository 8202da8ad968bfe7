"""The outbox as a process: what its supervisor sees, and what is left of it when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.files import read_status
from edge_node.store.connection import Connection
from tests.support.messages import put, states
from tests.support.outboxes import a_home, a_process, an_upstream, state_of, the_database
from tests.support.upstream import UpstreamSimulator, upstream_simulator
from tests.support.waiting import until

STARTS_WITHIN_S = 30.0


@pytest.fixture
def upstream() -> Iterator[UpstreamSimulator]:
    with upstream_simulator() as upstream:
        yield upstream


@pytest.fixture
def home(tmp_path: Path, upstream: UpstreamSimulator) -> Path:
    return a_home(tmp_path / "node", an_upstream(upstream.url))


@pytest.fixture
def conn(home: Path) -> Iterator[Connection]:
    with the_database(home) as conn:
        yield conn


def all_sent(conn: Connection) -> bool:
    return set(states(conn).values()) == {"sent"}


def test_it_says_that_it_is_ready_pets_the_watchdog_and_stops_in_order(
    home: Path, conn: Connection, upstream: UpstreamSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address)
        supervisor.settimeout(STARTS_WITHIN_S)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "10000000")
        with a_process("outbox", home) as process:
            heard = {supervisor.recv(100) for _ in range(3)}
            assert heard == {b"READY=1", b"WATCHDOG=1"}
            put(conn, "p1")
            until(lambda: all_sent(conn))
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
            assert time.monotonic() - began < 1.5
    file = read_status(home / "run", "outbox")
    assert file is not None and file.stopped and file.state["queued"] == 0
    log = (home / "outbox.log").read_text()
    assert "outbox_started" in log and "outbox_stopped" in log and "Traceback" not in log
    assert (home / "data/his.db-wal").exists(), "the last close leaves the WAL to Litestream"


def test_without_an_upstream_it_is_well_and_idle(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with a_process("outbox", home):
        state = until(lambda: state_of(home), within_s=STARTS_WITHIN_S)
    assert (state["queued"], state["upstreams"], state["problems"]) == (0, [], [])


def test_killed_it_sends_again_what_was_under_way_and_tells_the_replicator(
    home: Path, conn: Connection, upstream: UpstreamSimulator
) -> None:
    with a_process("outbox", home) as process:
        until(lambda: state_of(home), within_s=STARTS_WITHIN_S)
        upstream.delay_s = 0.3
        ids = put(conn, *[f"p{n % 5}" for n in range(30)])
        until(lambda: len(upstream.kept) > 8)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(5)
    assert not all_sent(conn)
    upstream.delay_s = 0.0
    with a_process("outbox", home):
        until(lambda: all_sent(conn), within_s=STARTS_WITHIN_S)
        assert state_of(home)["began_after_kill_at"] is not None
    assert list(upstream.kept) != [] and set(upstream.kept) == set(ids)
    for order in upstream.order_by_key().values():
        assert order == [message_id for message_id in ids if message_id in order]
    with a_process("outbox", home):
        until(lambda: (file := read_status(home / "run", "outbox")) and not file.stopped, within_s=STARTS_WITHIN_S)
        assert state_of(home)["began_after_kill_at"] is None, "the one before stopped in order"


def test_a_database_of_another_version_is_refused(home: Path, conn: Connection) -> None:
    conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'm0002_outbox'")
    done = subprocess.run(
        [sys.executable, "-m", "edge_node", "run", "outbox", "--home", str(home)],
        capture_output=True, text=True, timeout=STARTS_WITHIN_S,
    )  # fmt: skip
    assert done.returncode == 4 and "db-behind" in done.stderr


def test_a_machine_that_was_replaced_sends_nothing_also_after_a_start(
    home: Path, conn: Connection, upstream: UpstreamSimulator
) -> None:
    with a_process("outbox", home):
        put(conn, "p1")
        until(lambda: all_sent(conn), within_s=STARTS_WITHIN_S)
        (home / "superseded.json").write_text('{"by": "east-2", "epoch": 2}')
        until(lambda: is_standing_still(home))
        put(conn, "p2")
        until(lambda: state_of(home)["queued"] == 1)  # A whole turn later it has seen it, and left it.
    with a_process("outbox", home) as process:
        until(lambda: is_standing_still(home, pid=process.pid), within_s=STARTS_WITHIN_S)
    assert list(states(conn).values()) == ["sent", "queued"]
    assert len(upstream.arrivals) == 1


def is_standing_still(home: Path, *, pid: int | None = None) -> bool:
    file = read_status(home / "run", "outbox")
    told = [problem["code"] for problem in file.state["problems"]] if file else []
    return file is not None and pid in (None, file.pid) and not file.stopped and told == ["outbox-superseded"]
