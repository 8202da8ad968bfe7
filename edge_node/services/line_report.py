"""What the watcher says in its status file: one moment of it as JSON. Pure.

Times leave as UTC, computed from boot time at the moment of writing: a clock that is set meanwhile moves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from edge_node.base.clock import utc_text
from edge_node.services.line_record import LineRecord, reason_json
from failover.core import flap
from failover.core.explain import explain
from failover.core.judge import Evidence
from failover.core.model import LineHealth, LinePolicy, Role, Verdict
from failover.probes.directions import DirectionSummary
from failover.probes.engine import Asked
from failover.probes.stamp import StampProbe
from failover.setup import Act, ProbeKind
from failover.watcher import View

Utc = Callable[[float], str]

OBSERVING = {"code": "observing", "args": {}}
# Never an answer for so long: a person should look at both ends.
UNHEARD_S = 10.0
NOT_PERMITTED = {"code": "route-not-permitted", "args": {}}
NO_LINES = {"code": "no-lines", "args": {}}


def utc_of(apart_ms: int) -> Utc:
    """From boot time to UTC, by how far the two clocks are apart."""
    return lambda at: utc_text(round(at * 1000) + apart_ms)


def report(
    view: View,
    *,
    carriers: Mapping[str, str | None],
    utc: Utc,
    order_ids: Mapping[tuple[str, str], str],
    problems: list[dict[str, Any]],
    offline_until: float | None = None,
) -> dict[str, Any]:
    """The `state` of the status file, without the counters (`counters`).

    `offline_until` is when this process last saw the node come back from offline.
    """
    state, act = view.state, view.setup.act
    return {
        "act": act,
        "may_route": view.may_route,
        "why_not": None if view.may_route else OBSERVING if act is Act.OBSERVE else NOT_PERMITTED,
        "mode": {"name": state.mode, "since": utc(state.since), "reason": reason_json(_mode_reason(view))},
        "wait": reason_json(view.decision.reason),
        "offline_until": None if offline_until is None else utc(offline_until),
        "line": state.line,
        "routed": view.routed,
        "lines": [_line(line, view, carriers.get(line.name), utc) for line in view.setup.policy.lines],
        "troubles": [reason_json(trouble) for trouble in view.judgement.troubles],
        "problems": [
            *({"code": problem.code, "args": dict(problem.args)} for problem in view.problems),
            *(problem for line, asked in view.asked.items() for problem in unanswered(line, asked, view.at)),
            *problems,
        ],
        "orders": [
            {
                "id": order_ids.get((order.kind, order.line), ""),
                "kind": order.kind,
                "line": order.line,
                "since": utc(order.since),
                "until": utc(order.until),
                "by": order.by,
                "why": order.why,
            }
            for order in view.orders
        ],
    }


def report_without_lines(since: float, utc: Utc, act: str, problems: list[dict[str, Any]]) -> dict[str, Any]:
    """A node that has no line to watch is online, and says why."""
    return {
        "act": act,
        "may_route": False,
        "why_not": NO_LINES,
        "mode": {"name": "online", "since": utc(since), "reason": NO_LINES},
        "wait": NO_LINES,
        "offline_until": None,
        "line": None,
        "routed": None,
        "lines": [],
        "troubles": [],
        "problems": problems,
        "orders": [],
    }


def counters(record: LineRecord, blind_s: float) -> dict[str, Any]:
    return {
        "transitions": record.transitions.samples(),
        "switches": record.switches.samples(),
        "switch_seconds": record.switch_seconds.samples(),
        "probes": record.probes.samples(),
        "connections_ended": record.connections_ended.samples(),
        "rtt_seconds": record.rtt_seconds.samples(),
        "blind_seconds": round(blind_s, 3),
    }


def _mode_reason(view: View) -> Any:
    """Why the mode is what it is: the last move's reason; before the first, what is waited for."""
    return view.state.reason if view.state.since and view.state.mode != "starting" else view.decision.reason


