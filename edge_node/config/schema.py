"""The schema of the configuration: these classes, and the descriptions of their fields, are the reference.

A field is called like its key in the file, with the unit added where it has one: `idle_lock = "15min"` is
`config.his.idle_lock_s`. A list keeps the singular of its table: `[[line]]` is `config.line`. Values are made by
`load.load` and never change. Rules between fields stand in `rules.py`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from edge_node.config import values
from edge_node.config.values import Address, Endpoint, Failback, FailbackKind, Interface, Network

# Where things lie without --home; with it, all of them lie under the home folder (load.py).
STATE_DIR = Path("/var/lib/edge-node")
RUN_DIR = Path("/run/edge-node")
LINKS_DIR = Path("/var/lib/edge-links")

# Recipients for the example: valid in form, made from the SHA-256 of a sentence, so that nobody holds their identities.
EXAMPLE_RECIPIENTS = (
    "age1puke85mf2n2f0l8ua8h748kv9ufdrth8v7lutkcns0amjskwvxesz88v8c",
    "age1a9qhqhxga3nhp9addlmqm42clv4559rjksvs8cr2jzzkt0agk27sdus8q6",
)

_KERNEL_TABLES = dict.fromkeys((253, 254, 255), "the kernel (default, main, local)")
_ROUTING_DAEMONS = {11: "zebra", 12: "bird", 16: "dhcp", 42: "babel", 99: "openr"}
_ROUTING_DAEMONS |= {13: "dnrouted", 14: "xorp", 15: "ntk", 17: "mrouted", 18: "keepalived"}
_ROUTING_DAEMONS |= {186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp"}

_NAME = values.text(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", "lower-case letters, digits and hyphens", "cloud")
_NODE_ID = values.text(
    r"[a-z0-9][a-z0-9-]{0,46}[a-z0-9]", "2 to 48 lower-case letters, digits and hyphens", "clinic-0042"
)
_NODE_CODE = values.text(r"[A-Z0-9]{2,4}", "2 to 4 capital letters or digits", "0042")
_CREDENTIAL = values.text(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", "the name of a credential (letters, digits, . _ -)", "cloud-key"
)
_INTERFACE_NAME = values.text(r"[^\s/:]{1,15}", "the name of a network interface, 15 characters at most", "enp2s0")
_TOPIC = values.text(r"[a-z][a-z0-9.-]{0,63}", "a topic in lower-case letters, digits, dots and hyphens", "encounter")
_WORDS = values.text(r"[^\x00-\x1f\x7f]{1,100}", "1 to 100 characters on one line", "China Telecom")
_REGION = values.text(r"[a-z0-9][a-z0-9-]{0,62}", "the region as the store calls it", "cn-east-1")

_WEB = ("https", "http")

Name = Annotated[str, _NAME]
Credential = Annotated[str, _CREDENTIAL]
Ratio = Annotated[float, values.number(0, 1)]


class Section(BaseModel):
    """A table of the file: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Language(StrEnum):
    CHINESE = "zh_Hans_CN"
    ENGLISH = "en"


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


class TargetRole(StrEnum):
    CLOUD = "cloud"
    CARRIER = "carrier"


class UpstreamKind(StrEnum):
    FHIR = "fhir"
    HTTP = "http"


def _code_of(data: dict[str, Any]) -> str:
    return "".join(char for char in str(data["id"]) if char.isalnum())[-4:].upper()


class Node(Section):
    """Who this node is, and where its files lie."""

    id: Annotated[str, _NODE_ID] = Field(
        description="names this node in every copy of its data; never change it", examples=["clinic-0042"]
    )
    name: Annotated[str, _WORDS] = Field(
        default_factory=lambda data: str(data["id"]),
        description="the clinic as its staff and patients read it",
        examples=["西城门诊部"],
    )
    code: Annotated[str, _NODE_CODE] = Field(
        default_factory=_code_of,
        description="begins every medical record number; by default the last four letters or digits of the id",
        examples=["0042"],
    )
    state_dir: Annotated[Path, values.folder] = Field(
        STATE_DIR, description="databases, credentials and what else must survive"
    )
    run_dir: Annotated[Path, values.folder] = Field(RUN_DIR, description="live state, one folder per service")
    links_dir: Annotated[Path, values.folder] = Field(LINKS_DIR, description="what the watcher of the lines has seen")


