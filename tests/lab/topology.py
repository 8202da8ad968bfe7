"""The laboratory's network: clinic, two carriers, a cloud and a desk, each a network namespace.

    desk ── lan ── clinic ── telecom ── (carrier) ── cloud
                      │ └─── unicom ─── (carrier) ──┘
                      └ internet: a dead end, where what should not leave arrives

Nothing is connected with the machine's own network. Several laboratories may live at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from failover import far_end
from failover.far_end import FarEnd, FarLine
from tests.lab import faults, namespace
from tests.lab.namespace import Namespace

ROOT = Path(__file__).resolve().parents[2]

LAN_ADDRESS, LAN_PREFIX, DESK_ADDRESS = "192.168.77.1", "192.168.77.0/24", "192.168.77.10"
CLOUD_PREFIX = "10.100.0.0/24"
TARGETS = ("10.100.0.1", "10.100.0.2")
STORE_ADDRESS, RECEIVER_ADDRESS = "10.100.0.9", "10.100.0.10"
# The clinic's own address towards the cloud, whichever line it uses; who wants it adds it to lo.
SERVICE_IP, SERVICE_PREFIX = "10.9.0.1", "10.9.0.0/24"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabLine:
    """One carrier's line: its device in the clinic is called as the line is."""

    name: str
    number: int

    @property
    def address(self) -> str:
        return f"10.{self.number}.1.2"

    @property
    def gateway(self) -> str:
        return f"10.{self.number}.1.1"

    @property
    def prefixes(self) -> tuple[str, str]:
        """Between clinic and carrier, and between carrier and cloud."""
        return f"10.{self.number}.1.0/30", f"10.{self.number}.2.0/30"

    @property
    def near_address(self) -> str:
        """The carrier's address towards the cloud."""
        return f"10.{self.number}.2.1"

    @property
    def far_address(self) -> str:
        """The cloud's address on this carrier."""
        return f"10.{self.number}.2.2"


TELECOM, UNICOM = LabLine(name="telecom", number=1), LabLine(name="unicom", number=2)
LINES = (TELECOM, UNICOM)
ROLES = ("clinic", "telecom", "unicom", "cloud", "desk", "internet")
INSIDE = (
    *(prefix for line in LINES for prefix in line.prefixes),
    *(CLOUD_PREFIX, SERVICE_PREFIX, LAN_PREFIX, "127.0.0.0/8"),
)

# What `edge-node line far-end --print` prints for the clinic of a laboratory (test_far_end_applied.py compares): the
# cloud's side is set up by these texts and by nothing else.
FAR_END = FarEnd(
    lines=tuple(
        FarLine(
            name=line.name,
            number=line.number,
            device=line.name,
            gateway=line.near_address,
            prefix=line.prefixes[0],
        )
        for line in LINES
    ),
    service_ip=SERVICE_IP,
    clinic_prefixes=(SERVICE_PREFIX,),
    reflect_on=(TARGETS[0],),
)

