"""What survives what, with real units: each service killed, hung, and killed twenty times over; the database lost.

The table of the design, row by row. Staff work at the desks all the time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_node.cli.unit_files import SERVICES, SOCKET, TARGET
from edge_node.store.connection import connect_reader
from edge_node.store.inspect import row_digest
from tests.lab.load import Load, staff_at_work
from tests.lab.proofs import nothing_answered_is_lost
from tests.lab.receiver import Receiver, receiver
from tests.lab.topology import Laboratory, laboratory
from tests.lab.topology import missing as missing_for_a_laboratory
from tests.support.machine_image import missing
from tests.support.machine_node import RUN, STATE, BootedNode, booted_node, unit
from tests.support.waiting import until

CANNOT = missing() or missing_for_a_laboratory()
pytestmark = [
    pytest.mark.skipif(CANNOT is not None, reason=str(CANNOT)),
    pytest.mark.alone,
    # The first one that boots builds the image; a hang is seen after a minute.
    pytest.mark.timeout(900),
]

# Generous: a start takes 2 s on a quiet machine, and 20 on one that runs other tests.
BACK_WITHIN_S = 180.0
# The longest watchdog is a minute, and who does not answer SIGABRT is killed after ten seconds more.
HANG_ENDS_WITHIN_S = 150.0
TIMES = 20
# A visitor's request that was answered at all took less; the HIS needs 2 s to start on a quiet machine.
WAITS_AT_MOST_S = 120.0
TOLD_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    lab: Laboratory
    node: BootedNode
    load: Load
    receiver: Receiver
    folder: Path

    def kernel(self) -> list[str]:
        """Routes and rules as they stand."""
        machine = self.node.machine
        said = machine.run("ip", "-4", "route", "show", "table", "all").stdout + machine.run("ip", "-4", "rule").stdout
        return sorted(line.strip() for line in said.splitlines())

    def answered(self) -> int:
        return len(self.load.answered("registration"))

    def a_visit_goes_on(self) -> None:
        """Somebody who comes now is registered."""
        already = self.answered()
        until(lambda: self.answered() > already + 1, within_s=BACK_WITHIN_S, every_s=0.1)

    def settles(self) -> None:
        """Online, everything copied to the folder, every message told."""
        node = self.node
        until(lambda: node.mode() == "online" and node.way_out() == "telecom", within_s=BACK_WITHIN_S, every_s=0.2)
        # What was answered a moment ago is captured within a second, and told within another.
        told_at_s = node.told_at("replica") + TOLD_WITHIN_S
        until(
            lambda: node.told_at("replica") > told_at_s and node.destination("nas").get("state") == "current",
            within_s=BACK_WITHIN_S,
            every_s=0.2,
        )

    def nothing_is_lost(self) -> None:
        nothing_answered_is_lost(self.node.copied(self.folder), self.load)

    def failed_since(self, since_s: float) -> list[object]:
        return [request for request in self.load.requests(since_s=since_s) if request.failed]


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[AtWork]:
    with (
        laboratory() as lab,
        receiver(lab.cloud, tmp_path) as platform,
        booted_node(tmp_path, lab) as node,
    ):
        node.start()
        with staff_at_work(node, tmp_path / "staff", pairs=2, rate_per_s=8) as load:
            work = AtWork(lab=lab, node=node, load=load, receiver=platform, folder=tmp_path)
            work.settles()
            until(lambda: load.answered("encounter"), within_s=BACK_WITHIN_S, every_s=0.2)
            yield work


def test_each_service_dies_and_what_it_leaves_goes_on(at_work: AtWork) -> None:
    node, began_s = at_work.node, time.monotonic()

    links_die_and_the_routes_stay(at_work)
    the_replicator_dies_and_visits_go_on(at_work)
    litestream_dies_and_is_started_again(at_work)
    the_outbox_dies_and_its_messages_wait(at_work)
    the_monitor_dies_and_its_history_has_no_gap(at_work)
    assert at_work.failed_since(began_s) == [], "none of these is missed at a desk"
    the_his_dies_and_pages_wait(at_work)
    all_die_at_once(at_work)

    at_work.load.stop()
    at_work.nothing_is_lost()
    assert node.machine.systemctl("--failed", "--plain", "--no-legend").stdout == ""


def killed(node: BootedNode, *services: str) -> None:
    """SIGKILL, and back under another pid."""
    before = {service: node.pid_of(service) for service in services}
    node.signal("SIGKILL", *services)
    for service in services:
        until(lambda service=service: node.pid_of(service) not in (0, before[service]), within_s=BACK_WITHIN_S)
    node.wait(services)


def links_die_and_the_routes_stay(at_work: AtWork) -> None:
    before = at_work.kernel()
    assert any("proto edge-node" in line or "proto 222" in line for line in before), before
    transitions = at_work.node.machine.read("/var/lib/edge-links/transitions.jsonl").count("switch")
    at_work.node.signal("SIGKILL", "links")
    assert at_work.kernel() == before, "nobody is there, and the traffic goes where it went"
    at_work.node.wait(["links"])
    at_work.settles()
    assert at_work.kernel() == before, "adopted, not made anew"
    assert at_work.node.machine.read("/var/lib/edge-links/transitions.jsonl").count("switch") == transitions


def the_replicator_dies_and_visits_go_on(at_work: AtWork) -> None:
    node = at_work.node
    killed(node, "replica")
    found = node.machine.run("pgrep", "-c", "-f", "litestream replicate").stdout.strip()
    assert found == "1", "the child of the dead one died with it"
    at_work.a_visit_goes_on()
    at_work.settles()


def litestream_dies_and_is_started_again(at_work: AtWork) -> None:
    machine, replica = at_work.node.machine, at_work.node.pid_of("replica")
    before = machine.run("pgrep", "-f", "litestream replicate").stdout
    machine.run("kill", "-KILL", before.strip())
    until(
        lambda: machine.run("pgrep", "-f", "litestream replicate", check=False).stdout not in ("", before),
        within_s=BACK_WITHIN_S,
    )
    at_work.a_visit_goes_on()
    at_work.settles()
    assert at_work.node.pid_of("replica") == replica
    assert at_work.node.state_of("replica")["litestream_restarts"] >= 1


def the_outbox_dies_and_its_messages_wait(at_work: AtWork) -> None:
    node = at_work.node
    killed(node, "outbox")
    kept = len(at_work.receiver.received().kept)
    until(lambda: len(at_work.receiver.received().kept) > kept, within_s=BACK_WITHIN_S, every_s=0.1)
    assert at_work.receiver.received().refused == []


def the_monitor_dies_and_its_history_has_no_gap(at_work: AtWork) -> None:
    """A line falls while nobody records, and is recorded."""
    node, lab = at_work.node, at_work.lab
    node.machine.systemctl("stop", unit("monitor"))
    lab.fault("telecom", "blackhole")
    until(lambda: node.mode() == "backup" and node.way_out() == "unicom", within_s=BACK_WITHIN_S, every_s=0.1)
    lab.fault("telecom", "heal")
    node.machine.systemctl("start", unit("monitor"))

    def recorded() -> bool:
        said = node.machine.run("edge-node", "line", "history", "--json", check=False).stdout
        return '"backup"' in said

    until(recorded, within_s=BACK_WITHIN_S, every_s=0.5)


def the_his_dies_and_pages_wait(at_work: AtWork) -> None:
    """Nobody is refused; only who was being answered at that moment has to ask again."""
    killed_s = time.monotonic()
    killed(at_work.node, "his")
    back_s = time.monotonic()
    at_work.a_visit_goes_on()
    failed = at_work.failed_since(killed_s - WAITS_AT_MOST_S)
    # Two pairs of two people, each of whom has one request under way.
    assert len(failed) <= 4, failed
    waited = max(request.seconds for request in at_work.load.requests(since_s=killed_s - 2))
    print(
        f"HIS killed: ready again after {back_s - killed_s:.1f} s, the longest wait {waited:.1f} s, {len(failed)} ended"
    )
    assert waited < WAITS_AT_MOST_S


def all_die_at_once(at_work: AtWork) -> None:
    killed(at_work.node, *SERVICES)
    at_work.a_visit_goes_on()


def test_each_service_hangs_and_is_restarted(at_work: AtWork) -> None:
    """Stopped, not killed: the watchdog notices, systemd kills what does not answer, and starts it again."""
    node = at_work.node
    before = {service: node.pid_of(service) for service in SERVICES}
    began_s = time.monotonic()
    node.signal("SIGSTOP", *SERVICES)
    took_s: dict[str, float] = {}
    while len(took_s) < len(SERVICES):
        for service in set(SERVICES) - set(took_s):
            if node.pid_of(service) not in (0, before[service]) and node.is_active(service):
                took_s[service] = time.monotonic() - began_s
        assert time.monotonic() - began_s < HANG_ENDS_WITHIN_S, f"only {sorted(took_s)} came back"
        time.sleep(0.2)
    print("back after a hang:", {service: round(seconds, 1) for service, seconds in took_s.items()})
    for service in SERVICES:
        assert "Watchdog timeout" in node.machine.journal(unit(service))
    at_work.a_visit_goes_on()
    at_work.settles()
    at_work.load.stop()
    at_work.nothing_is_lost()


def test_twenty_deaths_in_a_row_and_still_there(at_work: AtWork) -> None:
    """Killed as soon as it runs, long before it is ready; systemd's default would have given up after five."""
    node = at_work.node
    last: dict[str, int] = {}
    deaths = dict.fromkeys(SERVICES, 0)
    while min(deaths.values()) < TIMES:
        running = {name: pid for name, pid in node.pids().items() if pid not in (0, last.get(name))}
        node.machine.run("kill", "-KILL", *map(str, running.values()), check=False)
        for name, last[name] in running.items():
            deaths[name] += 1
        time.sleep(0.05)
    node.wait()
    print("deaths:", deaths)
    assert all(node.restarts_of(service) >= TIMES for service in SERVICES)
    assert node.machine.show(SOCKET, "ActiveState") == "active"
    at_work.a_visit_goes_on()
    at_work.settles()
    at_work.load.stop()
    at_work.nothing_is_lost()


