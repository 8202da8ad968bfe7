"""`edge-node line simulate`: what an operator types, and what comes back; the trace is a real watcher's."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import ConfigError, UsageError
from edge_node.cli.line import line_group
from edge_node.cli.main import Where
from failover.trace import TraceWriter
from tests.support.recorded import WALL_AT_BOOT_MS, RecordedWatcher, Weather
from tests.support.watching import PROBED

CONFIG = """
[node]
id = "clinic-0042"
[replica]
plain = true
[[line]]
name = "telecom"
preferred = 1
interface = "en1"
[[line.target]]
address = "10.100.0.1"
[[line.target]]
address = "10.100.0.2"
[[line]]
name = "unicom"
preferred = 2
interface = "en2"
[[line.target]]
address = "10.100.0.1"
[[line.target]]
address = "10.100.0.2"
"""
PATIENT = '[lines.detect]\ndead_after = "4s"\n'


@pytest.fixture(scope="module")
def recorded() -> RecordedWatcher:
    """Telecom is silent for three seconds."""
    watcher = RecordedWatcher(PROBED)
    watcher.run(20)
    watcher.weather["en1"] = Weather(loss=1.0)
    watcher.run(3)
    watcher.weather["en1"] = Weather()
    watcher.run(100)
    watcher.flush()
    return watcher


@pytest.fixture
def home(tmp_path: Path, recorded: RecordedWatcher) -> Path:
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    writer = TraceWriter(tmp_path / "links" / "traces")
    for moment, batch in recorded.trace:
        writer.append(batch, moment)
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(line_group, ["simulate", *arguments, "--home", str(home)], obj=Where())


def refused(home: Path, *arguments: str) -> UsageError | ConfigError:
    error = run(home, *arguments).exception
    assert isinstance(error, UsageError | ConfigError), error
    return error


def local(boottime: float) -> str:
    return f"{datetime.fromtimestamp(WALL_AT_BOOT_MS / 1000 + boottime):%Y-%m-%d %H:%M:%S}"


def test_the_present_policy_is_played_by_default(home: Path, recorded: RecordedWatcher) -> None:
    shown = run(home)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].startswith(f"{local(1000)} to ") and lines[0].endswith("in 1 run, blind for 0 s")
    moves = [re.split(r"\s{3,}", line.strip()) for line in lines if line.startswith("  2")]
    assert [move[1:] for move in moves] == [
        ["-", "telecom", "telecom is the best line that answers"],
        ["telecom", "unicom", "telecom down: silent"],
        ["unicom", "telecom", "telecom is preferred and has been good for 1 min"],
    ]
    assert moves[1][0] in (local(1021), local(1020))


def test_another_policy_beside_it(home: Path) -> None:
    policy = home / "patient.toml"
    policy.write_text(PATIENT)
    shown = run(home, "--policy", str(policy))
    assert shown.exit_code == 0, shown.output
    assert "under patient.toml" in shown.stdout
    last = shown.stdout.splitlines()[-1]
    assert last == "patient.toml: 0 moves instead of 2, telecom in use for 1 min more."
    document = json.loads(run(home, "--policy", str(policy), "--json").stdout)
    now, then = document["policies"]
    assert (now["switches"], then["switches"]) == (2, 0)
    assert [move["reason"]["code"] for move in now["moves"]] == ["first-line", "line-down", "failback"]
    assert then["lines"][0]["down_s"] == 0 and now["lines"][0]["down_s"] > 1
    assert sum(line["in_use_s"] for line in now["lines"]) == pytest.approx(now["watched_s"], abs=0.5)


def test_the_same_policy_changes_nothing(home: Path) -> None:
    same = home / "same.toml"
    same.write_text(CONFIG)
    assert run(home, "--policy", str(same)).stdout.splitlines()[-1] == "same.toml: the same moves, within a second."


def test_a_part_of_the_time(home: Path) -> None:
    shown = json.loads(run(home, "--from", local(1030), "--to", local(1050), "--json").stdout)
    (now,) = shown["policies"]
    assert now["watched_s"] == pytest.approx(20, abs=1)
    assert [move["to"]["line"] for move in now["moves"]] == ["telecom"]


def test_all_that_is_wrong_with_a_policy_at_once(home: Path) -> None:
    policy = home / "bad.toml"
    policy.write_text(
        '[lines]\noffline_after = "3"\n[[line]]\nname = "mobile"\npreferred = 0\ninterface = "en3"\n'
        '[[line]]\nname = "unicom"\npreferred = 2\ninterface = "en2"\n[his]\nnonsense = true\n'
    )
    error = refused(home, "--policy", str(policy))
    assert {problem.path for problem in error.problems} == {
        "lines.offline_after",
        "line[0].preferred",
        "line[0].name",
        "line",
    }
    assert "4 problems" in error.message


@pytest.mark.parametrize(
    "text, said",
    [
        pytest.param("[his]\n", "neither [lines] nor [[line]]", id="of-something-else"),
        pytest.param("lines = [", "not TOML", id="no-toml"),
    ],
)
def test_a_policy_that_is_none(home: Path, text: str, said: str) -> None:
    policy = home / "odd.toml"
    policy.write_text(text)
    assert said in refused(home, "--policy", str(policy)).render()
    assert "there is no configuration at" in refused(home, "--policy", str(home / "none.toml")).render()


def test_traces_that_are_none_are_all_named(home: Path, tmp_path: Path) -> None:
    empty, noise, torn, gone = (tmp_path / name for name in ("empty", "noise", "torn", "gone"))
    empty.write_bytes(b"")
    noise.write_text("telecom was down all day\n")
    torn.write_bytes(gzip.compress(b'{"boot_id": "b", "boottime": 1, "wall_ms": 2}\n')[:-3])
    names = [part for path in (empty, noise, torn, gone, tmp_path) for part in ("--trace", str(path))]
    error = refused(home, *names)
    said = (error.context or "").splitlines()
    assert error.code == "trace-unreadable"
    assert said == [
        f"{empty}: is empty",
        f"{noise}: is no trace of a watcher, or nothing of it is whole",
        f"{torn}: is no trace of a watcher, or nothing of it is whole",
        f"{gone}: cannot be read (No such file or directory)",
        f"{tmp_path}: cannot be read (Is a directory)",
    ]


def test_nothing_recorded(home: Path, tmp_path: Path) -> None:
    assert refused(home, "--from", "2020-01-01", "--to", "2020-01-02").code == "trace-empty"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "edge-node.toml").write_text(CONFIG)
    error = refused(tmp_path / "other")
    assert error.code == "trace-empty" and "the watcher has recorded nothing here" in error.message


def test_a_trace_of_another_node(home: Path) -> None:
    (home / "edge-node.toml").write_text(CONFIG.replace("telecom", "mobile").replace("unicom", "radio"))
    error = refused(home)
    assert error.code == "line-unknown" and "telecom, unicom" in error.message


def test_what_the_configuration_does_not_know_is_left_out_and_said(home: Path) -> None:
    one = CONFIG.split('[[line]]\nname = "unicom"')[0].replace('[[line.target]]\naddress = "10.100.0.2"\n', "")
    (home / "edge-node.toml").write_text(one)
    shown = run(home)
    assert shown.exit_code == 0
    assert "left out, since the configuration does not know them: unicom" in shown.stderr
    assert "10.100.0.2 was asked through telecom, and is no target of it; left out" in shown.stderr


def test_days_are_played_in_their_order(home: Path, recorded: RecordedWatcher, tmp_path: Path) -> None:
    day_ms = 24 * 3600 * 1000
    writer = TraceWriter(tmp_path / "links" / "traces")
    for moment, batch in recorded.trace:
        writer.append(batch, replace(moment, boot_id="boot-2", wall_ms=moment.wall_ms + day_ms))
    first, second = sorted((tmp_path / "links" / "traces").iterdir())
    document = json.loads(run(home, "--trace", str(second), "--trace", str(first), "--json").stdout)
    (now,) = document["policies"]
    assert now["runs"] == 2
    times = [move["at"] for move in now["moves"]]
    assert times == sorted(times) and len(times) == 6
