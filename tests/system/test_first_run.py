"""What a person sees who starts the node for the first time, stops it, and starts it again."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from edge_node.cli.init import default_route_interface
from edge_node.store.connection import connect_reader
from tests.support.desk import Desk, phone_number
from tests.support.node import RunningNode, edge_node, processes_of, running_node
from tests.support.status_schema import STATUS_SCHEMA
from tests.support.waiting import until

SMALL_LTX_BYTES = 64 * 1024


def page(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status, answer.read().decode()


def shipped(home: Path) -> list[Path]:
    return [path for path in (home / "cloud").rglob("*.ltx.age") if path.is_file()]


def captures(home: Path) -> dict[Path, int]:
    """What Litestream captured or took whole, with sizes; a level between holds the same again, compacted."""
    found = (home / "replica").rglob("*.ltx")
    return {path: path.stat().st_size for path in found if path.parent.name in ("0", "9")}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "node"


def test_first_start_stop_and_second_start(home: Path) -> None:
    with running_node(home) as node:
        assert set(node.passwords()) >= {"admin", "zhoumin", "shenliqun"}
        assert node.recovery_identity()
        status_code, text = page(f"{node.url}/login")
        assert status_code == 200
        assert "登录" in text
        until(lambda: shipped(home), within_s=15)
        until(lambda: edge_node("status", home=home).returncode == 0, within_s=15)
        document = node.status()
        jsonschema.validate(document, STATUS_SCHEMA)
        # The machine's way out, if it has one, is the line of a training clinic; either way it is online.
        assert document["mode"]["name"] == "online"
        assert document["mode"]["reason"]["code"] == ("first-line" if default_route_interface() else "no-lines")
        assert [line["reason"]["code"] for line in document["lines"]] in ([], ["link-only"])
        assert json.loads(page(f"{node.url}/api/status")[1])["node"] == document["node"]
        assert "edge_build_info" in page(f"http://127.0.0.1:{node.port + 1}/metrics")[1]

        assert node.stop() < 10
        assert processes_of(home) == {}
        assert edge_node("status", home=home).returncode == 4, "a stopped node is not a healthy one"

        before = captures(home)
        assert edge_node("db", "check", home=home).returncode == 0
        node.start()
        assert "first passwords" not in node.output.split("ready; Ctrl-C")[1], "the second start finds its data"
        until(lambda: edge_node("status", home=home).returncode == 0, within_s=15)
        new = {path: size for path, size in captures(home).items() if path not in before}
        assert [path for path, size in new.items() if size > SMALL_LTX_BYTES] == []
        node.stop()
    assert processes_of(home) == {}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node for those who only knock at it."""
    with running_node(tmp_path_factory.mktemp("running") / "node") as node:
        yield node


def test_a_second_up_on_the_same_folder_is_refused(running: RunningNode) -> None:
    second = edge_node("up", "--port", str(running.port + 2), home=running.home)
    assert second.returncode == 75
    assert second.stderr.startswith("error: already-running: another `edge-node up` runs in ")
    assert len({running.pid_of(part) for part in ("his", "replica", "monitor", "litestream")}) == 4


def test_a_taken_port_is_named(running: RunningNode, tmp_path: Path) -> None:
    second = edge_node("up", "--port", str(running.port), home=tmp_path / "other")
    assert second.returncode == 75
    assert f"127.0.0.1:{running.port} cannot be listened on" in second.stderr
    assert "--port N" in second.stderr
    assert not (tmp_path / "other/edge-node.toml").exists(), "first passwords are not lost to a taken port"


def test_a_lost_database_is_brought_back_before_the_services_start(home: Path) -> None:
    with running_node(home) as node, Desk(node.url) as desk:
        desk.sign_in("zhoumin", node.passwords()["zhoumin"])
        assert desk.register("失而复得", phone_number(7)).status == 302
        node.stop()
        for path in (home / "data").glob("his.db*"):
            path.unlink()
        node.start()
        conn = connect_reader(home / "data/his.db")
        try:
            assert [row["phone"] for row in conn.execute("SELECT phone FROM patient")] == [phone_number(7)]
        finally:
            conn.close()
        until(lambda: edge_node("status", home=home).returncode == 0, within_s=15)
        assert node.status()["node"]["epoch"] == 2, "what was shipped before must not be continued by another past"


def test_killed_up_leaves_no_service_behind(home: Path) -> None:
    with running_node(home) as node:
        node.stop(9)
        until(lambda: not processes_of(home), within_s=12)


def test_ctrl_c_at_the_terminal_is_an_orderly_stop(home: Path) -> None:
    with running_node(home) as node:
        assert node.stop(signal.SIGINT) < 10
        assert processes_of(home) == {}
        stopped = [service["state"] for service in node.status()["services"]]
        assert stopped == ["stopped"] * len(stopped)
