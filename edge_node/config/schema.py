"""The schema of the configuration: these classes, and the descriptions of their fields, are the reference.

A field is called like its key in the file, with the unit added where it has one: `idle_lock = "15min"` is
`config.his.idle_lock_s`. A list keeps the singular of its table: `[[line]]` is `config.line`. Values are made by
`load.load` and never change. Rules between fields stand in `rules.py`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from edge_node.config import values
from edge_node.config.line_schema import Line, Lines
from edge_node.config.section import Credential, Name, Section, Words
from edge_node.config.values import Address, Endpoint

# Where things lie without --home; with it, all of them lie under the home folder (load.py).
STATE_DIR = Path("/var/lib/edge-node")
RUN_DIR = Path("/run/edge-node")
LINKS_DIR = Path("/var/lib/edge-links")

# Where the node keeps the certificate that it issues itself.
OWN_CERTIFICATE, OWN_KEY = "his-cert", "his-key"

# Recipients for the example: valid in form, made from the SHA-256 of a sentence, so that nobody holds their identities.
EXAMPLE_RECIPIENTS = (
    "age1puke85mf2n2f0l8ua8h748kv9ufdrth8v7lutkcns0amjskwvxesz88v8c",
    "age1a9qhqhxga3nhp9addlmqm42clv4559rjksvs8cr2jzzkt0agk27sdus8q6",
)

_NODE_ID = values.text(
    r"[a-z0-9][a-z0-9-]{0,46}[a-z0-9]", "2 to 48 lower-case letters, digits and hyphens", "clinic-0042"
)
_NODE_CODE = values.text(r"[A-Z0-9]{2,4}", "2 to 4 capital letters or digits", "0042")
_TOPIC = values.text(r"[a-z][a-z0-9.-]{0,63}", "a topic in lower-case letters, digits, dots and hyphens", "encounter")
_REGION = values.text(r"[a-z0-9][a-z0-9-]{0,62}", "the region as the store calls it", "cn-east-1")

_WEB = ("https", "http")


class Language(StrEnum):
    CHINESE = "zh_Hans_CN"
    ENGLISH = "en"


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
    name: Words = Field(
        default_factory=lambda data: str(data["id"]),
        description="the clinic as its staff and patients read it",
        examples=["西城门诊部"],
    )
    code: Annotated[str, _NODE_CODE] = Field(
        default_factory=_code_of,
        description="begins every medical record number; by default the last four letters or digits of the id",
        examples=["0042"],
    )
    contact: Words | None = Field(
        default=None,
        description="whom staff call when something is wrong, with the phone; on error pages and the hand-over sheet",
        examples=["王工 138 0000 0000"],
    )
    state_dir: Annotated[Path, values.folder] = Field(
        default=STATE_DIR, description="databases, credentials and what else must survive"
    )
    run_dir: Annotated[Path, values.folder] = Field(default=RUN_DIR, description="live state, one folder per service")
    links_dir: Annotated[Path, values.folder] = Field(
        default=LINKS_DIR, description="what the watcher of the lines has seen"
    )


class Tls(Section):
    """The certificate that the HIS shows: one that the node issues and renews itself, or the clinic's own."""

    issue: Annotated[bool, values.flag] = Field(
        default=False,
        description="by the authority that init made (credentials ca-cert, ca-key), instead of certificate and key",
    )
    certificate: Credential = Field(
        default=OWN_CERTIFICATE, description="credential with the certificate and its chain", examples=["his-cert"]
    )
    key: Credential = Field(default=OWN_KEY, description="credential with its private key", examples=["his-key"])


class His(Section):
    """The pages of the clinic."""

    listen: Annotated[Endpoint, values.endpoint] = Field(
        default=Endpoint("127.0.0.1", 8080),
        description="address and port; without tls only a loopback address",
        examples=["0.0.0.0:443"],
    )
    tls: Tls | None = Field(default=None, description="Needed where other machines reach the pages.")
    names: tuple[Annotated[str, values.host], ...] = Field(
        default=(),
        description="more names and addresses by which the clinic's computers reach the pages, for the certificate",
        examples=[["his.clinic.lan"]],
    )
    language: Annotated[Language, values.choice(Language)] = Field(
        default=Language.CHINESE, description="zh_Hans_CN or en, until someone chooses otherwise"
    )
    idle_lock_s: Annotated[float, values.duration("1min", "12h")] = Field(
        default=900.0, alias="idle_lock", description="a session locks itself after this long without a touch"
    )


