"""Others change our routes and addresses, a target dies, the process is stopped: noticed, mended, not misjudged."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.blackholes import moved_at
from tests.lab.deaf import deafen
from tests.lab.topology import TARGETS, TELECOM, Laboratory
from tests.lab.watched import RouteNews, WatchedLines, watched
from tests.support.waiting import until

# Once each time the tests run; thrice in the long form.
TIMES = pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.long)])
BY_EVENT_S, BY_SCAN_S = 1.0, 10.0


def wipe(lab: Laboratory) -> None:
    """As a network service does that knows only its own: rules first, then the cloud's table."""
    lab.clinic.run("ip", "rule", "flush", "protocol", "222", check=False)
    lab.clinic.run("ip", "route", "flush", "table", "100", check=False)


def is_whole(lab: Laboratory, device: str) -> bool:
    """Are the rules there, and the cloud's table with `device` in use?"""
    rules = lab.clinic.run("ip", "-j", "rule").stdout
    tables = [rule["table"] for rule in json.loads(rules) if rule.get("protocol") == "222"]
    routes = json.loads(lab.clinic.run("ip", "-j", "route", "show", "table", "100", check=False).stdout or "[]")
    in_use = [route["dev"] for route in routes if route.get("metric") == 10]
    return sorted(tables) == ["100", "101", "101", "102", "102"] and in_use == [device] and len(routes) == 3


def mended_after_s(lab: Laboratory, harm: Callable[[], object], *, within_s: float) -> float:
    """Do harm, and measure how long the cloud's route is gone; the rest is mended with it, or just before."""
    with RouteNews(lab) as news:
        since = time.monotonic()
        harm()
        took_s = moved_at(news, "telecom", since + within_s + 5) - since
    until(lambda: is_whole(lab, "telecom"), within_s=BY_EVENT_S)
    return took_s


@TIMES
def test_wiped_routes_are_back_by_event(lab: Laboratory, tmp_path: Path, times: int) -> None:
    """Row 14 of the acceptance."""
    with watched(lab, tmp_path / "node") as watcher:
        begun(lab, watcher)
        known = watcher.written_until("online")
        for _ in range(times):
            took_s = mended_after_s(lab, lambda: wipe(lab), within_s=BY_EVENT_S)
            print(f"\nrules and table wiped, by event: back after {took_s:.3f} s")
            assert took_s <= BY_EVENT_S
        watcher.until_up("telecom", "unicom")
        assert watcher.decided_since(known) == []


@TIMES
def test_wiped_routes_are_back_by_scan_when_no_event_is_heard(lab: Laboratory, tmp_path: Path, times: int) -> None:
    """Row 14 again: the kernel's messages are lost, and the slow look finds it."""
    with watched(lab, tmp_path / "node") as watcher:
        begun(lab, watcher)
        assert watcher.process is not None and deafen(watcher.process.pid) >= 4
        for _ in range(times):
            # The rules too, and the probes would miss them before the look does: what is wanted here is the look.
            took_s = mended_after_s(
                lab, lambda: lab.clinic.run("ip", "route", "flush", "table", "100"), within_s=BY_SCAN_S
            )
            print(f"\ntable wiped, nothing heard: back after {took_s:.3f} s")
            assert took_s <= BY_SCAN_S
        watcher.until_up("telecom", "unicom")


@TIMES
def test_a_line_whose_table_is_emptied_is_never_up_through_the_other(
    lab: Laboratory, tmp_path: Path, times: int
) -> None:
    """Row 15 of the acceptance."""
    with watched(lab, tmp_path / "node") as watcher:
        begun(lab, watcher)
        lab.fault("telecom", "blackhole")
        watcher.until_mode("backup", "unicom")
        known = watcher.written_until("backup")
        for _ in range(times):
            end = time.monotonic() + 3
            while time.monotonic() < end:
                lab.clinic.run("ip", "route", "flush", "table", "101", check=False)
                time.sleep(0.03)
            assert watcher.decided_since(known) == [], "down it was and down it stays"
            until(lambda: "default via 10.1.1.1" in table_of_telecom(lab), within_s=2)
        assert watcher.line("telecom")["verdict"] == "down"


