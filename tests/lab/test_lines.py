"""The watcher in real network namespaces: a black hole, both lines gone, their return; and it is killed meanwhile."""

from __future__ import annotations

import signal
import statistics
import sys
import time
from pathlib import Path

import pytest

from edge_node.base.clock import SystemClock
from edge_node.orders import LineOrderKind, new_order, place
from failover import trace
from failover.probes.outcome import Sample
from tests.lab.topology import TARGETS, TELECOM, Laboratory
from tests.lab.watched import RouteNews, Stream, WatchedLines, watched
from tests.support.waiting import until

# Five questions of 200 ms, the allowance, and a loaded machine.
MOVED_WITHIN_S = 1.5
OFFLINE_WITHIN_S = 5.0


def moved_after_s(news: RouteNews, device: str, since: float, *, within_s: float) -> float:
    """How long until the kernel has the active route by `device`."""
    deadline = since + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        for at, _, active in news.take(within_s=left_s):
            if active == device:
                return at - since
    raise AssertionError(f"the route was not by {device} within {within_s:g} s")


def test_a_black_hole_moves_the_route_and_both_are_offline_until_one_returns(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_mode("online", "telecom")
        watcher.until_up("telecom", "unicom")
        assert watcher.active() == "telecom"
        news = RouteNews(lab)
        with Stream(lab) as stream:
            time.sleep(0.2)
            since = time.monotonic()
            lab.fault("telecom", "blackhole")
            took_s = moved_after_s(news, "unicom", since, within_s=5)
            time.sleep(0.3)
        print(f"black hole to route {took_s:.3f} s, 1 kHz stream without answer for {stream.gap_s():.3f} s")
        assert took_s <= MOVED_WITHIN_S
        assert stream.gap_s() <= MOVED_WITHIN_S
        watcher.until_mode("backup", "unicom", within_s=1)
        assert watcher.line("telecom")["reason"]["code"] == "silent"

        news.take()
        since = time.monotonic()
        lab.fault("unicom", "blackhole")
        watcher.until_mode("offline", None, within_s=OFFLINE_WITHIN_S + 1)
        print(f"both black holes to offline {time.monotonic() - since:.3f} s")
        assert time.monotonic() - since <= OFFLINE_WITHIN_S
        assert watcher.state["routed"] == "unicom" == watcher.active(), "offline leaves the route where it is"

        lab.fault("unicom", "heal")
        watcher.until_mode("backup", "unicom", within_s=20)
        assert watcher.state["mode"]["reason"]["code"] == "back-online"
        took_s = watcher.end(signal.SIGTERM)
        written = watcher.transitions()
        codes = [t["reason"]["code"] for t in written if t["kind"] == "mode"]
        assert codes == ["first-line", "line-down", "every-line-down", "back-online"]
        assert [t["seq"] for t in written] == list(range(1, len(written) + 1))
        assert took_s < 1, f"it took {took_s:.2f} s to stop"
        assert watcher.active() == "unicom", "the routes stay"
        news.close()
    (path,) = (tmp_path / "node/links/traces").iterdir()
    samples = [entry for entry in trace.read(path) if isinstance(entry, Sample)]
    assert {sample.target for sample in samples} == set(TARGETS) and len(samples) > 200
    assert lab.leaked() == 0


def test_killed_it_loses_no_packet_changes_no_route_and_is_adopted(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        lab.fault("telecom", "blackhole")
        watcher.until_mode("backup", "unicom")
        lab.fault("telecom", "heal")
        watcher.until_up("telecom", within_s=25)
        before, news = watcher.ours(), RouteNews(lab)
        with Stream(lab) as stream:
            time.sleep(0.3)
            watcher.end(signal.SIGKILL)
            time.sleep(0.7)
            assert watcher.ours() == before
            watcher.start()
            until(lambda: watcher.mode() == ("backup", "unicom") or None, within_s=10)
            watcher.until_up("telecom", "unicom")
            time.sleep(0.3)
        assert stream.lost() == [] and stream.errors == 0
        assert len(stream.sent_at) > 1000
        assert news.take() == [], "not one route or rule was touched"
        assert watcher.state["mode"]["reason"] == {"code": "adopted", "args": {"line": "unicom"}}
        assert watcher.ours() == before
        news.close()


def test_cleanup_leaves_nothing_of_ours(lab: Laboratory, tmp_path: Path) -> None:
    untouched = whole(lab)
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        lab.clinic.configure("route add 10.200.0.0/16 via 10.1.1.1 table 100\n")  # somebody else's, in our table
        watcher.end(signal.SIGTERM)
        routes, rules = watcher.ours()
        assert len(routes.splitlines()) == 7 and len(rules.splitlines()) == 5
        asked = (sys.executable, "-m", "edge_node", "line", "cleanup", "--home", str(watcher.home))
        planned = lab.clinic.run(*asked, "--dry-run", timeout_s=30).stdout
        assert watcher.ours() == (routes, rules), "a dry run changes nothing"
        said = lab.clinic.run(*asked, timeout_s=30).stdout.splitlines()
        assert planned.replace("would remove", "removed").splitlines() == said
        assert len(said) == 13 and any("10.9.0.1/32" in row for row in said)
        assert watcher.ours() == ("", "")
        lab.clinic.configure("route del 10.200.0.0/16 table 100\n")
    assert whole(lab) == untouched


def whole(lab: Laboratory) -> tuple[str, ...]:
    """All that the clinic's kernel has."""
    return tuple(
        lab.clinic.run(*argv).stdout
        for argv in (("ip", "route", "show", "table", "all"), ("ip", "rule"), ("ip", "addr", "show", "lo"))
    )


def test_observing_judges_both_lines_and_moves_nothing(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node", "observe") as watcher:
        watcher.until_up("telecom", "unicom")
        lab.fault("telecom", "blackhole")
        watcher.until_mode("backup", "unicom")
        state = watcher.state
        assert not state["may_route"] and state["why_not"]["code"] == "observing" and state["routed"] is None
        routes, rules = watcher.ours()
        assert "table 100" not in routes and "table 101" in routes and "table 102" in routes
        assert all("fwmark" in row for row in rules.splitlines())
        assert "10.9.0.1" not in lab.clinic.run("ip", "addr").stdout
        assert state["problems"] == []


def test_without_the_privilege_it_touches_nothing_and_claims_nothing(lab: Laboratory, tmp_path: Path) -> None:
    """Telecom can be asked by the main table; unicom cannot, and unknown is not down."""
    lab.clinic.configure("route add 10.100.0.0/24 via 10.1.1.1\n")
    before = whole(lab)
    without = ("setpriv", "--bounding-set", "-net_admin,-net_raw")
    with watched(lab, tmp_path / "node", "enforce", prefix=without) as watcher:
        watcher.until_up("telecom")
        watcher.until_mode("online", "telecom")
        assert watcher.line("unicom")["verdict"] == "unknown"
        state = watcher.state
        assert (state["may_route"], state["why_not"]["code"], state["routed"]) == (
            False,
            "route-not-permitted",
            "telecom",
        )
        codes = {problem["code"] for problem in state["problems"]}
        assert codes == {"route-not-permitted", "probe-unpinned", "probe-impossible"}
        lab.fault("telecom", "blackhole")
        until(lambda: watcher.line("telecom")["verdict"] == "down")
        assert watcher.line("unicom")["verdict"] == "unknown"
    assert whole(lab) == before


def test_an_emptied_table_is_filled_again_and_its_line_never_up_through_the_other(
    lab: Laboratory, tmp_path: Path
) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        lab.fault("telecom", "blackhole")
        watcher.until_mode("backup", "unicom")
        known = watcher.written_until("backup")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            lab.clinic.run("ip", "route", "flush", "table", "101", check=False)
            time.sleep(0.03)
        assert watcher.transitions()[known:] == [], "down it was and down it stays"
        until(
            lambda: "default via 10.1.1.1" in lab.clinic.run("ip", "route", "show", "table", "101", check=False).stdout
        )
        since = time.monotonic()
        lab.clinic.run("ip", "rule", "flush", "protocol", "222", check=False)
        lab.clinic.run("ip", "route", "flush", "table", "100")
        until(lambda: watcher.active() == "unicom", within_s=2)
        assert time.monotonic() - since < 1.5
        assert watcher.transitions()[known:] == []


def test_an_address_that_goes_and_a_cable_that_is_cut(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        lab.clinic.configure(f"addr del {TELECOM.address}/30 dev telecom\n")
        until(lambda: watcher.active() == "unicom", within_s=3)
        until(lambda: watcher.line("telecom")["reason"]["code"] == "no-address")
        lab.clinic.configure(f"addr add {TELECOM.address}/30 dev telecom\n")
        watcher.until_up("telecom", within_s=25)
        assert "default via 10.1.1.1" in lab.clinic.run("ip", "route", "show", "table", "101").stdout
        assert watcher.state["problems"] == []
        lab.fault("unicom", "cut")
        watcher.until_mode("online", "telecom", within_s=3)
        until(lambda: watcher.line("unicom")["reason"]["code"] == "no-carrier")


def test_a_stopped_process_condemns_nobody(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        known = watcher.written_until("online")
        for stops in (1, 2):
            watcher.signal(signal.SIGSTOP)
            time.sleep(2)
            watcher.signal(signal.SIGCONT)
            # Each stop is blind for what is left of it after the ticks that were due anyway; then a whole second more.
            watcher.until_blind(1.5 * stops)
            time.sleep(1)
        assert watcher.transitions()[known:] == []
        state = watcher.state
        assert all(line["penalty"] == 0 for line in state["lines"])
        assert all(line["loss_ratio"] in (None, 0) for line in state["lines"])


@pytest.mark.long
def test_detection_twenty_times(lab: Laboratory, tmp_path: Path) -> None:
    """Row 2 of the acceptance: 200 ms x 5, from the black hole to the route in the kernel."""
    took, gaps = [], []
    with watched(lab, tmp_path / "node", detect={"hold": "0s", "suppress": 0}) as watcher:
        for _ in range(20):
            watcher.until_up("telecom", "unicom", within_s=30)
            until(lambda: watcher.active() == "telecom", within_s=120)
            news = RouteNews(lab)
            with Stream(lab) as stream:
                time.sleep(0.3)
                since = time.monotonic()
                lab.fault("telecom", "blackhole")
                took.append(moved_after_s(news, "unicom", since, within_s=5))
                time.sleep(0.3)
            gaps.append(stream.gap_s())
            news.close()
            lab.fault("telecom", "heal")
            back_to_telecom(watcher)
    for name, values in (("black hole to route", took), ("gap of the stream", gaps)):
        cuts = statistics.quantiles(values, n=20)
        print(f"{name}: p50 {statistics.median(values):.3f} p95 {cuts[-1]:.3f} max {max(values):.3f} s")
    assert statistics.quantiles(took, n=20)[-1] <= 1.2


def back_to_telecom(watcher: WatchedLines) -> None:
    """At once, by a pin that runs out soon."""
    watcher.until_up("telecom", within_s=30)
    now_ms = SystemClock().wall_ms()
    order = new_order(LineOrderKind.PIN, "telecom", now_ms=now_ms, for_s=4, by="test", why="the next run")
    place(watcher.home, order, lines=["telecom", "unicom"], now_ms=now_ms)
    until(lambda: watcher.active() == "telecom", within_s=20)
