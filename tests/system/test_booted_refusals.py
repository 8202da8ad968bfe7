"""Secrets handed over by systemd, plain and encrypted; and what happens when something is missing or wrong.

A service that only a person can help ends once, with its own sentence; one that may be helped by time tries for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.cli.unit_files import PLAIN_STORE, SEALED_STORE, SERVICES
from tests.lab.cloud import Store, store
from tests.lab.topology import laboratory
from tests.lab.topology import missing as missing_for_a_laboratory
from tests.support.installed import CONFIG
from tests.support.machine_image import missing
from tests.support.machine_node import STATE, BootedNode, booted_node, unit
from tests.support.waiting import until

CANNOT = missing() or missing_for_a_laboratory()
pytestmark = [
    pytest.mark.skipif(CANNOT is not None, reason=str(CANNOT)),
    pytest.mark.alone,
    # The first one that boots builds the image.
    pytest.mark.timeout(900),
]

# Generous: a start takes 2 s on a quiet machine, and 20 on one that runs other tests.
HAPPENS_WITHIN_S = 180.0
# Longer than any service needs to be started again, were it to be: RestartSec= is half a second.
STAYS_S = 5.0
OWN = f"{STATE}/credentials"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[tuple[BootedNode, Store]]:
    with laboratory() as lab, store(lab.cloud, tmp_path) as kept, booted_node(tmp_path, lab, store=kept) as node:
        yield node, kept


def ends_once(node: BootedNode, service: str, status: int) -> str:
    """The service has ended with this status and is not started again; what it said."""
    machine = node.machine
    until(lambda: machine.show(unit(service), "ActiveState") == "failed", within_s=HAPPENS_WITHIN_S, every_s=0.1)
    assert machine.show(unit(service), "ExecMainStatus") == str(status), machine.journal(unit(service))
    time.sleep(STAYS_S)
    assert machine.show(unit(service), "ActiveState") == "failed"
    return machine.journal(unit(service))


def test_a_secret_comes_from_where_the_administrator_put_it(clinic: tuple[BootedNode, Store]) -> None:
    node, kept = clinic
    machine, key = node.machine, kept.key.as_credential()

    def copies() -> str:
        machine.run("edge-node", "units", "install")
        machine.systemctl("restart", unit("replica"))
        node.wait(["replica"])
        return str(until(lambda: node.destination("cloud").get("state"), within_s=HAPPENS_WITHIN_S))

    def is_current() -> bool:
        return node.destination("cloud").get("state") == "current"

    machine.run("rm", f"{OWN}/cloud-key")
    node.start()
    # In no place: the service runs, copies to its other destination, and says which secret it misses.
    until(lambda: node.destination("cloud").get("state") == "refused", within_s=HAPPENS_WITHIN_S, every_s=0.1)
    assert "cloud-key" in str(node.destination("cloud")["reason"])
    until(lambda: node.destination("nas").get("state") == "current", within_s=HAPPENS_WITHIN_S, every_s=0.1)

    machine.run("systemd-creds", "encrypt", "--name=cloud-key", "-", "/etc/sealed", stdin=key)
    machine.run("install", "-D", "-m", "600", "/etc/sealed", f"/{SEALED_STORE}/cloud-key")
    assert kept.key.secret_access_key not in machine.read(f"/{SEALED_STORE}/cloud-key")
    copies()
    until(is_current, within_s=HAPPENS_WITHIN_S, every_s=0.1)

    machine.run("rm", f"/{SEALED_STORE}/cloud-key")
    machine.put(f"/{PLAIN_STORE}/cloud-key", key, mode=0o600)
    copies()
    until(is_current, within_s=HAPPENS_WITHIN_S, every_s=0.1)
    machine.systemctl("start", "edge-drill.service")
    assert "cloud (clinic-lab/e0001/his): restored" in machine.journal("edge-drill.service")

    machine.run("rm", f"/{PLAIN_STORE}/cloud-key")
    node.credential("cloud-key", key)
    copies()
    until(is_current, within_s=HAPPENS_WITHIN_S, every_s=0.1)


def test_what_is_missing_is_said_in_our_words_and_once(clinic: tuple[BootedNode, Store]) -> None:
    """systemd alone would say 243/CREDENTIALS, and try for ever."""
    node, _ = clinic
    machine = node.machine
    machine.run("rm", f"{OWN}/his-cert")
    text = machine.read(CONFIG).replace('kind = "icmp"', 'kind = "stamp"\ncredential = "stamp-key"', 1)
    node.configure(text)
    machine.systemctl("start", "edge-node.target", check=False)

    said = ends_once(node, "his", 3)
    assert "his-cert" in said and "hint:" in said
    said = ends_once(node, "links", 3)
    assert "stamp-key was not there when the service was started" in said
    assert node.restarts_of("links") == node.restarts_of("his") == 0

    machine.put(f"{OWN}/stamp-key", "ab" * 32, mode=0o600, owner="edge:edge")
    machine.systemctl("start", unit("links"))
    node.wait(["links", "replica", "outbox", "monitor"])


def test_a_mistake_in_the_configuration_ends_every_service_once(clinic: tuple[BootedNode, Store]) -> None:
    """Also the three that begin with `db ensure`; a desk that waits for a page starts the HIS again, but in no loop."""
    node, _ = clinic
    machine = node.machine
    right = machine.read(CONFIG)
    machine.put(CONFIG, right + "\n[monitro]\n", mode=0o640, owner="root:edge-share")
    machine.systemctl("start", "edge-node.target", check=False)
    for service in SERVICES:
        assert "monitro" in ends_once(node, service, 3)
        assert node.restarts_of(service) == 0

    desk = node.lab.desk.popen(
        "python3", "-c", "import socket; socket.create_connection(('192.168.77.1', 8443)).recv(1)"
    )
    starts = machine.journal(unit("his")).count("Starting edge-his.service")
    began_s = time.monotonic()
    until(
        lambda: machine.journal(unit("his")).count("Starting edge-his.service") > starts + 1,
        within_s=HAPPENS_WITHIN_S,
        every_s=0.2,
    )
    assert time.monotonic() - began_s > STAYS_S - 1, "one start in five seconds, however many ask"
    assert machine.show("edge-his.socket", "ActiveState") == "active"
    desk.kill()

    machine.put(CONFIG, right, mode=0o640, owner="root:edge-share")
    node.start()


def test_a_database_of_a_newer_program_ends_them_once(clinic: tuple[BootedNode, Store]) -> None:
    node, _ = clinic
    newer = """
    INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('his', 'm9999_later', '');
    PRAGMA user_version = 9999;
    """
    node.machine.run("sqlite3", f"{STATE}/data/his.db", newer, user="edge")
    node.machine.systemctl("start", "edge-node.target", check=False)
    for service in ("his", "outbox"):
        assert "db-newer-than-program" in ends_once(node, service, 4)
        assert node.restarts_of(service) == 0


def test_what_time_may_mend_is_tried_for_ever(clinic: tuple[BootedNode, Store]) -> None:
    """Another outbox holds the place: exit 75, again and again, until it is free."""
    node, _ = clinic
    machine = node.machine
    node.start()
    machine.systemctl("stop", unit("outbox"))
    other = machine.popen("edge-node", "run", "outbox", user="edge")
    try:
        lock = f"{STATE}/data/his.db.sender"
        until(lambda: machine.run("flock", "-n", lock, "true", check=False).returncode == 1, within_s=HAPPENS_WITHIN_S)
        machine.systemctl("start", "--no-block", unit("outbox"))
        until(lambda: node.restarts_of("outbox") >= 3, within_s=HAPPENS_WITHIN_S, every_s=0.2)
        assert "another outbox sends the messages" in machine.journal(unit("outbox"))
    finally:
        for pid in machine.run("pgrep", "-f", "edge-node run outbox", check=False).stdout.split():
            machine.run("kill", pid, check=False)
        other.wait(timeout=30)
    node.wait(["outbox"])