def _line(line: LinePolicy, view: View, carrier: str | None, utc: Utc) -> dict[str, Any]:
    seen = view.judgement.health.get(line.name, LineHealth())
    known = view.evidence.get(line.name, Evidence())
    good_s = 0.0 if seen.good_since is None else view.at - seen.good_since
    is_alive = seen.verdict in (Verdict.UP, Verdict.DEGRADED)
    hold_s = flap.hold_s(seen.flap, view.at, line.detect)
    order = next((order.kind for order in view.orders if order.line == line.name), None)
    route = next(route for route in view.setup.layout.lines if route.name == line.name)
    rows = explain(line, view.judgement.health, known, view.at, orders=view.orders, policy=view.setup.policy)
    return {
        "name": line.name,
        "carrier": carrier,
        "verdict": seen.verdict,
        "active": line.name == view.state.line,
        "preferred": line.preferred,
        "rtt_s": _rounded(seen.rtt_s),
        "rtt_p95_s": _rounded(seen.rtt_p95_s),
        "loss_ratio": _rounded(seen.loss_ratio),
        "since": utc(seen.since) if seen.since else utc(view.at),
        "reason": reason_json(seen.reason),
        "metered": line.metered,
        "interface": route.interface,
        "hold_left_s": round(max(0.0, hold_s - good_s), 1) if is_alive or hold_s else 0.0,
        "penalty": round(flap.penalty(seen.flap, view.at, line.detect), 1),
        "suppressed": flap.is_suppressed(seen.flap, view.at, line.detect),
        "order": order,
        "mtu": view.mtus.get(line.name),
        "mtu_ok": None if known.path is None else known.path.is_ok,
        "targets": [_target(asked, view.at) for asked in view.asked.get(line.name, ())],
        "explain": [
            {"rule": row.rule, "value": row.value, "limit": row.limit, "holds": row.holds, "args": dict(row.args)}
            for row in rows
        ],
    }


def _target(asked: Asked, now: float) -> dict[str, Any]:
    detect = asked.detect
    summary = asked.window.summary(now, since=now - detect.window_s, lost_after_s=detect.lost_after_s)
    return {
        "address": asked.target.address,
        "name": asked.target.name,
        "kind": asked.target.kind,
        "role": Role(asked.target.role),
        "loss_ratio": _rounded(summary.loss_ratio) if summary.samples else None,
        "rtt_s": _rounded(summary.rtt_p50_s),
        "jitter_s": _rounded(asked.jitter_s),
        "silent_s": _rounded(asked.window.silence_s(now)),
        "barred": asked.barred,
        "direction": _direction(asked.by_way),
    }


def unanswered(line: str, targets: Sequence[Asked], now: float) -> Iterator[dict[str, Any]]:
    """Of STAMP targets that are silent: what comes in the place of answers, or that none came.

    A reflector that does not know our key is silent, as a dead line is: only both ends together can tell them apart.
    """
    others = [asked.window.silence_s(now) for asked in targets if asked.target.kind is not ProbeKind.STAMP]
    patience_s = max((asked.detect.dead_after_s for asked in targets), default=0.0)
    is_dark = bool(others) and all(silent_s is None or silent_s > patience_s for silent_s in others)
    for asked in targets:
        silent_s = asked.window.silence_s(now)
        if asked.target.kind is not ProbeKind.STAMP or asked.barred or silent_s is None or silent_s < patience_s:
            continue
        since = now - asked.detect.window_s
        instead = asked.probe.instead(since) if isinstance(asked.probe, StampProbe) else None
        args = {"line": line, "target": asked.target.name}
        if instead is not None:
            yield {"code": f"probe-{instead}", "args": args}
        elif asked.window.heard_at is None and silent_s >= UNHEARD_S and not is_dark:
            yield {"code": "probe-unheard", "args": args}


def _direction(seen: DirectionSummary | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "out": {"loss_ratio": _rounded(seen.loss_out_ratio), "jitter_s": _rounded(seen.jitter_out_s)},
        "back": {"loss_ratio": _rounded(seen.loss_back_ratio), "jitter_s": _rounded(seen.jitter_back_s)},
        "unknown": {"loss_ratio": _rounded(seen.lost_unknown_ratio)},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