@TIMES
def test_an_address_that_goes_is_noticed_and_its_routes_come_back_with_it(
    lab: Laboratory, tmp_path: Path, times: int
) -> None:
    """Row 16 of the acceptance: the kernel takes the routes along, and tells nobody."""
    with watched(lab, tmp_path / "node", detect={"hold": "0s", "suppress": 0}) as watcher:
        begun(lab, watcher)
        for _ in range(times):
            watcher.until_up("telecom", within_s=30)
            since = time.monotonic()
            lab.clinic.configure(f"addr del {TELECOM.address}/30 dev telecom\n")
            until(lambda: watcher.active() == "unicom", within_s=3)
            print(f"\naddress removed: left after {time.monotonic() - since:.3f} s")
            until(lambda: watcher.line("telecom")["reason"]["code"] == "no-address")
            since = time.monotonic()
            lab.clinic.configure(f"addr add {TELECOM.address}/30 dev telecom\n")
            until(lambda: "default via 10.1.1.1" in table_of_telecom(lab), within_s=3)
            print(f"address put back: its routes after {time.monotonic() - since:.3f} s")
        watcher.until_up("telecom", within_s=30)
        until(lambda: watcher.state["problems"] == [])


@TIMES
def test_a_dead_target_is_no_dead_line(lab: Laboratory, tmp_path: Path, times: int) -> None:
    """Row 18 of the acceptance: a warning about the cloud, no move, nothing charged to a line."""
    dead = TARGETS[1]
    with watched(lab, tmp_path / "node") as watcher:
        begun(lab, watcher)
        known = watcher.written_until("online")
        for _ in range(times):
            lab.cloud.nft(
                f"table ip dead {{ chain arrival {{ type filter hook input priority 0; ip daddr {dead} drop; }}; }}"
            )
            until(lambda: accusations(watcher) == [("cloud-trouble", dead)], within_s=5)
            time.sleep(2 * BY_EVENT_S)  # two more seconds of silence: longer than a line is given
            assert accusations(watcher) == [("cloud-trouble", dead)]
            lab.cloud.run("nft", "delete", "table", "ip", "dead")
            until(lambda: accusations(watcher) == [], within_s=5)
        assert watcher.mode() == ("online", "telecom")
        assert {line["name"]: (line["verdict"], line["penalty"]) for line in watcher.state["lines"]} == {
            "telecom": ("up", 0), "unicom": ("up", 0)
        }  # fmt: skip
        assert watcher.decided_since(known) == []


@TIMES
def test_a_stopped_process_condemns_nobody(lab: Laboratory, tmp_path: Path, times: int) -> None:
    """Row 20 of the acceptance."""
    with watched(lab, tmp_path / "node") as watcher:
        begun(lab, watcher)
        known = watcher.written_until("online")
        for stops in range(1, times + 1):
            watcher.signal(signal.SIGSTOP)
            time.sleep(2)
            watcher.signal(signal.SIGCONT)
            # Each stop is blind for what is left of it after the ticks that were due anyway; then a whole second more.
            watcher.until_blind(1.5 * stops)
            time.sleep(1)
        assert watcher.decided_since(known) == []
        state = watcher.state
        assert all(line["penalty"] == 0 for line in state["lines"])
        assert all(line["loss_ratio"] in (None, 0) for line in state["lines"])


def begun(lab: Laboratory, watcher: WatchedLines) -> None:
    watcher.until_up("telecom", "unicom")
    until(lambda: is_whole(lab, "telecom"))


def table_of_telecom(lab: Laboratory) -> str:
    return lab.clinic.run("ip", "route", "show", "table", "101", check=False).stdout


def accusations(watcher: WatchedLines) -> list[tuple[str, str]]:
    return [(trouble["code"], trouble["args"]["target"]) for trouble in watcher.state["troubles"]]