class Tls(Section):
    """The certificate that the HIS shows."""

    certificate: Credential = Field(description="credential with the certificate and its chain", examples=["his-cert"])
    key: Credential = Field(description="credential with its private key", examples=["his-key"])


class His(Section):
    """The pages of the clinic."""

    listen: Annotated[Endpoint, values.endpoint] = Field(
        Endpoint("127.0.0.1", 8080),
        description="address and port; without tls only a loopback address",
        examples=["0.0.0.0:443"],
    )
    tls: Tls | None = Field(
        None,
        description="needed wherever other machines reach the pages",
        examples=[{"certificate": "his-cert", "key": "his-key"}],
    )
    language: Annotated[Language, values.choice(Language)] = Field(
        Language.CHINESE, description="zh_Hans_CN or en, until someone chooses otherwise"
    )
    idle_lock_s: Annotated[float, values.duration("1min", "12h")] = Field(
        900.0, alias="idle_lock", description="a session locks itself after this long without a touch"
    )


class Destination(Section):
    """A store outside the node that mirrors the local replica."""

    name: Name = Field(description="how status and metrics call it", examples=["cloud"])
    url: Annotated[str, values.url(("s3", "file", "gs", "az"), "s3://bucket/prefix")] = Field(
        description="s3://, gs:// or az:// with bucket and prefix, or file:// with a folder",
        examples=["s3://clinic-copies/edge"],
    )
    endpoint: Annotated[str | None, values.url(_WEB, "https://s3.example.com")] = Field(
        None, description="the store's address, where it is not the vendor's own", examples=["https://s3.example.com"]
    )
    addresses: tuple[Annotated[Address, values.address], ...] = Field(
        (), description="IP addresses of the endpoint, so that copies need no DNS", examples=[["10.100.0.9"]]
    )
    region: Annotated[str | None, _REGION] = Field(None, description="the store's region", examples=["cn-east-1"])
    credential: Annotated[str | None, _CREDENTIAL] = Field(
        None,
        description="credential: TOML with access_key_id and secret_access_key",
        examples=["cloud-key"],
    )
    bandwidth_bits: Annotated[int | None, values.rate("64kbit")] = Field(
        None, alias="bandwidth", description="per second at most; no limit by default", examples=["8Mbit"]
    )
    rpo_limit_s: Annotated[float, values.duration("5s", "30d")] = Field(
        300.0, alias="rpo_limit", description="status is no longer healthy when this destination lacks older changes"
    )
    expire: Annotated[bool, values.flag] = Field(
        False, description="the node itself deletes what is no longer needed; its key then needs the right to delete"
    )

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]


class Replica(Section):
    """Copies of the databases: Litestream's local replica, and the destinations that it is shipped to."""

    local: Annotated[Path, values.folder] = Field(
        STATE_DIR / "replica", description="the local replica; best on another disk than the databases"
    )
    sync_every_s: Annotated[float, values.duration("100ms", "1min")] = Field(
        1.0, alias="sync_every", description="how often changes are captured"
    )
    disk_budget_bytes: Annotated[int, values.size("100MiB")] = Field(
        20 * 1024**3, alias="disk_budget", description="the local replica sheds its oldest restore points above this"
    )
    encrypt_to: tuple[Annotated[str, values.recipient], ...] = Field(
        (),
        description="age recipients of every shipped object: the safe's, and this node's",
        examples=[list(EXAMPLE_RECIPIENTS)],
    )
    plain: Annotated[bool, values.flag] = Field(
        False, description="ship unencrypted, said outright instead of encrypt_to"
    )
    destination: tuple[Destination, ...] = ()


