"""What a watcher is told when it is made: lines, targets, routes. Values; whoever has a configuration makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from failover.core.model import Policy, Role
from failover.core.plan import Layout


class Act(StrEnum):
    """May the watcher set routes, or only say what it would do?"""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class ProbeKind(StrEnum):
    ICMP = "icmp"
    TCP = "tcp"
    STAMP = "stamp"
    HTTP = "http"
    HTTPS = "https"


class Existing(StrEnum):
    """What becomes of connections that hang on a line that failed."""

    SERVICE_IP = "service-ip"  # they have an address of no line, and go on by themselves
    KILL_SOCKETS = "kill-sockets"  # those from the line's own address are ended
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address to ask, and how. `every_s` is `None` for the line's own interval.

    `key` signs questions and answers (STAMP only); it is never shown. `path` is what is asked for (HTTP, HTTPS only).
    """

    address: str
    kind: ProbeKind = ProbeKind.ICMP
    role: Role = Role.CLOUD
    port: int | None = None
    every_s: float | None = None
    path: str = "/healthz"
    key: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What it is called in metrics and traces: the address, with the port where it has one."""
        return self.address if self.port is None else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything about the lines that stays as it is until it is read anew."""

    policy: Policy
    layout: Layout
    targets: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    dscp: Mapping[str, int] = field(default_factory=dict)
    act: Act = Act.OBSERVE
    existing: Mapping[str, Existing] = field(default_factory=dict)

    def targets_of(self, line: str) -> tuple[Target, ...]:
        return self.targets.get(line, ())