class Destination(Section):
    """A store outside the node that mirrors the local replica."""

    name: Name = Field(description="how status and metrics call it", examples=["cloud"])
    url: Annotated[str, values.url(("s3", "gs", "az", "file"), "s3://bucket/prefix")] = Field(
        description="s3:// with bucket and prefix, or file:// with a folder",
        examples=["s3://clinic-copies/edge"],
    )
    endpoint: Annotated[str | None, values.url(_WEB, "https://s3.example.com")] = Field(
        default=None,
        description="the store's address, where it is not the vendor's own",
        examples=["https://s3.example.com"],
    )
    addresses: tuple[Annotated[Address, values.address], ...] = Field(
        default=(), description="IP addresses of the endpoint, so that copies need no DNS", examples=[["10.100.0.9"]]
    )
    region: Annotated[str | None, _REGION] = Field(
        default=None, description="the store's region", examples=["cn-east-1"]
    )
    credential: Credential | None = Field(
        default=None,
        description="credential: TOML with access_key_id and secret_access_key",
        examples=["cloud-key"],
    )
    bandwidth_bits: Annotated[int | None, values.rate("64kbit")] = Field(
        default=None, alias="bandwidth", description="per second at most; no limit by default", examples=["8Mbit"]
    )
    rpo_limit_s: Annotated[float, values.duration("5s", "30d")] = Field(
        default=300.0,
        alias="rpo_limit",
        description="status is no longer healthy when this destination lacks older changes",
    )
    expire: Annotated[bool, values.flag] = Field(
        default=False,
        description="the node itself deletes what is no longer needed; its key then needs the right to delete",
    )

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def folder(self) -> Path | None:
        """Where the copies lie, when the destination is a folder."""
        return Path(self.url.removeprefix("file://")) if self.scheme == "file" else None


class Replica(Section):
    """Copies of the databases: Litestream's local replica, and the destinations that it is shipped to."""

    local: Annotated[Path, values.folder] = Field(
        default=STATE_DIR / "replica", description="the local replica; best on another disk than the databases"
    )
    sync_every_s: Annotated[float, values.duration("100ms", "1min")] = Field(
        default=1.0, alias="sync_every", description="how often changes are captured"
    )
    disk_budget_bytes: Annotated[int, values.size("100MiB")] = Field(
        default=20 * 1024**3,
        alias="disk_budget",
        description="the local replica sheds its oldest restore points above this",
    )
    encrypt_to: tuple[Annotated[str, values.recipient], ...] = Field(
        default=(),
        description="age recipients of every shipped object: the safe's, and this node's",
        examples=[list(EXAMPLE_RECIPIENTS)],
    )
    plain: Annotated[bool, values.flag] = Field(
        default=False, description="ship unencrypted, said outright instead of encrypt_to"
    )
    destination: tuple[Destination, ...] = ()


class Upstream(Section):
    """The other side: a platform that receives messages."""

    name: Name = Field(description="how status and metrics call it", examples=["platform"])
    kind: Annotated[UpstreamKind, values.choice(UpstreamKind)] = Field(
        default=UpstreamKind.FHIR, description="fhir or http"
    )
    url: Annotated[str, values.url(_WEB, "https://platform.example.com/fhir")] = Field(
        description="where messages are delivered", examples=["https://platform.example.com/fhir"]
    )
    credential: Credential | None = Field(
        default=None, description="credential with its token", examples=["platform-key"]
    )
    topics: tuple[Annotated[str, _TOPIC], ...] = Field(
        default=(), description="what it is told", examples=[["patient", "encounter"]]
    )


class RemoteWrite(Section):
    """Where metrics are pushed."""

    url: Annotated[str, values.url(_WEB, "https://metrics.example.com/api/v1/write")] = Field(
        description="the receiver", examples=["https://metrics.example.com/api/v1/write"]
    )
    credential: Credential | None = Field(
        default=None, description="credential with its token, or user:password", examples=["prom-key"]
    )
    window_s: Annotated[float, values.duration("1h", "30d")] = Field(
        default=604800.0,
        alias="window",
        description="older samples are not sent any more; the receiver's out_of_order_time_window must be as long",
    )


class Monitor(Section):
    """Metrics of the node."""

    listen: Annotated[Endpoint, values.endpoint] = Field(
        default=Endpoint("127.0.0.1", 9108), description="address and port of /metrics"
    )
    remote_write: RemoteWrite | None = Field(default=None, description="Left out, nothing is pushed.")


class Config(Section):
    """The whole file. Only [node] must be there; a service reads what concerns it."""

    node: Node
    his: His = Field(default_factory=His)
    replica: Replica = Field(default_factory=Replica)
    lines: Lines = Field(default_factory=Lines)
    line: tuple[Line, ...] = ()
    upstream: tuple[Upstream, ...] = ()
    monitor: Monitor = Field(default_factory=Monitor)
