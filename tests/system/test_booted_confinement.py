"""Who may do what on a booted machine: two users, no patient file for anybody else, no word from systemd."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.cli.unit_files import JOBS, SERVICES, UNITS
from tests.lab.load import Load, staff_at_work
from tests.lab.topology import laboratory
from tests.lab.topology import missing as missing_for_a_laboratory
from tests.support.machine_image import missing
from tests.support.machine_node import NAS, RUN, STATE, BootedNode, booted_node, unit
from tests.support.waiting import until

CANNOT = missing() or missing_for_a_laboratory()
pytestmark = [
    pytest.mark.skipif(CANNOT is not None, reason=str(CANNOT)),
    pytest.mark.alone,
    # The first one that boots builds the image.
    pytest.mark.timeout(900),
]

WITHOUT_CAPABILITY, WITH_CAPABILITY = 1.5, 2.0
# linux/capability.h
CAP_NET_ADMIN = 1 << 12
VISITS = 4
# Folders and their modes as section 6 of the contract has them.
FOLDERS = {
    STATE: "750 edge edge-share",
    **{f"{STATE}/{name}": "700 edge edge" for name in ("data", "replica", "litestream", "credentials", "reports")},
    f"{STATE}/shipping": "700 edge edge",
    f"{STATE}/orders": "2750 edge edge-share",
    "/var/lib/edge-links": "2750 edge-links edge-share",
    f"{RUN}/links": "2750 edge-links edge-share",
    **{f"{RUN}/{name}": "2750 edge edge-share" for name in ("his", "replica", "outbox", "monitor")},
}
# Run as somebody: which files under these folders can be read, and which of them hold one of the words.
LOOK = """
import json, os, sys
words = [word.encode() for word in json.load(sys.stdin)]
readable, telling = [], []
for top in ("/etc", "/var", "/run", "/srv", "/tmp", "/root", "/home", "/dev/shm"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                if not os.path.isfile(path) or os.path.islink(path):
                    continue
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            readable.append(path)
            if any(word in content for word in words):
                telling.append(path)
json.dump([readable, telling], sys.stdout)
"""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BootedNode, Load]]:
    """A clinic that has seen patients today."""
    folder = tmp_path_factory.mktemp("clinic")
    with laboratory() as lab, booted_node(folder, lab) as node:
        node.start()
        with staff_at_work(node, folder / "staff", pairs=2, rate_per_s=10) as load:
            until(lambda: len(load.answered("encounter")) >= VISITS, within_s=180, every_s=0.2)
            load.stop()
            until(lambda: node.destination("nas").get("state") == "current", within_s=180, every_s=0.2)
            yield node, load


def test_systemd_has_nothing_to_say_where_the_units_run(clinic: tuple[BootedNode, Load]) -> None:
    machine = clinic[0].machine
    said = machine.run("systemd-analyze", "verify", *(f"/etc/systemd/system/{name}" for name in UNITS))
    assert said.stdout + said.stderr == ""


@pytest.mark.parametrize("service", (*SERVICES, *JOBS))
def test_exposure_of_what_runs(clinic: tuple[BootedNode, Load], service: str) -> None:
    said = clinic[0].machine.run("systemd-analyze", "security", "--no-pager", unit(service)).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    print(service, found[1])
    assert float(found[1]) <= (WITH_CAPABILITY if service == "links" else WITHOUT_CAPABILITY)


def test_folders_are_those_of_the_contract(clinic: tuple[BootedNode, Load]) -> None:
    said = clinic[0].machine.run("stat", "-c", "%n %a %U %G", *FOLDERS).stdout.splitlines()
    assert dict(line.split(" ", 1) for line in said) == FOLDERS


def test_no_file_that_tells_of_a_patient_can_be_read_by_anybody_else(clinic: tuple[BootedNode, Load]) -> None:
    """Every file of the machine's own, as three users: none holds a patient's phone, and hardly any can be read."""
    node, load = clinic
    phones = json.dumps([row["phone"] for row in load.answered("registration")])

    def look(user: str | None) -> tuple[list[str], list[str]]:
        said = node.machine.run("python3", "-c", LOOK, stdin=phones, user=user, timeout_s=120).stdout
        readable, telling = json.loads(said)
        ours = (STATE, "/var/lib/edge-links", RUN, "/etc/edge-node", NAS)
        return [path for path in readable if path.startswith(ours)], telling

    for keeper in (None, "edge"):
        told = look(keeper)[1]
        assert any(path.startswith(f"{STATE}/data/his.db") for path in told), "the control: it is there to be found"
    watched, told = look("edge-links")
    assert told == []
    own = ("/var/lib/edge-links/", f"{STATE}/orders/", f"{RUN}/", "/etc/edge-node/edge-node.toml")
    assert [path for path in watched if not path.startswith(own)] == []
    for stranger in ("nobody", "games"):
        assert look(stranger) == ([], [])
    assert not [phone for phone in json.loads(phones) if phone in node.machine.journal()]


def test_the_watcher_cannot_look_into_the_data_and_nobody_else_may_change_a_route(
    clinic: tuple[BootedNode, Load],
) -> None:
    node, _ = clinic
    machine = node.machine

    def sees(service: str, folder: str) -> str:
        """What root itself would see there, if it stood where the service stands."""
        return machine.run("nsenter", "-t", str(node.pid_of(service)), "-m", "ls", folder).stdout

    for name in ("data", "replica", "credentials", "litestream"):
        assert sees("his", f"{STATE}/{name}") != ""
        assert sees("links", f"{STATE}/{name}") == ""
        assert machine.run("ls", f"{STATE}/{name}", user="edge-links", check=False).returncode != 0

    for service in SERVICES:
        status = machine.read(f"/proc/{node.pid_of(service)}/status")
        allowed = {int(mask, 16) for mask in re.findall(r"^Cap(?:Prm|Eff|Bnd|Amb):\s+(\w+)", status, re.MULTILINE)}
        assert allowed == {CAP_NET_ADMIN if service == "links" else 0}
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    refused = machine.run("ip", "route", "add", "10.99.0.0/24", "dev", "lo", user="edge", check=False)
    assert "Operation not permitted" in refused.stderr


def test_each_reads_what_the_other_says(clinic: tuple[BootedNode, Load]) -> None:
    machine = clinic[0].machine
    for user in ("edge", "edge-links"):
        for service in SERVICES:
            said = machine.run("cat", f"{RUN}/{service}/status.json", user=user).stdout
            assert json.loads(said)["service"] == service
    assert machine.run("edge-node", "status", "--json", user="edge-links", check=False).returncode in (0, 4, 5, 6)
    machine.run("edge-node", "line", "hold", "telecom", "--for", "5min", "--reason", "an order for the other user")
    assert "telecom" in machine.run("cat", f"{STATE}/orders/links.json", user="edge-links").stdout
    path = Path(f"{STATE}/orders/links.json")
    assert machine.run("sh", "-c", f"echo >> {path}", user="edge-links", check=False).returncode != 0