# `default` is for devices that are made later: all of them. The clinic's come from the product's own file.
_EVERYWHERE = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}
_ROUTER = {"net.ipv4.ip_forward": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """A network that stands. `name` begins the names of its namespaces."""

    name: str
    clinic: Namespace
    telecom: Namespace
    unicom: Namespace
    cloud: Namespace
    desk: Namespace
    internet: Namespace

    @property
    def namespaces(self) -> tuple[Namespace, ...]:
        return tuple(getattr(self, role) for role in ROLES)

    def carrier(self, line: str) -> Namespace:
        """The carrier of a line. KeyError for a line that the laboratory does not have."""
        return {TELECOM.name: self.telecom, UNICOM.name: self.unicom}[line]

    def fault(self, line: str, spec: str) -> None:
        """Break a line, or heal it: `blackhole`, `loss=30%`, … `heal`, as faults.py lists them.

        In force when this returns. Raises faults.UnknownFault, with a sentence.
        """
        faults.apply(self.carrier(line), spec)

    def leaked(self) -> int:
        """How many packets the clinic sent to somewhere outside the laboratory."""
        return self._counted("leaked")

    def strayed(self) -> int:
        """How many packets to the laboratory's own addresses the clinic sent by its way to the internet."""
        return self._counted("strayed")

    def _counted(self, name: str) -> int:
        said = self.clinic.run("nft", "list", "counter", "inet", "laboratory", name).stdout
        return int(said.partition("packets")[2].split()[0])


def missing() -> str | None:
    """What this machine lacks for a laboratory, as a sentence; None when it has all."""
    if os.geteuid() != 0:
        return "the laboratory needs root, for network namespaces: sudo make test"
    programs = [name for name in ("ip", "nft", "tc") if shutil.which(name) is None]
    if programs:
        return f"the laboratory needs {', '.join(programs)}: make test-deps (Debian: iproute2, nftables)"
    if not Path("/dev/net/tun").exists():
        return "the laboratory needs /dev/net/tun, for delay: modprobe tun"
    return None


def clinic_settings() -> dict[str, str]:
    """The kernel's settings as an installation of the node makes them: its own file, line by line."""
    lines = (ROOT / "systemd/edge-node.sysctl.conf").read_text(encoding="utf-8").splitlines()
    settings = (line.partition("=") for line in lines if line and not line.startswith(("#", ";")))
    return {name.strip().removeprefix("-"): value.strip() for name, _, value in settings}


@contextlib.contextmanager
def laboratory() -> Iterator[Laboratory]:
    """A new laboratory; nothing of it is left afterwards, also when this process is killed.

    Its processes are killed at the end: who wants an orderly stop does it before.
    """
    with namespace.guarded(ROLES) as spaces:
        lab = Laboratory(name=spaces["clinic"].name.rpartition("-")[0], **spaces)
        _build(lab)
        yield lab


def standing(name: str) -> Laboratory:
    """A laboratory that another process has built."""
    return _named(name)


def _named(name: str) -> Laboratory:
    return Laboratory(name=name, **{role: Namespace(name=f"{name}-{role}") for role in ROLES})


def _build(lab: Laboratory) -> None:
    namespace.batch("".join(f"netns add {space.name}\n" for space in lab.namespaces))
    for space in lab.namespaces:
        own = clinic_settings() if space is lab.clinic else _ROUTER if space in (lab.telecom, lab.unicom) else {}
        space.sysctl(_EVERYWHERE | own)
    cables = [_cable(lab.clinic, "lan", lab.desk, "lan"), _cable(lab.clinic, "internet", lab.internet, "clinic")]
    for line in LINES:
        carrier = lab.carrier(line.name)
        cables += [_cable(lab.clinic, line.name, carrier, "cust"), _cable(carrier, "wan", lab.cloud, line.name)]
    namespace.batch("".join(cables))
    lab.desk.configure(_up("lo") + _up("lan", f"{DESK_ADDRESS}/24"))
    lab.internet.configure(_up("lo") + _up("clinic"))
    for line in LINES:
        lab.carrier(line.name).configure(
            _up("lo") + _up("cust", f"{line.gateway}/30") + _up("wan", f"{line.near_address}/30")
            + f"route add {CLOUD_PREFIX} via {line.far_address}\nroute add {SERVICE_PREFIX} via {line.address}\n"
        )  # fmt: skip
    lab.cloud.configure(_cloud())
    apply_far_end(lab.cloud)
    lab.clinic.nft(_counters())
    lab.clinic.configure(_clinic())


def _cable(one: Namespace, device: str, other: Namespace, peer: str) -> str:
    return f"link add {device} netns {one.name} type veth peer name {peer} netns {other.name}\n"


def _up(device: str, *addresses: str) -> str:
    return "".join(f"addr add {address} dev {device}\n" for address in addresses) + f"link set {device} up\n"


def _cloud() -> str:
    addresses = (*TARGETS, STORE_ADDRESS, RECEIVER_ADDRESS)
    commands = _up("lo", *(f"{address}/32" for address in addresses))
    for line in LINES:
        commands += _up(line.name, f"{line.far_address}/30")
    return commands


def apply_far_end(cloud: Namespace) -> None:
    """Do on the cloud's router what the printed files do there: settings, the unit's commands, the firewall's rules."""
    files = {file.path: file.text for file in far_end.files(FAR_END)}
    settings = (line.partition(" = ") for line in files[far_end.SYSCTL_PATH].splitlines() if not line.startswith("#"))
    cloud.sysctl({name: value for name, _, value in settings})
    # Those that begin with a hyphen remove what an earlier start left; there was none.
    starts = (line.partition("ExecStart=ip ") for line in files[far_end.ROUTES_PATH].splitlines())
    cloud.configure("".join(f"{command}\n" for before, found, command in starts if found and not before))
    cloud.nft(files[far_end.NFT_PATH])


def _clinic() -> str:
    lines = "".join(_up(line.name, f"{line.address}/30") for line in LINES)
    # Without ARP the kernel needs no answer from anybody to send: what goes this way is gone.
    internet = "link set internet arp off\n" + _up("internet") + "route add default dev internet\n"
    return _up("lo") + _up("lan", f"{LAN_ADDRESS}/24") + lines + internet


def _counters() -> str:
    """Count what the clinic sends away: after routing, by whatever device, forwarded or its own."""
    return f"""
table inet laboratory {{
  counter leaked {{ }}
  counter strayed {{ }}
  set inside {{
    type ipv4_addr; flags interval
    elements = {{ {", ".join(INSIDE)} }}
  }}
  chain departure {{
    type filter hook postrouting priority 300
    ip daddr != @inside counter name leaked
    meta nfproto ipv6 counter name leaked
    oifname "internet" ip daddr @inside counter name strayed
  }}
}}
"""
