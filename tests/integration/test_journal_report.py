"""`edge-node report sla`: what an operator types, and what a carrier gets."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock
from edge_node.base.errors import StoreError, UsageError
from edge_node.cli.main import Where
from edge_node.cli.report import report_group
from edge_node.journal.record import record_maintenance
from edge_node.journal.words import machine_time
from edge_node.orders import new_maintenance
from edge_node.store.connection import connect, transaction
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from tests.support.clock import FakeClock
from tests.support.journal import AWatcher

CONFIG = """
[node]
id = "clinic-0042"
name = "西城门诊部"
[replica]
plain = true
[[line]]
name = "telecom"
carrier = "China Telecom"
preferred = 1
interface = "enp2s0"
contract = { availability = 0.5, rtt_p95 = "20ms", loss = 0.001 }
[[line.target]]
address = "10.100.0.1"
[[line.target]]
address = "10.100.0.2"
kind = "tcp"
port = 8443
[[line.target]]
address = "10.1.1.1"
role = "carrier"
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
"""


def story_begins_ms() -> int:
    """Five days before this month began: last month is over whenever the test runs."""
    first = machine_time(SystemClock().wall_ms()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return round((first - timedelta(days=5)).timestamp() * 1000)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node whose watcher saw three hours of last month: ten minutes of them telecom was down."""
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    path = db_path(tmp_path, "node")
    path.parent.mkdir()
    create_database(path, DATABASES["node"])
    watcher = AWatcher(tmp_path, clock=FakeClock(boottime=20_000.0, wall_ms=story_begins_ms()))
    with contextlib.closing(connect(path)) as conn:
        watcher.tells("verdict", "telecom", "unknown", "up", "answers")
        watcher.clock.advance(3600)
        watcher.tells("verdict", "telecom", "up", "down", silent_s=1.0, targets=2)
        watcher.clock.advance(600)
        watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
        for _ in range(110):
            watcher.clock.advance(60)
            watcher.sees(
                [
                    (60 - n, "telecom", target, rtt_s)
                    for n in range(0, 60, 10)
                    for target, rtt_s in (("10.100.0.1", 0.004), ("10.100.0.2:8443", 0.006), ("10.1.1.1", 1.0))
                ]
            )
        watcher.is_recorded(conn)  # fmt: skip
    return tmp_path


@pytest.fixture
def month() -> str:
    return f"{machine_time(story_begins_ms()):%Y-%m}"


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(report_group, ["sla", *arguments, "--home", str(home)], obj=Where())


def test_the_month_as_json(home: Path, month: str) -> None:
    shown = run(home, "--month", month, "--format", "json")

    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    telecom, unicom = document["lines"]
    assert telecom["seconds"] == {"down": 600.0, "up": pytest.approx(2 * 3600 + 3000, abs=95)}
    assert telecom["rtt_p95_s"] == pytest.approx(0.006, rel=0.011), "the carrier's own gateway is not in it"
    assert [i["reason"]["code"] for i in telecom["incidents"]] == ["silent"]
    assert document["complete"]
    assert telecom["unknown_seconds"] > 20 * 86400
    assert unicom["availability"] is None
    assert unicom["verdict"] == "no-promise"


def test_last_month_is_kept_among_the_nodes_own_reports(home: Path, month: str) -> None:
    """What the monthly timer does; done again, it replaces its own report and no other."""
    (home / "reports").mkdir()
    for arguments in (("--format", "csv"), (), (), ("--line", "telecom")):
        kept = run(home, "--month", "last", "--keep", *arguments)
        assert kept.exit_code == 0, kept.output
        assert kept.stdout == ""
    names = {path.name for path in (home / "reports").iterdir()}
    assert names == {f"sla-{month}.html", f"sla-{month}.csv", f"sla-{month}-telecom.html"}
    assert "China Telecom" in (home / f"reports/sla-{month}.csv").read_text(encoding="utf-8-sig")
    assert isinstance(run(home, "--month", month, "--keep", "--to", "x.html").exception, UsageError)