def test_a_lost_database_is_brought_back_before_the_first_page(at_work: AtWork) -> None:
    node, machine = at_work.node, at_work.node.machine
    at_work.load.stop()
    at_work.settles()
    node.signal("SIGKILL", *SERVICES)
    machine.systemctl("stop", *map(unit, SERVICES))
    machine.run("sh", "-c", f"rm {STATE}/data/his.db*")
    node.start()
    at_work.nothing_is_lost()
    # By whichever of the three that begin with `db ensure` was first.
    assert "his.db: restored from the local replica" in machine.journal()
    assert machine.run("ls", f"{STATE}/replica").stdout.split() == ["e0001", "e0002"]


def test_the_machine_loses_its_power_and_comes_back_by_itself(at_work: AtWork) -> None:
    """Nobody types a command: the target starts with the machine, also when the LAN is not there yet."""
    node, lab = at_work.node, at_work.lab
    node.machine.kill()
    lab.clinic.configure("addr flush dev lan\n")
    node.machine.boot()
    node.wait()
    lab.clinic.configure("addr add 192.168.77.1/24 dev lan\n")
    at_work.a_visit_goes_on()
    at_work.load.stop()
    at_work.nothing_is_lost()
    stat = node.machine.run("stat", "-c", "%a %U %G", RUN).stdout.strip()
    assert stat == "750 root edge-share", "folders in memory are made anew"