class Detect(Section):
    """How a line is judged."""

    interval_s: Annotated[float, values.duration("20ms", "1min")] = Field(
        0.2, alias="interval", description="between two probes of a target"
    )
    dead_after_s: Annotated[float, values.duration("60ms", "10min")] = Field(
        1.0, alias="dead_after", description="silence of all targets; below 1s a line needs two cloud targets"
    )
    window_s: Annotated[float, values.duration("1s", "1h")] = Field(
        30.0, alias="window", description="loss and delay are judged over this long"
    )
    confirm_s: Annotated[float, values.duration("0s", "1h")] = Field(
        5.0, alias="confirm", description="a line is degraded when it was bad for this long"
    )
    loss_bad: Ratio = Field(0.10, description="degraded above this share of lost probes")
    loss_ok: Ratio = Field(0.02, description="good again below this share")
    rtt_bad_s: Annotated[float, values.duration("1ms", "10s")] = Field(
        0.2, alias="rtt_bad", description="degraded above this round trip"
    )
    rtt_ok_s: Annotated[float, values.duration("1ms", "10s")] = Field(
        0.12, alias="rtt_ok", description="good again below this round trip"
    )
    rtt_baseline_factor: Annotated[float, values.number(1, 100)] = Field(
        4.0, description="also degraded above this many times the usual round trip"
    )
    hold_s: Annotated[float, values.duration("0s", "1d")] = Field(
        60.0, alias="hold", description="a line must be good for this long before it is used again"
    )
    hold_max_s: Annotated[float, values.duration("0s", "7d")] = Field(
        1800.0, alias="hold_max", description="the hold doubles with every fall, up to this"
    )
    penalty: Annotated[int, values.whole(0, 100_000)] = Field(1000, description="points per fall of the line")
    half_life_s: Annotated[float, values.duration("1s", "1d")] = Field(
        300.0, alias="half_life", description="half of the points are forgiven after this long"
    )
    suppress: Annotated[int, values.whole(0, 100_000)] = Field(
        2500, description="a line with more points is not chosen; 0: no suppression"
    )
    reuse: Annotated[int, values.whole(0, 100_000)] = Field(800, description="until it has fewer points than this")


class Lines(Section):
    """What the watcher does with all lines."""

    act: Annotated[Act, values.choice(Act)] = Field(
        Act.OBSERVE, description="observe: say what would be done; enforce: set routes"
    )
    table: Annotated[int, values.whole(1, 2**31 - 1, never=_KERNEL_TABLES)] = Field(
        100, description="routing table of the active line"
    )
    protocol: Annotated[int, values.whole(5, 255, never=_ROUTING_DAEMONS)] = Field(
        222, description="marks our routes in the kernel"
    )
    rule_preference: Annotated[int, values.whole(500, 32_000)] = Field(
        500, description="of the rule for that table; each line's own rules stand before it"
    )
    cloud_prefixes: tuple[Annotated[Network, values.network], ...] = Field(
        (), description="networks that are reached through the lines", examples=[["10.100.0.0/24"]]
    )
    service_ip: Annotated[Address | None, values.address] = Field(
        None, description="our own address towards the cloud, the same on every line", examples=["10.9.0.1"]
    )
    offline_after_s: Annotated[float, values.duration("0s", "1h")] = Field(
        3.0, alias="offline_after", description="all lines down for this long: offline"
    )
    online_after_s: Annotated[float, values.duration("0s", "1h")] = Field(
        10.0, alias="online_after", description="a line good for this long: no longer offline"
    )
    detect: Detect = Field(default_factory=Detect)


class Contract(Section):
    """What the carrier has promised; the SLA report compares."""

    availability: Ratio | None = Field(None, description="share of the month", examples=[0.999])
    rtt_p95_s: Annotated[float | None, values.duration("1ms", "10s")] = Field(
        None, alias="rtt_p95", description="round trip of 95 in 100 probes", examples=["20ms"]
    )
    loss: Ratio | None = Field(None, description="share of lost probes", examples=[0.001])


_DEFAULT_PORTS = {ProbeKind.ICMP: None, ProbeKind.STAMP: 862, ProbeKind.TCP: 443}


