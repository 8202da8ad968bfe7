"""install.sh on a bare Debian 12 without a network: a new clinic, gone again, and a new machine from its copy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from edge_node import __version__
from tests.support.bundles import bundle
from tests.support.installed import BUNDLES, INSTALLS_WITHIN_S, installed, unpack
from tests.support.machine import Machine, booted
from tests.support.machine_image import missing
from tests.support.waiting import until

lacking = missing()
pytestmark = [
    pytest.mark.alone,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(lacking is not None, reason=lacking or ""),
]

FOLDER = f"/root/edge-node-{__version__}-{os.uname().machine}"
STATE = "/var/lib/edge-node"
# The contract's promise for the whole of it; a machine that runs other tests beside is given more.
SERVES_WITHIN_S = 180.0
COPIED_WITHIN_S = 240.0
CHRONY = "/etc/chrony/conf.d/edge-node.conf"


def snapshot(machine: Machine) -> str:
    """Every file of the program, its units and its configuration, with its time of change, owner and target."""
    places = ("/opt/edge-node", "/etc", "/usr/local/bin", f"{STATE}/credentials")
    found = machine.run("find", *places, "!", "-type", "d", "-printf", "%p %T@ %u %m %l\\n").stdout
    return "\n".join(sorted(found.splitlines()))


def ours(machine: Machine) -> list[str]:
    """What is left of the program outside of data and configuration."""
    found = machine.run(
        *("find", "/etc", "/opt", "/usr/local", "/run", "-path", "/etc/edge-node", "-prune", "-o"),
        *("(", "-name", "*edge-node*", "-o", "-name", "edge-*.*", "-o", "-lname", "*edge-node*", ")", "-print"),
    ).stdout.split()
    return [path for path in found if not path.startswith(("/run/systemd", "/run/udev", BUNDLES))]


def status(machine: Machine) -> dict[str, object]:
    return dict(json.loads(machine.run("edge-node", "status", "--json", check=False).stdout))


def destination_is_current(machine: Machine) -> bool:
    document = json.loads(machine.run("edge-node", "status", "--json", check=False).stdout)
    states = {one["name"]: one["state"] for one in document["replica"]["destinations"]}
    return states.get("cloud") == "current"


def install_new(machine: Machine, *arguments: str) -> str:
    """A new clinic: the person at the machine reads the identity's last characters back. What was printed."""
    argv = machine.argv(f"{FOLDER}/install.sh", "--id", "clinic-0042", "--name", "西城门诊部", *arguments)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as person:
        assert person.stdin is not None and person.stdout is not None
        said = ""
        for line in person.stdout:
            said += line
            if found := re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", line):
                person.stdin.write(f"{found[0][-8:]}\n")
                person.stdin.flush()
        assert person.wait(timeout=INSTALLS_WITHIN_S) == 0, said
    return said


