"""`edge-node report observe`: what an operator types after a week in observe, and what comes back."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock
from edge_node.base.errors import StoreError, UsageError
from edge_node.base.files import StatusFile
from edge_node.cli.main import Where
from edge_node.cli.report import report_group
from edge_node.store.connection import connect
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
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
"""
HOUR_S, DAY_S = 3600, 86_400


def moves(watcher: AWatcher, to: str, after: str, code: str, **args: object) -> None:
    """To a line, as the watcher tells it."""
    before = "backup" if to == "online" else "online"
    lines = {"from_line": "unicom" if to == "online" else "telecom", "to_line": after}
    watcher.tells("mode", "node", before, to, code, **lines, **args)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Five days of observing: telecom was down for twenty minutes on the second, unicom would have carried it."""
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    path = db_path(tmp_path, "node")
    path.parent.mkdir()
    create_database(path, DATABASES["node"])
    now_ms = SystemClock().wall_ms()
    watcher = AWatcher(tmp_path, clock=FakeClock(boottime=20_000.0, wall_ms=now_ms - 5 * DAY_S * 1000))

    def lasts(seconds: int) -> None:
        for _ in range(seconds // 3600):
            watcher.clock.advance(3600)
            watcher.is_recorded(conn)
        watcher.clock.advance(seconds % 3600)
        watcher.is_recorded(conn)

    with contextlib.closing(connect(path)) as conn:
        conn.execute("PRAGMA synchronous=OFF")
        for line in ("telecom", "unicom"):
            watcher.tells("verdict", line, "unknown", "up", "answers")
        watcher.tells("mode", "node", "starting", "online", "first-line", to_line="telecom", line="telecom")
        lasts(DAY_S + 2 * HOUR_S)
        watcher.tells("verdict", "telecom", "up", "down", "silent", silent_s=1.0, targets=2)
        moves(watcher, "backup", "unicom", "line-down", line="telecom", cause="silent")
        lasts(20 * 60)
        watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
        lasts(60)
        moves(watcher, "online", "telecom", "failback", line="telecom", good_s=60.0)
        lasts(3 * DAY_S + 20 * HOUR_S)
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(report_group, ["observe", *arguments, "--home", str(home)], obj=Where())


def watcher_sees(home: Path, routed: str | None) -> None:
    StatusFile(home / "run", "links", every_s=1.0).write({"routed": routed, "mode": {}}, SystemClock())


def test_a_week_as_json(home: Path) -> None:
    shown = run(home, "--format", "json")
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document["advice"] == "bridges"
    assert document["main"] == {"line": "telecom", "seen": False}
    (outage,) = document["outages_of_main"]
    assert outage["duration_s"] == pytest.approx(1200, abs=2) and outage["by"] == ["unicom"]
    assert document["bridged_s"] == pytest.approx(1200, abs=2)
    assert [(move["from"], move["to"]) for move in document["moves"]] == [("telecom", "unicom"), ("unicom", "telecom")]
    used = {line["name"]: line["used_s"] for line in document["lines"]}
    assert used["unicom"] == pytest.approx(1260, abs=2)
    assert document["known_s"] == pytest.approx(sum(used.values()), abs=1) == pytest.approx(5 * DAY_S, abs=2 * HOUR_S)


def test_the_line_that_the_kernel_uses_is_the_one_that_counts(home: Path) -> None:
    watcher_sees(home, "unicom")
    document = json.loads(run(home, "--format", "json").stdout)
    assert document["main"] == {"line": "unicom", "seen": True} and document["outages"] == 0
    told = json.loads(run(home, "--main", "telecom", "--format", "json").stdout)
    assert told["main"] == {"line": "telecom", "seen": False} and told["outages"] == 1


def test_the_page_and_the_table(home: Path, tmp_path: Path) -> None:
    page = run(home, "--language", "en")
    assert "Enforce would have bridged 1 of 1 outages of telecom, 20 min in all, with 2 moves" in page.stdout
    to = tmp_path / "observe.csv"
    assert run(home, "--format", "csv", "--to", str(to)).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(to.read_text(encoding="utf-8-sig"))))
    assert [row["kind"] for row in rows][:4] == ["node", "line", "line", "move"]


def test_what_is_enforced_is_said_to_be(home: Path) -> None:
    (home / "edge-node.toml").write_text(CONFIG + '[lines]\nact = "enforce"\n', encoding="utf-8")
    watcher_sees(home, "unicom")
    document = json.loads(run(home, "--format", "json").stdout)
    assert document["advice"] == "enforced" and document["main"]["line"] == "telecom"


def test_days_before_anything_was_recorded_are_unknown(home: Path) -> None:
    document = json.loads(run(home, "--since", "30d", "--format", "json").stdout)
    assert document["advice"] == "too-short"
    assert all(line["unknown_s"] == pytest.approx(25 * DAY_S, abs=2 * HOUR_S) for line in document["lines"])


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--since", "7d", "--month", "2026-10"], "not both"),
        (["--month", "October"], "is no month"),
        (["--month", "2199-01"], "has not begun"),
        (["--since", "yesterday"], "is no time"),
        (["--main", "mobile"], 'there is no line "mobile"'),
    ],
)
def test_what_cannot_be_asked(home: Path, arguments: list[str], said: str) -> None:
    error = run(home, *arguments).exception
    assert isinstance(error, UsageError) and said in error.render()


def test_no_history_is_an_error(home: Path) -> None:
    db_path(home, "node").unlink()
    assert isinstance(run(home).exception, StoreError)