class Target(Section):
    """An address whose answers tell us about the line. A line without targets is judged by carrier and route alone."""

    address: Annotated[Address, values.address] = Field(description="an IP address", examples=["10.100.0.1"])
    kind: Annotated[ProbeKind, values.choice(ProbeKind)] = Field(ProbeKind.ICMP, description="icmp, stamp or tcp")
    port: Annotated[int | None, values.whole(1, 65535)] = Field(
        default_factory=lambda data: _DEFAULT_PORTS[data["kind"]],
        description="of stamp (862 by default) and tcp (443)",
        examples=[862],
    )
    role: Annotated[TargetRole, values.choice(TargetRole)] = Field(
        TargetRole.CLOUD, description="cloud, or carrier (for diagnosis only)"
    )
    every_s: Annotated[float | None, values.duration("20ms", "10min")] = Field(
        None, alias="every", description="between two probes; by default the interval of detect", examples=["1s"]
    )


class Line(Section):
    """One carrier's dedicated way out."""

    name: Name = Field(description="how status, metrics and orders call it", examples=["telecom"])
    carrier: Annotated[str | None, _WORDS] = Field(None, description="whom to call", examples=["China Telecom"])
    circuit: Annotated[str | None, _WORDS] = Field(
        None, description="the carrier's number of the circuit", examples=["XC-2026-0042"]
    )
    preferred: Annotated[int, values.whole(1, 99)] = Field(description="1 is used first", examples=[1])
    interface: Annotated[str, _INTERFACE_NAME] = Field(description="the network interface", examples=["enp2s0"])
    address: Annotated[Interface | None, values.interface_address] = Field(
        None, description="our address on the line; found on the interface by default", examples=["10.1.1.2/30"]
    )
    gateway: Annotated[Address | None, values.address] = Field(
        None, description="the carrier's side of the line", examples=["10.1.1.1"]
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
        False, description="paid by volume: only the newest changes are shipped over it"
    )
    existing: Annotated[Existing, values.choice(Existing)] = Field(
        Existing.KILL_SOCKETS, description="connections when the line is left: service-ip, kill-sockets or none"
    )
    failback: Annotated[Failback, values.failback] = Field(
        Failback(kind=FailbackKind.AUTO), description="return to it: auto, manual, or window 02:00-05:00"
    )
    dscp: Annotated[int, values.whole(0, 63)] = Field(0, description="class of service of the probes")
    contract: Contract | None = Field(
        None,
        description="what the carrier promised",
        examples=[{"availability": 0.999, "rtt_p95": "20ms", "loss": 0.001}],
    )
    target: tuple[Target, ...] = ()
    detect: Detect = Field(default_factory=Detect)


class Upstream(Section):
    """The other side: a platform that receives messages."""

    name: Name = Field(description="how status and metrics call it", examples=["platform"])
    kind: Annotated[UpstreamKind, values.choice(UpstreamKind)] = Field(UpstreamKind.FHIR, description="fhir or http")
    url: Annotated[str, values.url(_WEB, "https://platform.example.com/fhir")] = Field(
        description="where messages are delivered", examples=["https://platform.example.com/fhir"]
    )
    credential: Annotated[str | None, _CREDENTIAL] = Field(
        None, description="credential with its token", examples=["platform-key"]
    )
    topics: tuple[Annotated[str, _TOPIC], ...] = Field(
        (), description="what it is told", examples=[["patient", "encounter"]]
    )


class RemoteWrite(Section):
    """Where metrics are pushed."""

    url: Annotated[str, values.url(_WEB, "https://metrics.example.com/api/v1/write")] = Field(
        description="the receiver", examples=["https://metrics.example.com/api/v1/write"]
    )
    credential: Credential | None = Field(None, description="credential with its token", examples=["prom-key"])


class Monitor(Section):
    """Metrics of the node."""

    listen: Annotated[Endpoint, values.endpoint] = Field(
        Endpoint("127.0.0.1", 9108), description="address and port of /metrics"
    )
    remote_write: RemoteWrite | None = Field(
        None,
        description="also push them",
        examples=[{"url": "https://metrics.example.com/api/v1/write", "credential": "prom-key"}],
    )


class Config(Section):
    """The whole file. Only [node] must be there; a service reads what concerns it."""

    node: Node
    his: His = Field(default_factory=His)
    replica: Replica = Field(default_factory=Replica)
    lines: Lines = Field(default_factory=Lines)
    line: tuple[Line, ...] = ()
    upstream: tuple[Upstream, ...] = ()
    monitor: Monitor = Field(default_factory=Monitor)
