"""A real node in the laboratory's clinic: `edge-node up` with two lines, two destinations and an upstream.

What is read of it is what an operator can read: status files, `edge-node status`, the log.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_node.config.render import toml
from tests.lab import certificates
from tests.lab.cloud import BUCKET, Store
from tests.lab.receiver import URL as RECEIVER_URL
from tests.lab.topology import CLOUD_PREFIX, LAN_ADDRESS, LINES, TARGETS, TELECOM, Laboratory
from tests.support.node import STARTS_WITHIN_S, STOPS_WITHIN_S, processes_of
from tests.support.waiting import until

NODE_ID, PORT, METRICS_PORT = "clinic-lab", 8443, 9108
CARRIERS = {"telecom": "中国电信", "unicom": "中国联通"}
PREFIX = "edge"


@dataclass
class LabNode:
    """The node under `home`, in the laboratory's clinic."""

    lab: Laboratory
    home: Path
    passwords: Mapping[str, str]
    recovery_identity: str
    authority: Path
    _process: subprocess.Popen[bytes] | None = None
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.home.parent / f"{self.home.name}.log"

    @property
    def url(self) -> str:
        return f"https://{LAN_ADDRESS}:{PORT}"

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self, *, wait: bool = True) -> None:
        """Start all services; with `wait`, until they say that they are ready."""
        already = len(self.output)
        with self._log.open("ab") as log:
            self._process = self.lab.clinic.popen(*self._argv("up"), stdout=log, stderr=log)
        if wait:
            until(lambda: "ready; Ctrl-C" in self.output[already:] or self._ended(), within_s=STARTS_WITHIN_S)
            assert not self._ended(), self.output

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> float:
        """An orderly stop; returns how many seconds it took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=STOPS_WITHIN_S)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL to every process of the node at once, as a power cut is to processes."""
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self._process is not None:
                self._process.wait(timeout=5)
            time.sleep(0.01)

    def pids(self) -> dict[int, str]:
        """The node's processes in the clinic, and how they were called; not a command that a person runs there."""
        in_clinic = set(self.lab.clinic.pids())
        return {pid: command for pid, command in processes_of(self.home).items() if pid in in_clinic}

    def pid_of(self, part: str) -> int | None:
        """The pid of `links`, `his`, `replica`, `outbox`, `monitor` or `litestream`; None while it does not run."""
        sign = "litestream replicate" if part == "litestream" else f"edge_node run {part} "
        return next((pid for pid, command in self.pids().items() if sign in command), None)

    def cpu_s(self, part: str) -> float:
        """How many seconds of the processor this service has used since it started. It must run."""
        pid = self.pid_of(part)
        assert pid is not None, f"{part} does not run"
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def command(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """One `edge-node` command in the clinic, as an operator runs it there."""
        return self.lab.clinic.run(*self._argv(*arguments), check=False, timeout_s=timeout_s)

    def _argv(self, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "edge_node", *arguments, "--home", str(self.home))

    def status(self) -> dict[str, Any]:
        """What `edge-node status --json` says, in the clinic."""
        return dict(json.loads(self.command("status", "--json").stdout))

    def state_of(self, service: str) -> dict[str, Any]:
        """What a service's status file says now; empty while there is none."""
        try:
            document = json.loads((self.home / "run" / service / "status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return dict(document["state"])

    def mode(self) -> str:
        return str(self.state_of("links").get("mode", {}).get("name", ""))

    def destination(self, name: str) -> dict[str, Any]:
        """What the replicator says of one destination; empty while it says nothing."""
        found = self.state_of("replica").get("destinations", ())
        return next((dict(copy) for copy in found if copy["name"] == name), {})

    def way_out(self) -> str | None:
        """The line that the clinic's kernel would send to the cloud by; None where it sends to nobody."""
        said = self.lab.clinic.run("ip", "-4", "route", "get", TARGETS[0], check=False).stdout
        found = re.search(r" dev (\S+)", said)
        return found[1] if found and found[1] in CARRIERS else None


def found_clinic(lab: Laboratory, folder: Path, store: Store) -> LabNode:
    """Make a training clinic under `folder`, configured for this laboratory; it does not run yet.

    As at any clinic the network configuration leads to the cloud by the first line: it holds until the watcher decides.
    """
    lab.clinic.configure(f"route replace {CLOUD_PREFIX} via {TELECOM.gateway} dev {TELECOM.name}\n")
    home = folder / "node"
    made = subprocess.run(
        [
            *(sys.executable, "-m", "edge_node", "init", "--home", str(home), "--training"),
            *("--id", NODE_ID, "--name", "西城门诊部（实验室）"),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    identity = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", made.stdout)
    assert identity, made.stdout
    issued = certificates.issue(LAN_ADDRESS)
    authority = folder / "authority.pem"
    authority.write_text(issued.authority)
    credentials = {"his-cert": issued.certificate, "his-key": issued.key, "cloud-key": store.key.as_credential()}
    for name, content in credentials.items():
        write_credential(home, name, content)
    config = home / "edge-node.toml"
    encrypt_to = tomllib.loads(config.read_text())["replica"]["encrypt_to"]
    (folder / "nas").mkdir()
    config.write_text(configuration(encrypt_to=encrypt_to, endpoint=store.endpoint, nas=folder / "nas"))
    passwords = dict(re.findall(r"^  (\w+) +([a-z2-9]{4}(?:-[a-z2-9]{4}){2}) ", made.stdout, flags=re.MULTILINE))
    return LabNode(lab, home, passwords, identity[0], authority)


def write_credential(home: Path, name: str, content: str) -> None:
    """Give the node a secret; one that it has is replaced whole."""
    path = home / "credentials" / name
    beside = path.with_name(f".{name}.new")
    beside.write_text(content)
    beside.chmod(0o600)
    beside.rename(path)


def configuration(*, encrypt_to: list[str], endpoint: str, nas: Path) -> str:
    """The node's configuration as a clinic of two lines has it."""
    lines = "\n".join(
        f"""
[[line]]
name = "{line.name}"
carrier = "{CARRIERS[line.name]}"
preferred = {line.number}
interface = "{line.name}"
address = "{line.address}/30"
gateway = "{line.gateway}"

{_target(TARGETS[0])}
{_target(TARGETS[1])}
{_target(line.gateway, role="carrier", every="1s")}
"""
        for line in LINES
    )
    return f"""# A clinic of the laboratory.
[node]
id = "{NODE_ID}"
name = "西城门诊部（实验室）"

[his]
listen = "{LAN_ADDRESS}:{PORT}"
tls = {{ certificate = "his-cert", key = "his-key" }}

[replica]
encrypt_to = {toml(encrypt_to)}

[[replica.destination]]
name = "cloud"
url = "s3://{BUCKET}/{PREFIX}"
endpoint = "{endpoint}"
credential = "cloud-key"

[[replica.destination]]
name = "nas"
url = "file://{nas}"

[lines]
act = "enforce"
cloud_prefixes = ["{CLOUD_PREFIX}"]
{lines}
[[upstream]]
name = "platform"
kind = "http"
url = "{RECEIVER_URL}"
topics = ["encounter", "patient"]

[monitor]
listen = "127.0.0.1:{METRICS_PORT}"
"""


def _target(address: str, *, role: str = "cloud", every: str | None = None) -> str:
    more = f'every = "{every}"\n' if every else ""
    return f'[[line.target]]\naddress = "{address}"\nkind = "icmp"\nrole = "{role}"\n{more}'


@contextlib.contextmanager
def running(node: LabNode) -> Iterator[LabNode]:
    """The node, started; killed afterwards if it still runs."""
    try:
        node.start()
        yield node
    finally:
        node.kill()