def test_announced_work_is_named_and_what_was_said_afterwards_stands_out(home: Path, month: str) -> None:
    begins = story_begins_ms()
    works = [
        new_maintenance("telecom", start_ms=begins + 3600_000, until_ms=begins + 3900_000, now_ms=begins, by="li",
                        why="cable"),
        new_maintenance("telecom", start_ms=begins + 3900_000, until_ms=begins + 4000_000, now_ms=begins + 9000_000,
                        by="wang", why="<b>late</b>"),
    ]  # fmt: skip
    works.append(replace(works[0], id="x", line="telecom").taken_back(now_ms=begins, by="li"))
    with contextlib.closing(connect(db_path(home, "node"))) as conn, transaction(conn):
        record_maintenance(conn, works)
    document = json.loads(run(home, "--month", month, "--format", "json").stdout)
    telecom, _ = document["lines"]
    assert [(one["by"], one["why"], one["afterwards"]) for one in telecom["maintenance"]] == [
        ("li", "cable", False), ("wang", "<b>late</b>", True),
    ]  # fmt: skip
    assert telecom["excluded_seconds"]["maintenance"] == 400 and telecom["seconds"]["down"] == 200
    page = run(home, "--month", month, "--language", "en").stdout
    assert "<b>Afterwards:</b> announced by wang" in page and "&lt;b&gt;late" in page and "announced by li" in page
    table = list(csv.DictReader(io.StringIO(run(home, "--month", month, "--format", "csv").stdout)))
    assert [row["by"] for row in table if row["kind"] == "maintenance"] == ["li", "wang"]


def test_one_report_per_carrier(home: Path, month: str) -> None:
    shown = run(home, "--month", month, "--line", "telecom", "--format", "csv")
    table = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert {row["name"] for row in table} == {"telecom", "clinic-0042"}


def test_the_page_in_a_file_in_either_language(home: Path, month: str, tmp_path: Path) -> None:
    to = tmp_path / "report.html"
    shown = run(home, "--month", month, "--to", str(to))
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == ""
    assert f"written to {to}" in shown.stderr
    assert 'lang="zh-Hans-CN"' in to.read_text(encoding="utf-8")
    english = run(home, "--month", month, "--language", "en").stdout
    assert 'lang="en"' in english
    assert "Service levels of the lines" in english


def test_a_spreadsheet_reads_chinese(home: Path, month: str, tmp_path: Path) -> None:
    to = tmp_path / "report.csv"
    run(home, "--month", month, "--format", "csv", "--to", str(to))
    assert to.read_bytes().startswith(b"\xef\xbb\xbfkind,")


def test_reading_leaves_the_database_and_its_wal_alone(home: Path, month: str) -> None:
    """The last close of a writer would delete the WAL, and Litestream would ship a whole copy."""
    with contextlib.closing(connect(db_path(home, "node"))) as conn:
        conn.execute("INSERT INTO series (line, target) VALUES ('x', 'y')")
        before = {path.name: path.stat().st_size for path in (home / "data").iterdir()}
        assert before["node.db-wal"] > 0
        assert run(home, "--month", month, "--format", "json").exit_code == 0
        assert {path.name: path.stat().st_size for path in (home / "data").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(("--month", "2026-13"), "usage", "write it like this", id="no-month"),
        pytest.param(("--month", "2099-01"), "usage", "has not begun", id="to-come"),
        pytest.param(("--month", "2026-01", "--line", "mobile"), "line-unknown", "telecom, unicom", id="no-line"),
        pytest.param(("--month", "2026-01", "--to", "/nowhere/a.html"), "usage", "a folder", id="nowhere-to"),
    ],
)
def test_a_mistake_is_named(home: Path, arguments: tuple[str, ...], code: str, words: str) -> None:
    failed = run(home, *arguments)
    assert isinstance(failed.exception, UsageError)
    assert failed.exception.code == code
    assert words in failed.exception.render()


def test_a_missing_database_is_said(home: Path, month: str) -> None:
    db_path(home, "node").unlink()
    failed = run(home, "--month", month)
    assert isinstance(failed.exception, StoreError)
    assert failed.exception.code == "db-missing"
