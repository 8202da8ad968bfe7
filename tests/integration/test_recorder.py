"""The monitor records: as its unit starts it, killed in the middle, without its database, under a real Litestream."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.clock import SystemClock
from edge_node.base.files import StatusFile
from edge_node.orders import new_maintenance, write_maintenance
from edge_node.store.connection import connect, connect_reader
from edge_node.store.inspect import row_digest
from tests.support import replicators
from tests.support.journal import AWatcher
from tests.support.node import edge_node, free_port, running_node
from tests.support.waiting import until

# Beside whatever the training clinic found on this machine; no machine has this interface.
LINE = '\n[[line]]\nname = "telecom"\npreferred = 9\ninterface = "no-such-if0"\n'


class Monitor:
    """`edge-node run monitor` on a folder; `watcher` writes what a watcher would."""

    def __init__(self, home: Path) -> None:
        self.home, self.log = home, home.parent / "monitor.log"
        self.port = free_port()
        self.watcher = AWatcher(home, clock=SystemClock())  # type: ignore[arg-type]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "edge_node", "run", "monitor", "--listen", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*argv, "--home", str(self.home)], stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def state(self) -> dict[str, Any]:
        """What the process that runs now says."""
        try:
            document = json.loads((self.home / "run/monitor/status.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        assert self.process is not None
        return dict(document["state"]) if document["pid"] == self.process.pid else {}

    def problems(self) -> list[str]:
        return [problem["code"] for problem in self.state().get("problems", ())]

    def tells(self, *told: tuple[str, str, str]) -> None:
        """The watcher tells of verdicts, and that it lives."""
        for before, after, code in told:
            self.watcher.tells("verdict", "telecom", before, after, code)
        state = {"blind_seconds": 0.0, "lines": [], "mode": {"name": "online"}}
        StatusFile(self.home / "run", "links", every_s=1).write(state, SystemClock())

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(connect_reader(self.home / "data/node.db")) as conn:
            return [tuple(row) for row in conn.execute(f"SELECT * FROM {table}")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node"
    assert edge_node("init", "--training", home=home).returncode == 0
    return home


@pytest.fixture
def monitor(home: Path) -> Iterator[Monitor]:
    running = Monitor(home)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.kill()


def captured(home: Path) -> int:
    return replicators.captured(home, "node")


def assert_the_copy_equals(home: Path, copy: Path) -> None:
    done = edge_node("replica", "restore", "--from", "local", "--database", "node", "--to", str(copy), home=home)
    assert done.returncode == 0, done.stderr
    with (
        contextlib.closing(connect_reader(copy)) as copied,
        contextlib.closing(connect_reader(home / "data/node.db")) as live,
    ):
        assert row_digest(copied) == row_digest(live)


def test_what_the_watcher_tells_is_recorded_within_seconds(monitor: Monitor) -> None:
    monitor.start()
    monitor.tells(("unknown", "up", "answers"), ("up", "down", "silent"))
    until(lambda: len(monitor.rows("transition")) == 2, within_s=30)
    now_ms = SystemClock().wall_ms()
    work = new_maintenance("telecom", start_ms=now_ms, until_ms=now_ms + 1000, now_ms=now_ms, by="li", why="x")
    write_maintenance(monitor.home, lambda standing: [*standing, work])
    until(lambda: [row[0] for row in monitor.rows("maintenance")] == [work.id], within_s=30)
    until(lambda: monitor.rows("heard"))
    until(lambda: monitor.state().get("recorded_at") and monitor.state()["behind"] is False)
    assert monitor.problems() == []
    assert monitor.process is not None
    began = time.monotonic()
    monitor.process.terminate()
    assert monitor.process.wait(timeout=10) == 0
    assert time.monotonic() - began < 5
    assert (monitor.home / "data/node.db-wal").exists(), "the WAL stays, so that Litestream goes on from there"
    # An orderly stop is no kill.
    monitor.start()
    until(lambda: monitor.state().get("recorded_at"), within_s=30)
    assert monitor.state()["began_after_kill_at"] is None


def test_without_its_database_metrics_go_on_and_it_is_tried_again(monitor: Monitor) -> None:
    path = monitor.home / "data/node.db"
    aside = path.with_suffix(".aside")
    path.rename(aside)
    monitor.start()
    monitor.tells(("unknown", "up", "answers"))
    until(lambda: monitor.problems() == ["history-not-written"], within_s=30)
    (problem,) = monitor.state()["problems"]
    assert "db-missing" in problem["args"]["why"]
    assert not path.exists(), "an empty one is never made in passing"
    aside.rename(path)
    until(lambda: len(monitor.rows("transition")) == 1, within_s=30)
    until(lambda: monitor.problems() == [], within_s=30)
    assert monitor.process is not None and monitor.process.poll() is None


def test_a_locked_database_is_waited_for(monitor: Monitor) -> None:
    """Somebody holds it for longer than SQLite waits: it is said, nothing dies, and nothing is lost."""
    monitor.start()
    until(lambda: monitor.state().get("recorded_at"), within_s=30)
    conn = connect(monitor.home / "data/node.db")
    try:
        conn.execute("BEGIN IMMEDIATE")
        monitor.tells(("unknown", "up", "answers"))
        until(lambda: monitor.problems() == ["history-not-written"], within_s=40)
        assert "db-busy" in monitor.state()["problems"][0]["args"]["why"]
    finally:
        conn.execute("ROLLBACK")
        conn.close()
    until(lambda: len(monitor.rows("transition")) == 1, within_s=40)
    until(lambda: monitor.problems() == [], within_s=30)


def test_a_second_monitor_does_not_record_as_well(monitor: Monitor) -> None:
    handle = os.open(monitor.home / "data/node.db.recorder", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        monitor.start()
        until(lambda: "already-running" in str(monitor.state().get("problems")), within_s=30)
    finally:
        os.close(handle)
    until(lambda: monitor.state().get("recorded_at"), within_s=30)


def test_lines_that_cannot_be_read_are_counted_and_told(monitor: Monitor) -> None:
    monitor.tells(("unknown", "up", "answers"))
    with monitor.watcher.transitions.open("ab") as file:
        file.write(b"no JSON\n{}\n")
    (monitor.home / "orders").mkdir(exist_ok=True)
    (monitor.home / "orders/maintenance.json").write_text("{")
    monitor.tells(("up", "down", "silent"))
    monitor.start()
    until(lambda: sorted(monitor.problems()) == ["maintenance-unreadable", "transitions-unreadable"], within_s=30)
    assert monitor.state()["unreadable"] == 2
    assert len(monitor.rows("transition")) == 2
    status = edge_node("status", home=monitor.home)
    assert "transitions-unreadable" in status.stdout and status.returncode == 4


# As in test_killed_writer.py, on the monitor's database: the last transaction is in the WAL and SQLite forgets it.
GHOST = """
import os, sys
from pathlib import Path
from edge_node.store.connection import connect, transaction
path = Path(sys.argv[1])
conn = connect(path)
index = os.open(f"{path}-shm", os.O_RDWR)
valid = os.pread(index, 136, 0)
with transaction(conn):
    for number in range(40):
        conn.execute("INSERT INTO series (line, target) VALUES (?, ?)", (f"ghost{number}", "y" * 300))
