"""Machines on which a bundle has been installed: the disk of one that is off, to boot others from; made once.

with booted(tmp_path, layers=[installed("0.1.0").disk]) as machine: ...
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.bundles import STORE, bundle, locked, make_room
from tests.support.machine import Machine, booted
from tests.support.machine_image import image

# Where a bundle lies in a machine that is to install it, and what it unpacks to.
BUNDLES = "/root/bundles"
INSTALLS_WITHIN_S = 600.0
CONFIG, AUTHORITY = "/etc/edge-node/edge-node.toml", "/var/lib/edge-node/credentials/ca-cert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """`disk` is a layer for `booted`; `said` is what install.sh printed."""

    disk: Path
    said: str

    @property
    def passwords(self) -> dict[str, str]:
        """The training clinic's first passwords, by code."""
        return dict(re.findall(r"^  (\w+) +([a-z2-9]{4}(?:-[a-z2-9]{4}){2}) ", self.said, flags=re.MULTILINE))


def installed(version: str = "0.1.0") -> Installed:
    """A training clinic that a bundle of this tree has made, and that was well when it was shut down."""
    archive = bundle(version)
    place = STORE / f"installed-{archive.parent.name}-{image().name}"
    with locked("installed.lock"):
        if not place.is_dir():
            make_room("installed-*")
            beside = STORE / "installing"
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            with booted(beside, binds={BUNDLES: archive.parent}, keep_disk=True) as machine:
                said = install(machine, archive.name, "--training")
                machine.off()
            (beside / "said").write_text(said, encoding="utf-8")
            beside.rename(place)
        os.utime(place)
    return Installed(disk=place / "disk", said=(place / "said").read_text(encoding="utf-8"))


def unpack(machine: Machine, name: str, to: str = "/root") -> str:
    """Unpack an archive of the machine's folder of bundles; the bundle's folder in there."""
    machine.run("tar", "--extract", "--file", f"{BUNDLES}/{name}", "--directory", to)
    return f"{to}/{name.removesuffix('.tar.gz')}"


def install(machine: Machine, name: str, *arguments: str) -> str:
    """Unpack an archive and run its install.sh; what it printed."""
    folder = unpack(machine, name)
    return machine.run(f"{folder}/install.sh", *arguments, timeout_s=INSTALLS_WITHIN_S).stdout


def serve_over_tls(machine: Machine) -> None:
    """Have a training clinic serve its pages as a clinic does: to other computers, by an authority of its own."""
    machine.run("edge-node", "certificate", "make-authority")
    listens = re.sub(
        r'^listen = "127.0.0.1:8080".*$', 'listen = "0.0.0.0:443"\ntls = { issue = true }',
        machine.read(CONFIG), flags=re.MULTILINE,
    )  # fmt: skip
    machine.put(CONFIG, listens, mode=0o640, owner="root:edge-share")
    machine.run("edge-node", "units", "install")
    machine.systemctl("stop", "edge-his.service")
    machine.systemctl("restart", "edge-his.socket")
    machine.systemctl("start", "edge-his.service")
