"""`edge-node line history | evidence | maintenance`: what an operator types, and what comes back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import ServiceError, StoreError, UsageError
from edge_node.cli.line import line_group
from edge_node.cli.main import Where
from edge_node.journal.freeze import Freezer, folder_of
from edge_node.journal.traces import TraceFolder
from edge_node.orders import maintenance_path, read_maintenance
from edge_node.services.recorder import about_node
from edge_node.store.connection import Connection
from tests.support.clock import FakeClock
from tests.support.evidence import CLOUD, FACTS, GATEWAY, Story
from tests.support.journal import HOUR, MIN, node_database, writing

CONFIG = f"""
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
[[line.target]]
address = "{CLOUD[0]}"
[[line.target]]
address = "{CLOUD[1]}"
[[line.target]]
address = "{GATEWAY}"
role = "carrier"
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
"""


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """An outage two hours ago, recorded; its evidence is not kept yet."""
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir()
    with node_database(data) as conn:
        told = Story(tmp_path, conn)
        told.watcher.clock = FakeClock(boottime=50_000.0, wall_ms=SystemClock().wall_ms() - 2 * HOUR)
        told.watcher.restarts()
        told.an_outage()
        told.conn.commit()
        yield told


def line(story: Story, *arguments: str) -> Result:
    result = CliRunner().invoke(line_group, [*arguments, "--home", str(story.folder)], obj=Where())
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def kept(story: Story) -> None:
    from edge_node.config.load import load

    Freezer(
        writing(story.conn), state_dir=story.folder, traces=TraceFolder(story.watcher.traces),
        about=about_node(load(story.folder / "edge-node.toml", home=story.folder)), clock=story.watcher.clock,
        facts=lambda: FACTS,
    ).freeze_one(story.conn)  # fmt: skip


def test_history_is_a_table_with_the_newest_last(story: Story) -> None:
    shown = line(story, "history")
    rows = shown.stdout.splitlines()
    assert rows[0].split() == ["WHEN", "WHAT", "CHANGE", "LASTED", "WHY", "INCIDENT"]
    down = next(row for row in rows if "up -> down" in row)
    assert "0:01:40" in down and "silent for 1.0 s on 2 of 2 targets" in down and down.rstrip().endswith("1.4")
    assert any("online on telecom -> backup on unicom" in row for row in rows)
    assert rows.index(down) < next(n for n, row in enumerate(rows) if "down -> up" in row)
    assert any("watcher" in row and "nobody watched" in row and "so far" in row for row in rows)
    assert "from the traces" in shown.stdout
    kept(story)
    assert "kept" in line(story, "history", "telecom").stdout


def test_history_for_machines_and_of_a_time(story: Story) -> None:
    document = json.loads(line(story, "history", "--json", "--since", "1d").stdout)
    assert [one["to"] for one in document["transitions"] if one["subject"] == "telecom"] == ["up", "down", "up"]
    (incident,) = document["incidents"]
    assert (incident["id"], incident["duration_s"], incident["evidence"]) == ("1.4", 100.0, None)
    recent = json.loads(line(story, "history", "--json", "--since", "10min").stdout)
    assert recent["transitions"] == [] and recent["incidents"] == []
    with pytest.raises(UsageError, match="no time"):
        line(story, "history", "--since", "yesterday")
    with pytest.raises(UsageError) as caught:
        line(story, "history", "telecon")
    assert caught.value.code == "line-unknown"


def test_evidence_is_written_and_proves_itself(story: Story, tmp_path: Path) -> None:
    kept(story)
    to = tmp_path / "out.zip"
    shown = line(story, "evidence", "1.4", "--to", str(to))
    assert str(to) in shown.stdout and "SHA-256" in shown.stdout
    verified = line(story, "evidence", "--verify", str(to))
    assert "every file is as its manifest says" in verified.stdout and "kept as number 1" in verified.stdout
    to.write_bytes(to.read_bytes()[:-200])
    with pytest.raises(StoreError) as caught:
        line(story, "evidence", "--verify", str(to))
    assert caught.value.code == "evidence-unreadable"
    with pytest.raises(UsageError) as missing:
        line(story, "evidence", "9.9")
    assert missing.value.code == "incident-unknown"


def test_evidence_is_made_from_the_traces_before_it_is_kept_and_told_apart_later(story: Story, tmp_path: Path) -> None:
    to = tmp_path / "early.zip"
    shown = line(story, "evidence", "1.4", "--to", str(to))
    assert "made from the traces now" in shown.stderr
    assert "kept nothing of that incident yet" in line(story, "evidence", "--verify", str(to)).stderr
    kept(story)
    with pytest.raises(StoreError) as caught:
        line(story, "evidence", "--verify", str(to))
    assert caught.value.code == "evidence-altered" and "not what this node has kept" in caught.value.message


def test_evidence_that_somebody_changed_on_the_node_is_not_handed_out(story: Story) -> None:
    kept(story)
    (path,) = folder_of(story.folder).glob("*.zip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        line(story, "evidence", "1.4")
    assert caught.value.code == "evidence-altered"


def times(start_ms: int, minutes: int) -> tuple[str, str, str, str]:
    return ("--from", utc_text(start_ms), "--to", utc_text(start_ms + minutes * MIN))


def test_maintenance_is_announced_listed_recorded_and_taken_back(story: Story) -> None:
    now_ms = SystemClock().wall_ms()
    shown = line(story, "maintenance", "telecom", *times(now_ms + HOUR, 60), "--reason", "光缆割接", "--by", "li")
    assert shown.stdout.startswith("announced") and "UTC" in shown.stdout
    assert "the monitor does not record at the moment" in shown.stderr
    (work,) = read_maintenance(story.folder).works
    assert (work.line, work.by, work.why, work.until_ms - work.start_ms) == ("telecom", "li", "光缆割接", HOUR)
    assert maintenance_path(story.folder).stat().st_mode & 0o777 == 0o640

    afterwards = line(story, "maintenance", "telecom", *times(now_ms - 3 * HOUR, 30), "--reason", "late")
    assert "announced afterwards" in afterwards.stderr
    listed = line(story, "maintenance", "--list").stdout
    assert "over, announced afterwards" in listed and "to come" in listed
    story.watcher.journal(story.conn).turn(None, read_maintenance(story.folder).works)
    document = json.loads(line(story, "maintenance", "--list", "--json").stdout)
    assert [one["recorded"] for one in document] == [True, True]

    line(story, "maintenance", "--cancel", work.id)
    assert "taken back" in line(story, "maintenance", "--list").stdout
    with pytest.raises(UsageError, match="taken back before"):
        line(story, "maintenance", "--cancel", work.id)
    with pytest.raises(UsageError) as caught:
        line(story, "maintenance", "--cancel", "nothing")
    assert caught.value.code == "maintenance-unknown"


def test_an_order_that_is_gone_from_the_file_can_still_be_taken_back(story: Story) -> None:
    now_ms = SystemClock().wall_ms()
    line(story, "maintenance", "telecom", *times(now_ms - HOUR, 120), "--reason", "x")
    (work,) = read_maintenance(story.folder).works
    story.watcher.journal(story.conn).turn(None, [work])
    maintenance_path(story.folder).unlink()
    shown = line(story, "maintenance", "--cancel", work.id)
    assert "ends now" in shown.stdout
    (back,) = read_maintenance(story.folder).works
    assert back.cancelled_ms is not None and work.start_ms < back.until_ms < work.until_ms


def test_a_dry_run_announces_nothing(story: Story) -> None:
    now_ms = SystemClock().wall_ms()
    shown = line(story, "maintenance", "telecom", *times(now_ms, 5), "--reason", "x", "--dry-run")
    assert shown.stdout.startswith("would announce") and not maintenance_path(story.folder).exists()


def test_a_time_without_a_zone_is_the_machines_and_is_said_in_both(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        shown = line(story, "maintenance", "telecom", "--from", "2026-11-25 02:00", "--to", "2026-11-25 04:00",
                     "--reason", "x")  # fmt: skip
        assert "2026-11-25 02:00:00 (Asia/Shanghai) = 2026-11-24 18:00:00 UTC" in shown.stdout
    finally:
        monkeypatch.undo()
        time.tzset()


WRONG = [
    pytest.param(("--from", "2026-11-25 04:00", "--to", "2026-11-25 02:00", "--reason", "x"), "before it begins",
                 id="reversed"),
    pytest.param(("--from", "2026-11-25 02:00", "--to", "2027-11-25 02:00", "--reason", "x"), "31 days", id="a-year"),
    pytest.param(("--from", "2026-11-25 02:00", "--to", "2026-11-25 04:00"), "--reason is missing", id="no-reason"),
    pytest.param(("--from", "2026-11-25 02:00", "--to", "2026-11-25 04:00", "--reason", "x" * 201), "201 characters",
                 id="too-long"),
    pytest.param(("--from", "tomorrow", "--to", "2026-11-25 04:00", "--reason", "x"), '"tomorrow" is no time',
                 id="no-time"),
    pytest.param(("--from", "2026-11-25 02:00", "--reason", "x"), "say the line, --from and --to", id="no-end"),
]  # fmt: skip


@pytest.mark.parametrize("arguments, sentence", WRONG)
def test_what_cannot_be_announced(story: Story, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        line(story, "maintenance", "telecom", *arguments)
    assert sentence in caught.value.render()
    assert not maintenance_path(story.folder).exists()


def test_all_that_is_wrong_is_said_at_once(story: Story) -> None:
    with pytest.raises(UsageError) as caught:
        line(story, "maintenance", "telecom", "--from", "2026-11-25 04:00", "--to", "2026-11-25 02:00")
    assert "before it begins" in caught.value.render() and "--reason is missing" in caught.value.render()


def test_overlaps_and_unknown_lines_and_a_file_that_is_not_understood(story: Story) -> None:
    now_ms = SystemClock().wall_ms()
    line(story, "maintenance", "telecom", *times(now_ms, 60), "--reason", "first")
    before = maintenance_path(story.folder).read_bytes()
    for extra in ((), ("--dry-run",)):
        with pytest.raises(UsageError) as caught:
            line(story, "maintenance", "telecom", *times(now_ms + 30 * MIN, 60), "--reason", "second", *extra)
        assert caught.value.code == "maintenance-overlaps" and "first" in caught.value.render()
    line(story, "maintenance", "unicom", *times(now_ms, 60), "--reason", "another line")
    line(story, "maintenance", "telecom", *times(now_ms + 60 * MIN, 60), "--reason", "right behind it")
    with pytest.raises(UsageError) as unknown:
        line(story, "maintenance", "telecon", *times(now_ms, 60), "--reason", "x")
    assert unknown.value.code == "line-unknown"
    maintenance_path(story.folder).write_bytes(before[:-20])
    with pytest.raises(ServiceError) as unreadable:
        line(story, "maintenance", "telecom", *times(now_ms + 9 * HOUR, 60), "--reason", "x")
    assert unreadable.value.code == "orders-unreadable"
    assert maintenance_path(story.folder).read_bytes() == before[:-20], "nothing is lost"


def test_without_a_history_maintenance_is_announced_all_the_same(story: Story) -> None:
    with contextlib.suppress(FileNotFoundError):
        (story.folder / "data/node.db").rename(story.folder / "data/aside")
    shown = line(story, "maintenance", "telecom", *times(SystemClock().wall_ms(), 5), "--reason", "x")
    assert shown.exit_code == 0 and len(read_maintenance(story.folder).works) == 1
    assert "what stands in the orders alone" in line(story, "maintenance", "--list").stderr


def test_the_connection_is_a_reader(story: Story) -> None:
    conn: Connection = story.conn
    before = conn.execute("PRAGMA data_version").fetchone()[0]
    line(story, "history")
    assert conn.execute("PRAGMA data_version").fetchone()[0] == before
