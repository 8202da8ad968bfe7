"""The edge node on a booted machine, as its units run it: a training clinic with the laboratory's two lines."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.cli.unit_files import SERVICES, SOCKET, TARGET
from tests.lab import certificates, clinic
from tests.lab.cloud import PORT as STORE_PORT
from tests.lab.cloud import Store, StoreKey
from tests.lab.topology import CLOUD_PREFIX, LAN_ADDRESS, STORE_ADDRESS, TARGETS, TELECOM, Laboratory
from tests.support.installed import CONFIG, installed
from tests.support.machine import Machine, booted
from tests.support.waiting import until

STATE, RUN = "/var/lib/edge-node", "/run/edge-node"
NAS = "/srv/nas"
# Everything of the system, and nothing that is started for its users.
BEFORE_SERVICES = "basic.target"
# A quiet machine needs 4 s to start all services.
STARTS_WITHIN_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A copy of a node's data, where tests/lab/proofs.py look for it."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "data/his.db"


@dataclass
class BootedNode:
    """The node of a machine. What is read of it is what an operator can read there."""

    machine: Machine
    lab: Laboratory
    passwords: Mapping[str, str]
    recovery_identity: str
    authority: Path

    @property
    def url(self) -> str:
        return f"https://{LAN_ADDRESS}:{clinic.PORT}"

    def configure(self, text: str) -> None:
        """Give it this configuration, as the contract has it, and write what the units need of it."""
        self.machine.put(CONFIG, text, mode=0o640, owner="root:edge-share")
        self.machine.run("edge-node", "units", "install")

    def credential(self, name: str, content: str) -> None:
        """A secret where the node keeps its own."""
        self.machine.put(f"{STATE}/credentials/{name}", content, mode=0o600, owner="edge:edge")

    def start(self) -> None:
        """Start all of it, and wait until every service says that it does its work."""
        self.machine.systemctl("start", TARGET)
        self.wait()

    def wait(self, services: Iterable[str] = SERVICES) -> None:
        """Until these services do their work."""
        until(lambda: all(self.is_active(name) for name in services), within_s=STARTS_WITHIN_S, every_s=0.1)

    def is_active(self, service: str) -> bool:
        return self.machine.systemctl("is-active", unit(service), check=False).stdout.strip() == "active"

    def pid_of(self, service: str) -> int:
        """The pid of a service as its machine knows it; 0 while it does not run."""
        return int(self.machine.show(unit(service), "MainPID"))

    def pids(self) -> dict[str, int]:
        """The pid of each service, 0 where it does not run."""
        said = self.machine.systemctl("show", "--value", "--property=MainPID", *map(unit, SERVICES)).stdout
        return dict(zip(SERVICES, map(int, said.split()), strict=True))

    def restarts_of(self, service: str) -> int:
        return int(self.machine.show(unit(service), "NRestarts"))

    def signal(self, number: str, *services: str) -> None:
        """A signal to the main processes of these services, such as SIGKILL or SIGSTOP."""
        self.machine.systemctl("kill", "--kill-whom=main", f"--signal={number}", *map(unit, services))

    def state_of(self, service: str) -> dict[str, Any]:
        """What a service's status file says; empty while there is none."""
        done = self.machine.run("cat", f"{RUN}/{service}/status.json", check=False)
        return dict(json.loads(done.stdout)["state"]) if done.returncode == 0 else {}

    def told_at(self, service: str) -> float:
        """Seconds since the machine's boot at which a service wrote its status last; 0 while there is none."""
        done = self.machine.run("cat", f"{RUN}/{service}/status.json", check=False)
        return float(json.loads(done.stdout)["boottime"]) if done.returncode == 0 else 0.0

    def mode(self) -> str:
        return str(self.state_of("links").get("mode", {}).get("name", ""))

    def destination(self, name: str) -> dict[str, Any]:
        """What the replicator says of one destination; empty while it says nothing."""
        found = self.state_of("replica").get("destinations", ())
        return next((dict(copy) for copy in found if copy["name"] == name), {})

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.machine.run("edge-node", "status", "--json", check=False).stdout))

    def copied(self, folder: Path) -> Copied:
        """Its clinical database as it is now, for proofs that look into it."""
        beside = f"{STATE}/copies/for-a-proof.db"
        self.machine.run("edge-node", "db", "copy", "--to", beside)
        copy = Copied(home=Path(tempfile.mkdtemp(dir=folder)))
        self.machine.fetch(beside, copy.database)
        self.machine.run("rm", beside)
        return copy

    def way_out(self) -> str | None:
        """The line by which its kernel would send to the cloud; None where it sends to nobody."""
        said = self.machine.run("ip", "-4", "route", "get", TARGETS[0], check=False).stdout
        found = re.search(r" dev (\S+)", said)
        return found[1] if found and found[1] in clinic.CARRIERS else None


def unit(service: str) -> str:
    return f"edge-{service}.service"


@contextlib.contextmanager
def booted_node(folder: Path, lab: Laboratory, *, store: Store | None = None) -> Iterator[BootedNode]:
    """A laboratory's clinic as a machine, with the node installed and configured, but not started.

    Without a store in the cloud that destination stays out of reach.
    """
    made = installed()
    identity = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", made.said)
    assert identity, made.said
    issued = certificates.issue(LAN_ADDRESS)
    authority = folder / "authority.pem"
    authority.write_text(issued.authority)
    # As at any clinic the network configuration leads to the cloud by the first line: it holds until the watcher
    # decides.
    lab.clinic.configure(f"route replace {CLOUD_PREFIX} via {TELECOM.gateway} dev {TELECOM.name}\n")
    with booted(folder / "machine", network=lab.clinic.name, layers=(made.disk,), goal=BEFORE_SERVICES) as machine:
        node = BootedNode(machine, lab, made.passwords, identity[0], authority)
        machine.systemctl("stop", SOCKET)
        machine.run("install", "-d", "-o", "edge", "-g", "edge", "-m", "700", NAS)
        key = (store.key if store else StoreKey()).as_credential()
        for name, content in {"his-cert": issued.certificate, "his-key": issued.key, "cloud-key": key}.items():
            node.credential(name, content)
        endpoint = store.endpoint if store else f"http://{STORE_ADDRESS}:{STORE_PORT}"
        encrypt_to = tomllib.loads(machine.read(CONFIG))["replica"]["encrypt_to"]
        node.configure(clinic.configuration(encrypt_to=encrypt_to, endpoint=endpoint, nas=Path(NAS)))
        yield node
