"""The watcher in real network namespaces: a black hole, both lines gone, their return; and it is killed meanwhile."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from failover import trace
from failover.probes.outcome import Sample
from tests.lab.blackholes import moved_at
from tests.lab.topology import TARGETS, Laboratory
from tests.lab.watched import RouteNews, Stream, watched
from tests.support.waiting import until

# Five questions of 200 ms, the allowance, and a loaded machine.
MOVED_WITHIN_S = 1.5
OFFLINE_WITHIN_S = 5.0
# Under a second of its own, and what a loaded machine adds to the end of a process.
STOPPED_WITHIN_S = 2.0


def test_a_black_hole_moves_the_route_and_both_are_offline_until_one_returns(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_mode("online", "telecom")
        watcher.until_up("telecom", "unicom")
        assert watcher.active() == "telecom"
        with RouteNews(lab) as news, Stream(lab) as stream:
            time.sleep(0.2)
            since = time.monotonic()
            lab.fault("telecom", "blackhole")
            took_s = moved_at(news, "unicom", since + 5) - since
            time.sleep(0.3)
        print(f"black hole to route {took_s:.3f} s, 1 kHz stream without answer for {stream.gap_s():.3f} s")
        assert took_s <= MOVED_WITHIN_S
        assert stream.gap_s() <= MOVED_WITHIN_S
        watcher.until_mode("backup", "unicom", within_s=1)
        assert watcher.line("telecom")["reason"]["code"] == "silent"

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
        assert took_s < STOPPED_WITHIN_S, f"it took {took_s:.2f} s to stop"
        assert watcher.active() == "unicom", "the routes stay"
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
        until(lambda: watcher.has_fallback("telecom"))
        before = watcher.ours()
        with RouteNews(lab) as news, Stream(lab) as stream:
            time.sleep(0.3)
            watcher.end(signal.SIGKILL)
            time.sleep(0.7)
            assert watcher.ours() == before
            watcher.start()
            until(lambda: watcher.mode() == ("backup", "unicom") or None, within_s=10)
            watcher.until_up("telecom", "unicom")
            time.sleep(0.3)
            assert news.take() == [], "not one route or rule was touched"
        assert stream.lost() == [] and stream.errors == 0
        assert len(stream.sent_at) > 1000
        assert watcher.state["mode"]["reason"] == {"code": "adopted", "args": {"line": "unicom"}}
        assert watcher.ours() == before


def test_cleanup_leaves_nothing_of_ours(lab: Laboratory, tmp_path: Path) -> None:
    untouched = whole(lab)
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom" and watcher.has_fallback("unicom"))
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
