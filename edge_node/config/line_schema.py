"""The tables of the lines: [lines], [lines.detect], [[line]] and what stands under them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from edge_node.config import values
from edge_node.config.section import Credential, Name, Section, Words
from edge_node.config.values import Address, Failback, FailbackKind, Interface, Network

_KERNEL_TABLES = dict.fromkeys((253, 254, 255), "the kernel (default, main, local)")
_ROUTING_DAEMONS = {11: "zebra", 12: "bird", 16: "dhcp", 42: "babel", 99: "openr"}
_ROUTING_DAEMONS |= {13: "dnrouted", 14: "xorp", 15: "ntk", 17: "mrouted", 18: "keepalived"}
_ROUTING_DAEMONS |= {186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp"}

_INTERFACE_NAME = values.text(r"[^\s/:]{1,15}", "the name of a network interface, 15 characters at most", "enp2s0")

Ratio = Annotated[float, values.number(0, 1)]


class Act(StrEnum):
    """May the watcher change routes, or only say what it would do?"""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class Existing(StrEnum):
    """What happens to connections that stand when a line is left."""

    SERVICE_IP = "service-ip"
    KILL_SOCKETS = "kill-sockets"
    NONE = "none"


class ProbeKind(StrEnum):
    ICMP = "icmp"
    STAMP = "stamp"
    TCP = "tcp"
    HTTP = "http"
    HTTPS = "https"


APPLICATIONS = (ProbeKind.HTTP, ProbeKind.HTTPS)


class TargetRole(StrEnum):
    CLOUD = "cloud"
    CARRIER = "carrier"
    APP = "app"


class Detect(Section):
    """How a line is judged."""

    interval_s: Annotated[float, values.duration("20ms", "1min")] = Field(
        default=0.2, alias="interval", description="between two probes of a target"
    )
    dead_after_s: Annotated[float, values.duration("60ms", "10min")] = Field(
        default=1.0, alias="dead_after", description="silence of all targets; below 1s a line needs two cloud targets"
    )
    window_s: Annotated[float, values.duration("1s", "1h")] = Field(
        default=30.0, alias="window", description="loss and delay are judged over this long"
    )
    confirm_s: Annotated[float, values.duration("0s", "1h")] = Field(
        default=5.0, alias="confirm", description="a line is degraded when it was bad for this long"
    )
    loss_bad: Ratio = Field(default=0.10, description="degraded above this share of lost probes")
    loss_ok: Ratio = Field(default=0.02, description="good again below this share")
    rtt_bad_s: Annotated[float, values.duration("1ms", "10s")] = Field(
        default=0.2, alias="rtt_bad", description="degraded above this round trip"
    )
    rtt_ok_s: Annotated[float, values.duration("1ms", "10s")] = Field(
        default=0.12, alias="rtt_ok", description="good again below this round trip"
    )
    rtt_baseline_factor: Annotated[float, values.number(1, 100)] = Field(
        default=4.0, description="also degraded above this many times the usual round trip"
    )
    hold_s: Annotated[float, values.duration("0s", "1d")] = Field(
        default=60.0, alias="hold", description="a line must be good for this long before it is used again"
    )
    hold_max_s: Annotated[float, values.duration("0s", "7d")] = Field(
        default=1800.0, alias="hold_max", description="the hold doubles with every fall, up to this"
    )
    penalty: Annotated[int, values.whole(0, 100_000)] = Field(default=1000, description="points per fall of the line")
    half_life_s: Annotated[float, values.duration("1s", "1d")] = Field(
        default=300.0, alias="half_life", description="half of the points are forgiven after this long"
    )
    suppress: Annotated[int, values.whole(0, 100_000)] = Field(
        default=2500, description="a line with more points is not chosen; 0: no suppression"
    )
    reuse: Annotated[int, values.whole(0, 100_000)] = Field(
        default=800, description="until it has fewer points than this"
    )
    mtu_every_s: Annotated[float, values.duration("0s", "1h")] = Field(
        default=10.0, alias="mtu_every", description="between two packets of the full size; 0s: none"
    )


class Lines(Section):
    """What the watcher does with all lines."""

    act: Annotated[Act, values.choice(Act)] = Field(
        default=Act.OBSERVE, description="observe: say what would be done; enforce: set routes"
    )
    table: Annotated[int, values.whole(1, 2**31 - 1, never=_KERNEL_TABLES)] = Field(
        default=100, description="routing table of the active line"
    )
    protocol: Annotated[int, values.whole(5, 255, never=_ROUTING_DAEMONS)] = Field(
        default=222, description="marks our routes in the kernel"
    )
    rule_preference: Annotated[int, values.whole(500, 32_000)] = Field(
        default=500, description="of the rule for that table; each line's own rules stand before it"
    )
    cloud_prefixes: tuple[Annotated[Network, values.network], ...] = Field(
        default=(), description="networks that are reached through the lines", examples=[["10.100.0.0/24"]]
    )
    service_ip: Annotated[Address | None, values.address] = Field(
        default=None, description="our own address towards the cloud, the same on every line", examples=["10.9.0.1"]
    )
    offline_after_s: Annotated[float, values.duration("0s", "1h")] = Field(
        default=3.0, alias="offline_after", description="all lines down for this long: offline"
    )
    online_after_s: Annotated[float, values.duration("0s", "1h")] = Field(
        default=10.0, alias="online_after", description="a line good for this long: no longer offline"
    )
    detect: Detect = Field(default_factory=Detect)


class Contract(Section):
    """What the carrier has promised; the SLA report compares."""

    availability: Ratio | None = Field(default=None, description="share of the month", examples=[0.999])
    rtt_p95_s: Annotated[float | None, values.duration("1ms", "10s")] = Field(
        default=None, alias="rtt_p95", description="round trip of 95 in 100 probes", examples=["20ms"]
    )
    loss: Ratio | None = Field(default=None, description="share of lost probes", examples=[0.001])


_DEFAULT_PORTS = {
    ProbeKind.ICMP: None, ProbeKind.STAMP: 862, ProbeKind.TCP: 443, ProbeKind.HTTP: 80, ProbeKind.HTTPS: 443,
}  # fmt: skip
_PATH = values.text(r"/[!-~]{0,200}", "a path that begins with / and has no space", "/healthz")


def _default_role(data: dict[str, Any]) -> TargetRole:
    return TargetRole.APP if data.get("kind") in APPLICATIONS else TargetRole.CLOUD


class Target(Section):
    """An address whose answers tell us about the line. A line without targets is judged by carrier and route alone."""

    address: Annotated[Address, values.address] = Field(description="an IP address", examples=["10.100.0.1"])
    kind: Annotated[ProbeKind, values.choice(ProbeKind)] = Field(
        default=ProbeKind.ICMP, description="icmp, stamp, tcp, http or https", examples=["stamp"]
    )
    port: Annotated[int | None, values.whole(1, 65535)] = Field(
        default_factory=lambda data: _DEFAULT_PORTS[data["kind"]],
        description="of stamp (862 by default), tcp (443), http (80) and https (443)",
        examples=[862],
    )
    credential: Credential | None = Field(
        default=None,
        description="of stamp: credential with the key that its reflector has, in hexadecimal",
        examples=["stamp-key"],
    )
    role: Annotated[TargetRole, values.choice(TargetRole)] = Field(
        default_factory=_default_role,
        description="cloud; carrier or app: for diagnosis only. http and https are app, anything else cloud by default",
        examples=["cloud"],
    )
    every_s: Annotated[float | None, values.duration("20ms", "10min")] = Field(
        default=None,
        alias="every",
        description="between two probes; by default the interval of detect, 5s for app",
        examples=["200ms"],
    )
    path: Annotated[str, _PATH] = Field(
        default="/healthz", description="of http and https: what is asked for; a status below 500 is an answer"
    )


class Line(Section):
    """One carrier's dedicated way out."""

    name: Name = Field(description="how status, metrics and orders call it", examples=["telecom"])
    carrier: Words | None = Field(default=None, description="whom to call", examples=["China Telecom"])
    circuit: Words | None = Field(
        default=None, description="the carrier's number of the circuit", examples=["XC-2026-0042"]
    )
    preferred: Annotated[int, values.whole(1, 99)] = Field(description="1 is used first", examples=[1])
    interface: Annotated[str, _INTERFACE_NAME] = Field(description="the network interface", examples=["enp2s0"])
    address: Annotated[Interface | None, values.interface_address] = Field(
        default=None, description="our address on the line; found on the interface by default", examples=["10.1.1.2/30"]
    )
    gateway: Annotated[Address | None, values.address] = Field(
        default=None, description="the carrier's side of the line", examples=["10.1.1.1"]
    )
    table: Annotated[int, values.whole(1, 2**31 - 1, never=_KERNEL_TABLES)] = Field(
        default_factory=lambda data: 100 + int(data["preferred"]),
        description="routing table of this line; by default 100 + preferred",
        examples=[101],
    )
    mark: Annotated[int, values.whole(1, 99)] = Field(
        default_factory=lambda data: int(data["preferred"]),
        description="firewall mark of this line's probes; by default preferred",
        examples=[1],
    )
    metered: Annotated[bool, values.flag] = Field(
        default=False, description="paid by volume: only the newest changes are shipped over it"
    )
    existing: Annotated[Existing, values.choice(Existing)] = Field(
        default=Existing.KILL_SOCKETS, description="connections when the line is left: service-ip, kill-sockets or none"
    )
    failback: Annotated[Failback, values.failback] = Field(
        default=Failback(kind=FailbackKind.AUTO), description="return to it: auto, manual, or window 02:00-05:00"
    )
    dscp: Annotated[int, values.whole(0, 63)] = Field(default=0, description="class of service of the probes")
    contract: Contract | None = Field(default=None, description="Any of its keys may be left out.")
    target: tuple[Target, ...] = ()
    detect: Detect = Field(default_factory=Detect)
