"""`edge-node line` and `order`: what an operator types, and what comes back; the watcher's state is a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import ServiceError, UsageError
from edge_node.base.files import StatusFile
from edge_node.cli.line import line_group
from edge_node.cli.main import Where
from edge_node.cli.order import order_group
from edge_node.orders import LineOrderKind, links_path, read_line_orders

CONFIG = """
[node]
id = "clinic-0042"
[replica]
plain = true
[[line]]
name = "telecom"
preferred = 1
interface = "enp2s0"
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
"""
LINES = ("telecom", "unicom")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def run(home: Path, *arguments: str, group: Any = line_group) -> Result:
    return CliRunner().invoke(group, [*arguments, "--home", str(home)], obj=Where())


def watcher_says(home: Path, **unicom: Any) -> None:
    """The state of a watcher that has left telecom; `unicom` is what it says otherwise of that one."""
    clock = SystemClock()
    since = utc_text(clock.wall_ms() - 720_000)
    line: dict[str, Any] = {
        "carrier": None, "rtt_p95_s": None, "since": since, "metered": False, "hold_left_s": 0.0, "penalty": 0.0,
        "suppressed": False, "order": None, "targets": [],
    }  # fmt: skip
    state = {
        "act": "enforce", "may_route": True, "why_not": None, "line": "unicom", "routed": "unicom",
        "mode": {"name": "backup", "since": since,
                 "reason": {"code": "line-down", "args": {"line": "telecom", "cause": "silent"}}},
        "wait": {"code": "hold-runs", "args": {"line": "telecom", "left_s": 41.0}},
        "lines": [
            {**line, "name": "telecom", "verdict": "down", "active": False, "preferred": 1, "interface": "enp2s0",
             "rtt_s": None, "loss_ratio": 1.0, "reason": {"code": "silent", "args": {"silent_s": 1.0, "targets": 2}},
             "explain": [{"rule": "silence", "value": "1.0 s", "limit": "1.0 s", "holds": False}]},
            {**line, "name": "unicom", "verdict": "up", "active": True, "preferred": 2, "interface": "enp3s0",
             "rtt_s": 0.018, "loss_ratio": 0.0, "reason": {"code": "clean", "args": {"for_s": 60.0}}, "explain": [],
             **unicom},
        ],
        "troubles": [], "problems": [], "orders": [],
    }  # fmt: skip
    StatusFile(home / "run", "links", every_s=1.0).write(state, clock)


def orders(home: Path) -> list[tuple[LineOrderKind, str]]:
    read = read_line_orders(home, lines=LINES, now_ms=SystemClock().wall_ms())
    assert read.problems == ()
    return [(order.kind, order.line) for order in read.orders]


def test_list_shows_every_line_and_which_is_in_use(home: Path) -> None:
    watcher_says(home)

    shown = run(home, "list")

    assert shown.exit_code == 0, shown.output
    head, telecom, unicom, *_ = shown.stdout.splitlines()
    assert head.split() == ["LINE", "VERDICT", "RTT", "P95", "LOSS", "SINCE", "PREFERRED", "WHY"]
    assert telecom.split()[:5] == ["telecom", "down", "-", "-", "100%"]
    assert unicom.split()[:5] == ["*", "unicom", "up", "18", "ms"]
    assert "mode backup" in shown.stdout
    assert [line["name"] for line in json.loads(run(home, "list", "--json").stdout)] == ["telecom", "unicom"]


TELLS = {
    "name": "10.100.0.1:862", "address": "10.100.0.1", "kind": "stamp", "role": "cloud", "loss_ratio": 0.12,
    "direction": {
        "out": {"loss_ratio": 0.12, "jitter_s": 0.00042},
        "back": {"loss_ratio": 0.0, "jitter_s": 0.003},
        "unknown": {"loss_ratio": 0.01},
    },
}  # fmt: skip
ECHOES = {"name": "10.100.0.2", "address": "10.100.0.2", "kind": "icmp", "role": "cloud", "loss_ratio": 0.11}


def test_the_direction_of_loss_is_shown_where_it_is_known(home: Path) -> None:
    watcher_says(home, targets=[TELLS, ECHOES], loss_ratio=0.12)

    assert " 12% out " in run(home, "list").stdout
    shown = run(home, "explain", "unicom").stdout.splitlines()

    head = next(i for i, row in enumerate(shown) if "JITTER OUT" in row)
    assert shown[head + 1].split() == ["10.100.0.1:862", "stamp", "12%", "12%", "0%", "1%", "0.42", "ms", "3.00", "ms"]
    assert shown[head + 2].split() == ["10.100.0.2", "icmp", "11%", "-", "-", "-", "-", "-"]
    assert "JITTER" not in run(home, "explain", "telecom").stdout, "nobody can tell"


@pytest.mark.parametrize("out, back, unknown", [(0.06, 0.06, 0.0), (0.06, 0.0, 0.06), (0.0, 0.0, 0.0)])
def test_a_direction_that_is_not_clear_is_not_named(home: Path, out: float, back: float, unknown: float) -> None:
    told = {"out": {"loss_ratio": out}, "back": {"loss_ratio": back}, "unknown": {"loss_ratio": unknown}}
    watcher_says(home, targets=[{**TELLS, "direction": told}], loss_ratio=0.12)
    assert " 12%   " in run(home, "list").stdout


FAR_END = (
    "far-end", "--print", "--line", "telecom=eth1,10.1.9.1", "--line", "unicom=eth2,10.2.9.1",
)  # fmt: skip
FAR_CONFIG = """
[node]
id = "clinic-0042"
[lines]
service_ip = "10.9.0.1"
[[line]]
name = "telecom"
preferred = 1
interface = "enp2s0"
address = "10.1.1.2/30"
target = [{ address = "10.100.0.1", kind = "stamp", credential = "stamp-key" }]
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
address = "10.2.1.2/30"
target = [{ address = "10.100.0.1", kind = "stamp", credential = "stamp-key" }, { address = "10.100.0.2" }]
"""


def test_the_far_end_is_printed_from_the_configuration(home: Path) -> None:
    (home / "edge-node.toml").write_text(FAR_CONFIG)
    said = run(home, *FAR_END, "--clinic", "192.168.7.0/24")
    assert said.exit_code == 0, said.output
    for text in (
        "route replace 10.1.1.0/30 via 10.1.9.1 dev eth1",
        "rule add pref 902 fwmark 0x2/0xff lookup 102",
        "elements = { 10.9.0.1/32, 192.168.7.0/24, 10.1.1.0/30, 10.2.1.0/30 }",
        "--listen 10.100.0.1:862",
        "LoadCredential=reflector.key",
    ):
        assert text in said.stdout
    files = json.loads(run(home, *FAR_END, "--json", "--reflector", "10.100.0.7").stdout)
    assert {file["mode"] for file in files} == {"0644"} and len(files) == 4
    assert "--listen 10.100.0.7:862" in files[-1]["text"]


def test_without_a_stamp_target_there_is_no_reflector(home: Path) -> None:
    (home / "edge-node.toml").write_text(FAR_CONFIG.replace(', kind = "stamp", credential = "stamp-key"', ""))
    assert "reflector" not in run(home, *FAR_END).stdout


def test_all_that_is_wrong_with_a_far_end_is_said_at_once(home: Path) -> None:
    text = FAR_CONFIG.replace('address = "10.2.1.2/30"\n', "").replace('stamp-key" }, {', 'other-key" }, {')
    (home / "edge-node.toml").write_text(text)
    said = run(home, "far-end", "--line", "telecom=eth 1,10.1.9", "--line", "mobile=eth3,10.3.9.1", "--line", "eth1",
               "--clinic", "192.168.7.1/24")  # fmt: skip
    assert isinstance(said.exception, UsageError)
    found = {problem.path: problem.text for problem in said.exception.problems}
    assert set(found) == {
        "--print", "--line mobile=eth3,10.3.9.1", "--line eth1", "--line unicom=…", "line[1].address",
        "line[1].target[0].credential", "far end",
    }  # fmt: skip
    whole = said.exception.render()
    for text in ("'eth 1' is no name", "'10.1.9' is no IPv4 address", "192.168.7.1/24", "there are telecom, unicom"):
        assert text in whole


def test_explain_goes_rule_by_rule(home: Path) -> None:
    watcher_says(home)

    shown = run(home, "explain", "telecom")

    assert shown.exit_code == 0, shown.output
    assert "telecom: down, not in use" in shown.stdout
    assert "silence" in shown.stdout
    assert "unicom:" not in shown.stdout
    assert {line["name"] for line in json.loads(run(home, "explain", "--json").stdout)["lines"]} == set(LINES)


def test_what_a_dead_watcher_said_is_old_and_said_to_be(home: Path) -> None:
    silent = run(home, "explain")
    assert isinstance(silent.exception, ServiceError)
    assert silent.exception.code == "links-unheard"
    watcher_says(home)
    path = home / "run/links/status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "boottime": 0.0}))

    shown = run(home, "explain")

    assert "the watcher of the lines is not running" in shown.stderr
    assert "mode backup" in shown.stdout


@pytest.mark.parametrize("verb", ["pin", "hold", "rehearse"])
def test_an_order_is_given_shown_and_taken_back(home: Path, verb: str) -> None:
    given = run(home, verb, "telecom", "--for", "30min", "--reason", "carrier's works")
    assert given.exit_code == 0, given.output
    assert given.stdout.startswith(f"ordered: {verb} telecom until ")
    assert "(30 min)" in given.stdout
    assert orders(home) == [(LineOrderKind(verb), "telecom")]

    (listed,) = json.loads(run(home, "list", "--json", group=order_group).stdout)
    assert (listed["addressee"], listed["kind"], listed["why"]) == ("links", verb, "carrier's works")
    assert "carrier's works" in run(home, "list", group=order_group).stdout

    assert "would release" in run(home, "release", "telecom", "--dry-run").stdout
    assert orders(home)
    assert f"released: {verb} telecom" in run(home, "release", "telecom").stdout
    assert orders(home) == []
    assert "there was no order" in run(home, "release", "--all").stdout


def test_a_dry_run_changes_nothing(home: Path) -> None:
    assert "would order: pin telecom" in run(home, "pin", "telecom", "--dry-run").stdout
    assert not links_path(home).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(("pin", "mobile"), "line-unknown", "configured are: telecom, unicom", id="unknown-line"),
        pytest.param(("explain", "mobile"), "line-unknown", "configured are: telecom, unicom", id="explain-unknown"),
        pytest.param(("pin", "telecom", "--for", "2"), "usage", "needs a unit", id="no-unit"),
        pytest.param(("pin", "telecom", "--for", "90d"), "usage", "1s to 31d", id="too-long"),
        pytest.param(("release",), "usage", "say which line", id="release-what"),
        pytest.param(("release", "telecom", "--all"), "usage", "say which line", id="release-both"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(home: Path, arguments: tuple[str, ...], code: str, words: str) -> None:
    failed = run(home, *arguments)
    assert isinstance(failed.exception, UsageError)
    assert failed.exception.code == code
    assert words in failed.exception.render()
    assert not links_path(home).exists()


def test_cleanup_is_refused_while_the_watcher_runs(home: Path) -> None:
    watcher_says(home)
    failed = run(home, "cleanup")
    assert isinstance(failed.exception, ServiceError)
    assert failed.exception.code == "already-running"