def test_a_clinic_is_installed_removed_and_taken_over_by_a_new_machine(tmp_path: Path) -> None:
    """Without internet, as one would do it; the data outlive the program, and one command brings all of it back."""
    with booted(tmp_path / "machine", binds={BUNDLES: bundle(__version__).parent}) as machine:
        assert unpack(machine, bundle(__version__).name) == FOLDER
        began_s = time.monotonic()
        said = install_new(machine)
        print(f"installed and serving in {time.monotonic() - began_s:.0f} s")
        identity = re.findall(r"AGE-SECRET-KEY-1[A-Z0-9]+", said)[0]
        services = status(machine)["services"]
        assert isinstance(services, list) and {one["state"] for one in services} == {"ok"}
        assert machine.systemctl("is-enabled", "edge-node.target", check=False).returncode == 0
        assert "the LAN's time server" in said and "allow 192.168.0.0/16" in machine.read(CHRONY)
        # Of the secrets on the machine none is the one that opens every copy.
        assert machine.run("grep", "-r", identity, "/etc", "/var", "/opt", check=False).returncode == 1

        until(lambda: destination_is_current(machine), within_s=COPIED_WITHIN_S, every_s=1)
        removed = machine.run(f"{FOLDER}/install.sh", "--remove", timeout_s=INSTALLS_WITHIN_S).stdout
        assert f"kept:    {STATE} (databases, copies, keys)" in removed and f"rm -rf {STATE}" in removed
        assert ours(machine) == []
        assert machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "edge-*").stdout == ""
        assert machine.run("sysctl", "-n", "net.ipv4.tcp_mtu_probing").stdout.strip() == "0"
        machine.run("test", "-s", f"{STATE}/data/his.db")
        machine.run("test", "-s", "/etc/edge-node/edge-node.toml")

        # The disk is lost; what is left is the copy, the identity from the safe, and a bundle.
        machine.run("mv", f"{STATE}/cloud", "/root/cloud")
        machine.run("rm", "-rf", STATE, "/etc/edge-node")
        machine.put("/root/identity", f"{identity}\n", mode=0o600)
        said = machine.run(
            f"{FOLDER}/install.sh", "--from", "file:///root/cloud", "--identity", "/root/identity",
            "--reason", "the disk is lost", timeout_s=INSTALLS_WITHIN_S,
        ).stdout  # fmt: skip
        assert "this machine owns epoch 2 of clinic-0042" in said
        document = status(machine)
        assert document["node"] == {"id": "clinic-0042", "epoch": 2, "superseded_by": None, "version": __version__}
        owners = machine.run("find", STATE, "!", "-user", "edge", check=False).stdout
        assert owners == "", "nothing of root's stays where the services write"


def test_run_again_it_changes_nothing(tmp_path: Path) -> None:
    clinic = installed(__version__)
    with booted(tmp_path / "machine", layers=[clinic.disk], binds={BUNDLES: bundle(__version__).parent}) as machine:
        before = snapshot(machine)
        pids = [machine.show(f"edge-{name}.service", "MainPID") for name in ("his", "links", "replica")]
        again = machine.run(f"{FOLDER}/install.sh", "--training", timeout_s=INSTALLS_WITHIN_S).stdout
        assert f"release {__version__} is in its place" in again
        assert f"configuration and data are here: /etc/edge-node/edge-node.toml, {STATE}" in again
        assert "everything is in place" in again
        assert snapshot(machine) == before
        assert [machine.show(f"edge-{name}.service", "MainPID") for name in ("his", "links", "replica")] == pids


def test_everything_that_is_in_the_way_is_said_at_once_and_nothing_is_changed(tmp_path: Path) -> None:
    with booted(tmp_path / "machine", binds={BUNDLES: bundle(__version__).parent}) as machine:
        unpack(machine, bundle(__version__).name, "/opt")
        here = FOLDER.replace("/root", "/opt")
        machine.put("/etc/os-release", "ID=ubuntu\nVERSION_ID=24.04\n")
        machine.run("sh", "-c", "mv /usr/sbin/sysctl /usr/sbin/sysctl.away")
        taken = "import socket, time; s = socket.create_server(('127.0.0.1', 9108)); time.sleep(999)"
        machine.run("systemd-run", "--quiet", "--unit=taken", "python3", "-c", taken)
        until(lambda: machine.run("ss", "-ltnH", "sport = :9108").stdout, within_s=60)
        refused = machine.run(f"{here}/install.sh", "--from", "file:///nas", user="nobody", check=False)
        assert refused.returncode == 2
        assert "error: this cannot be installed here; nothing was changed" in refused.stderr
        for where, words in {
            "user": "is nobody: run this as root",
            "system": "is ubuntu 24.04: the packages of this bundle are for Debian 12",
            "sysctl": "is missing: apt-get install",
            "--reason": "is missing: the machine that is replaced shows it",
            "--identity": "is missing: the file with the recovery identity",
            "127.0.0.1:9108": "cannot be listened on: Address already in use",
        }.items():
            assert re.search(rf"^  {re.escape(where)} +{re.escape(words)}", refused.stderr, flags=re.MULTILINE), where
        assert machine.run("test", "-e", "/opt/edge-node", check=False).returncode == 1

        bare = machine.run(f"{here}/install.sh", "--dry-run", check=False)
        assert "has no configuration: say what it is to be" in bare.stderr