os.pwrite(index, valid, 0)
os._exit(0)
"""


def test_the_copy_of_node_db_equals_it_after_a_kill_at_the_worst_instant(
    home: Path, monitor: Monitor, tmp_path: Path
) -> None:
    path = home / "data/node.db"
    with replicators.replicator(home) as log:
        until(lambda: captured(home), within_s=30)
        monitor.start()
        monitor.tells(("unknown", "up", "answers"))
        until(lambda: len(monitor.rows("transition")) == 1, within_s=30)
        monitor.kill()
        subprocess.run([sys.executable, "-c", GHOST, str(path)], check=True)
        ghost = until(lambda: captured(home))
        monitor.start()
        until(lambda: monitor.state().get("began_after_kill_at"), within_s=30)
        until(lambda: "litestream_begins_anew" in log.read_text(), within_s=30)
        assert "db=node.db" in log.read_text().split("litestream_begins_anew")[1].splitlines()[0]
        monitor.tells(*([("up", "down", "silent"), ("down", "up", "clean")] * 20))
        until(lambda: len(monitor.rows("transition")) == 41, within_s=30)
        assert not [row for row in monitor.rows("series") if "ghost" in row[1]]
        monitor.kill()
        assert until(lambda: captured(home), within_s=30) > ghost
        assert_the_copy_equals(home, tmp_path / "copy.db")


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_killed_while_it_writes_nothing_is_lost_and_the_copy_restores(
    home: Path, monitor: Monitor, tmp_path: Path, kills: int
) -> None:
    told = 0
    with replicators.replicator(home):
        until(lambda: captured(home), within_s=30)
        for _ in range(kills):
            monitor.tells(*([("up", "down", "silent"), ("down", "up", "clean")] * 200))
            told += 400
            monitor.start()
            # It dies as soon as anything of it is there: in the middle, or right after.
            index = home / "data/node.db-wal"
            before = index.stat().st_mtime_ns if index.exists() else 0
            until(lambda: index.exists() and index.stat().st_mtime_ns != before, within_s=30, every_s=0.001)  # noqa: B023
            monitor.kill()
        monitor.start()
        until(lambda: len(monitor.rows("transition")) == told, within_s=30)
        until(lambda: monitor.state().get("began_after_kill_at"), within_s=30)
        done = home / "litestream/e0001/his-begun-anew"
        until(lambda: done.exists() and "monitor" in json.loads(done.read_bytes()), within_s=30)
        assert sorted(row[1] for row in monitor.rows("transition")) == list(range(1, told + 1)), "each once"
        assert monitor.process is not None
        monitor.process.send_signal(signal.SIGTERM)
        monitor.process.wait(timeout=10)
        until(lambda: captured(home), within_s=30)
        assert_the_copy_equals(home, tmp_path / "copy.db")


@pytest.mark.timeout(180)
def test_a_node_has_a_history_within_a_minute_and_the_report_speaks_of_it(home: Path) -> None:
    with (home / "edge-node.toml").open("a", encoding="utf-8") as file:
        file.write(LINE)
    with running_node(home) as node:
        began = time.monotonic()

        def recorded() -> list[Any]:
            with contextlib.closing(connect_reader(home / "data/node.db")) as conn:
                return [tuple(row) for row in conn.execute("SELECT subject, to_state FROM transition")]

        until(lambda: ("telecom", "down") in recorded(), within_s=60)
        assert time.monotonic() - began < 60
        month = time.strftime("%Y-%m")
        report = edge_node("report", "sla", "--month", month, "--format", "json", home=home, check=True)
        (line,) = (one for one in json.loads(report.stdout)["lines"] if one["name"] == "telecom")
        assert line["incidents"][0]["reason"]["code"] == "no-link"
        shown = edge_node("line", "history", "--json", home=home, check=True)
        assert [one["line"] for one in json.loads(shown.stdout)["incidents"]] == ["telecom"]
        assert "history-not-written" not in [problem["code"] for problem in node.status()["problems"]]
