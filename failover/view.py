"""What a watcher tells: what it did, how things are, and what a person must see to. Values, and who is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from failover.core.judge import Evidence, Judgement
from failover.core.model import Arg, Decision, LinkState, Order, Reason, State, Verdict
from failover.core.path_mtu import PathMtu
from failover.netlink.routes import ChangeRefused, described
from failover.netlink.sockets import Ended
from failover.probes.engine import Asked
from failover.setup import Act, Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The node changed its mode, or its line within a mode."""

    at: float
    before: State
    after: State
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A line's verdict changed; or, with the same verdict before and after, whom it is charged to."""

    at: float
    line: str
    before: Verdict
    after: Verdict
    reason: Reason


class Recorder(Protocol):
    """Whoever keeps the record. It must not block and must not raise."""

    def moved(self, move: Move) -> None: ...

    def judged(self, judged: Judged) -> None: ...

    def link_changed(self, at: float, line: str, link: LinkState) -> None: ...

    def switched(self, seconds: float) -> None: ...

    def ended(self, at: float, line: str, connections: Ended, translations: Ended) -> None: ...

    def mtu_changed(self, at: float, line: str, path: PathMtu) -> None: ...


class ProblemCode(StrEnum):
    """What a person must see to. Names are stable."""

    PROBE_UNPINNED = "probe-unpinned"
    PROBE_IMPOSSIBLE = "probe-impossible"
    ROUTE_NOT_PERMITTED = "route-not-permitted"
    ROUTE_REFUSED = "route-refused"
    KERNEL_UNREADABLE = "kernel-unreadable"


@dataclass(frozen=True, slots=True)
class Problem:
    code: ProblemCode
    args: Mapping[str, Arg] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The watcher at one moment, for whoever shows it."""

    at: float
    setup: Setup
    may_route: bool
    state: State
    decision: Decision
    judgement: Judgement
    evidence: Mapping[str, Evidence]
    asked: Mapping[str, tuple[Asked, ...]]
    orders: tuple[Order, ...]
    routed: str | None  # the line that packets to the cloud really take, by what was read from the kernel
    mtus: Mapping[str, int]  # that the routes of lines were given
    problems: tuple[Problem, ...]


def problems(
    setup: Setup,
    asked: Mapping[str, Sequence[Asked]],
    *,
    plumbed: frozenset[str],
    refused: Sequence[ChangeRefused],
    unreadable: str | None,
    is_permitted: bool,
) -> Iterator[Problem]:
    """What a person must see to. `plumbed` are the lines that have a table of their own."""
    if unreadable is not None:
        yield Problem(ProblemCode.KERNEL_UNREADABLE, {"said": unreadable})
    if setup.act is Act.ENFORCE and not is_permitted:
        yield Problem(ProblemCode.ROUTE_NOT_PERMITTED)
    for each in refused:
        if not each.is_about_privilege:
            yield Problem(ProblemCode.ROUTE_REFUSED, {"change": described(each.change), "said": each.said})
    for line, targets in asked.items():
        is_asked = any(one.probe is not None for one in targets)
        if is_asked and (line not in plumbed or any(one.is_unpinned for one in targets)):
            yield Problem(ProblemCode.PROBE_UNPINNED, {"line": line, "missing": "mark"})
        for one in targets:
            if one.barred is not None:
                args: dict[str, Arg] = {"line": line, "target": one.target.name, "why": one.barred}
                yield Problem(ProblemCode.PROBE_IMPOSSIBLE, args)