def test_the_replicator_stops_last(at_work: AtWork) -> None:
    """At an orderly stop what was written last is captured and copied, and what a desk was answered is in the copy."""
    node = at_work.node
    at_work.load.stop()
    node.machine.systemctl("stop", TARGET, *map(unit, SERVICES))
    stopped = {
        service: int(node.machine.show(unit(service), "InactiveEnterTimestampMonotonic")) for service in SERVICES
    }
    assert stopped["replica"] == max(stopped[service] for service in ("his", "outbox", "monitor", "replica"))
    assert {node.machine.show(unit(service), "Result") for service in SERVICES} == {"success"}
    said = {service: json.loads(node.machine.read(f"{RUN}/{service}/status.json")) for service in SERVICES}
    assert all(status["stopped"] for status in said.values())
    machine = node.machine
    machine.put("/srv/restored/identity", node.recovery_identity, mode=0o600, owner="edge:edge")
    machine.run("chown", "edge:edge", "/srv/restored")
    machine.run(
        *("edge-node", "replica", "restore", "--from", "nas", "--to", "/srv/restored/his.db"),
        *("--identity", "/srv/restored/identity"),
    )
    machine.fetch("/srv/restored/his.db", at_work.folder / "restored.db")
    live = node.copied(at_work.folder).database
    with closing(connect_reader(at_work.folder / "restored.db")) as restored, closing(connect_reader(live)) as copied:
        assert row_digest(restored) == row_digest(copied)
