"""Four lines to a cloud of two addresses, for what a watcher costs: a clinic and its far end, nothing between.

The laboratory proper (`topology.py`) has the two lines of a real clinic, carriers and faults; here only packets and
their answers are wanted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_node.config.render import toml
from tests.lab import namespace
from tests.lab.namespace import Namespace
from tests.lab.topology import CLOUD_PREFIX, SERVICE_IP, TARGETS, clinic_settings

NAMES = ("telecom", "unicom", "mobile", "broadnet")


@dataclass(frozen=True, slots=True, kw_only=True)
class FourLines:
    """The clinic, and what answers it."""

    clinic: Namespace
    far: Namespace


@contextlib.contextmanager
def four_lines() -> Iterator[FourLines]:
    """Built, and nothing of it is left afterwards, also when this process is killed."""
    with namespace.guarded(("clinic", "far")) as spaces:
        clinic, far = spaces["clinic"], spaces["far"]
        namespace.batch(f"netns add {clinic.name}\nnetns add {far.name}\n")
        clinic.sysctl(clinic_settings())
        cables = [
            f"link add {line} netns {clinic.name} type veth peer name {line} netns {far.name}\n" for line in NAMES
        ]
        namespace.batch("".join(cables))
        far.configure(f"link set lo up\n{''.join(f'addr add {address}/32 dev lo{chr(10)}' for address in TARGETS)}")
        clinic.configure("link set lo up\n")
        for number, line in enumerate(NAMES, start=1):
            clinic.configure(f"addr add 10.{number}.1.2/30 dev {line}\nlink set {line} up\n")
            far.configure(f"addr add 10.{number}.1.1/30 dev {line}\nlink set {line} up\n")
        far.configure(f"route add {SERVICE_IP} via 10.1.1.2\n")
        yield FourLines(clinic=clinic, far=far)


def configure(home: Path, *, interval_s: float) -> None:
    """The watcher's file: four lines with two targets each, and routes are set."""
    dead_after = f"{round(interval_s * 5000)}ms"
    detect = {"interval": f"{round(interval_s * 1000)}ms", "dead_after": dead_after}
    document = {
        "node": {"id": "clinic-four"},
        "lines": {"act": "enforce", "cloud_prefixes": [CLOUD_PREFIX], "service_ip": SERVICE_IP, "detect": detect},
        "line": [
            {
                "name": line,
                "preferred": number,
                "interface": line,
                "address": f"10.{number}.1.2/30",
                "gateway": f"10.{number}.1.1",
                "target": [{"address": address} for address in TARGETS],
            }
            for number, line in enumerate(NAMES, start=1)
        ],
    }
    home.mkdir(exist_ok=True)
    text = "".join(f"{name} = {toml(value)}\n" for name, value in document.items())
    (home / "edge-node.toml").write_text(text, encoding="utf-8")
