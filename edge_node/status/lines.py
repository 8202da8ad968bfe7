"""What the watcher of the lines wrote: the mode, and one entry per line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_node.base.files import ServiceStatus
from edge_node.status import shapes
from edge_node.status.model import Mode, Reason, Watch

VERDICTS = ("unknown", "up", "degraded", "down")
ORDERS = ("pin", "hold", "rehearse")
ACTS = ("observe", "enforce")
UNHEARD = Reason(code="links-unheard")
SILENT = Reason(code="links-silent")
NOT_HEARD = Reason(code="not-heard")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesRead:
    """The watcher's word. `outage_ended_ms` is when the node was offline last; None where that is not known."""

    is_heard: bool = False
    mode: Mode = Mode.STARTING
    since: str | None = None
    reason: Reason = UNHEARD
    outage_ended_ms: int | None = None
    lines: tuple[Mapping[str, Any], ...] = ()
    watch: Watch = field(default_factory=Watch)
    problems: tuple[Reason, ...] = ()


def read_links(file: ServiceStatus | None, *, fresh: bool, this_boot: str) -> LinesRead:
    """The file of the service `links`.

    Of one that is not `fresh` the mode is the last one known, and nothing is known of the lines but which one was in
    use: without its watcher the routes stay. A file of an earlier boot says nothing of this one.
    """
    same_boot = file is not None and file.boot_id == this_boot
    if file is None or not (fresh or same_boot):
        lines = _silent_lines(file.state, in_use=None) if file else ()
        return LinesRead(lines=lines)
    state = file.state
    mode = shapes.mapping(state.get("mode"))
    name = shapes.one_of(mode.get("name"), tuple(Mode))
    if name is None:
        return LinesRead(lines=_silent_lines(state, in_use=None))
    reason = shapes.reason(mode.get("reason")) or Reason(code="unknown")
    since = shapes.moment(mode.get("since"))
    line = shapes.words(state.get("line"))
    return LinesRead(
        is_heard=fresh,
        mode=Mode(name),
        since=since,
        reason=reason,
        outage_ended_ms=_outage_ended_ms(state, Mode(name), since, reason),
        lines=tuple(_lines(state)) if fresh else _silent_lines(state, in_use=line),
        watch=_watch(state, line) if fresh else Watch(line=line),
        problems=shapes.reasons(state.get("problems")) if fresh else (),
    )


def _outage_ended_ms(state: Mapping[str, Any], mode: Mode, since: str | None, reason: Reason) -> int | None:
    """When the node was offline last: what the watcher says, else the last move if that ended an outage."""
    if mode not in (Mode.ONLINE, Mode.BACKUP):
        return None
    said = shapes.moment_ms(state.get("offline_until"))
    if said is not None:
        return said
    return shapes.moment_ms(since) if reason.code == "back-online" else None


def _watch(state: Mapping[str, Any], line: str | None) -> Watch:
    may_route = state.get("may_route")
    return Watch(
        act=shapes.one_of(state.get("act"), ACTS),
        may_route=may_route if isinstance(may_route, bool) else None,
        why_not=shapes.reason(state.get("why_not")),
        wait=shapes.reason(state.get("wait")),
        line=line,
        routed=shapes.words(state.get("routed")),
        troubles=shapes.reasons(state.get("troubles")),
        orders=tuple(order for raw in shapes.objects(state.get("orders")) if (order := _order(raw))),
    )


def _order(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kind, line = shapes.one_of(raw.get("kind"), ORDERS), shapes.words(raw.get("line"))
    if kind is None or line is None:
        return None
    return {
        "id": shapes.words(raw.get("id")),
        "kind": kind,
        "line": line,
        "since": shapes.moment(raw.get("since")),
        "until": shapes.moment(raw.get("until")),
        "by": shapes.words(raw.get("by")),
        "why": shapes.words(raw.get("why")),
    }


def _lines(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_line(raw) for raw in shapes.objects(state.get("lines")) if shapes.words(raw.get("name"))]


def _line(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The contract's entry, and what we add to it."""
    return {
        "name": raw["name"],
        "carrier": shapes.words(raw.get("carrier")),
        "verdict": shapes.one_of(raw.get("verdict"), VERDICTS) or "unknown",
        "active": raw.get("active") is True,
        "preferred": shapes.count(raw.get("preferred")) or 0,
        "rtt_s": shapes.number(raw.get("rtt_s")),
        "rtt_p95_s": shapes.number(raw.get("rtt_p95_s")),
        "loss_ratio": shapes.ratio(raw.get("loss_ratio")),
        "since": shapes.moment(raw.get("since")),
        "reason": (shapes.reason(raw.get("reason")) or NOT_HEARD).as_json(),
        "interface": shapes.words(raw.get("interface")),
        "metered": raw.get("metered") is True,
        "hold_left_s": shapes.number(raw.get("hold_left_s")),
        "penalty": shapes.number(raw.get("penalty")),
        "suppressed": raw.get("suppressed") is True,
        "order": shapes.one_of(raw.get("order"), ORDERS),
        "targets": [_target(target) for target in shapes.objects(raw.get("targets"))],
    }


def _target(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": shapes.words(raw.get("address")),
        "kind": shapes.words(raw.get("kind")),
        "role": shapes.words(raw.get("role")),
        "loss_ratio": shapes.ratio(raw.get("loss_ratio")),
        "rtt_s": shapes.number(raw.get("rtt_s")),
        "jitter_s": shapes.number(raw.get("jitter_s")),
        "silent_s": shapes.number(raw.get("silent_s")),
        "direction": _direction(raw.get("direction")),
    }


def _direction(raw: Any) -> dict[str, Any] | None:
    """What is lost each way, of a target that can tell; None of every other."""
    if not isinstance(raw, Mapping):
        return None
    out, back, unknown = (shapes.mapping(raw.get(name)) for name in ("out", "back", "unknown"))
    return {
        "out": {"loss_ratio": shapes.ratio(out.get("loss_ratio")), "jitter_s": shapes.number(out.get("jitter_s"))},
        "back": {"loss_ratio": shapes.ratio(back.get("loss_ratio")), "jitter_s": shapes.number(back.get("jitter_s"))},
        "unknown": {"loss_ratio": shapes.ratio(unknown.get("loss_ratio"))},
    }


def _silent_lines(state: Mapping[str, Any], *, in_use: str | None) -> tuple[Mapping[str, Any], ...]:
    """The lines that there are; of each nothing is known, which is not "down"."""
    return tuple(
        {
            **_line({key: line[key] for key in ("name", "carrier", "preferred", "interface", "metered")}),
            "active": line["name"] == in_use,
            "reason": SILENT.as_json(),
        }
        for line in _lines(state)
    )
