"""One incident as a document: what happened, how it was detected, and everything around it. Pure but for its reading.

`incident.json` of a bundle; its keys are in README.md of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from edge_node.base.clock import utc_text
from edge_node.config.line_schema import Line, TargetRole
from edge_node.i18n import LANGUAGES, reason_text, translate
from edge_node.journal import queries
from edge_node.journal.incidents import Edge, LineIncident, transitions_of, verdict_at
from edge_node.journal.raw import RADIUS_S, Raw, RawSamples, Span
from edge_node.store.connection import Connection
from monitoring.sla import Reason, Window

SCHEMA = 1
# Of one bundle: two lines need five thousand, four fast ones a hundred thousand.
MOST_SAMPLES = 100_000
_ANSWERED = ("answered", "late")
_UNANSWERED = ("lost", "unreachable", "refused")
_LINK_FIELDS = ("present", "carrier", "has_address", "has_route")
PHASES = ("before", "during", "after")

# The rule that a reason comes from, and the limits of the configuration that it compares with.
RULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "silent": ("no answer from any target", ("dead_after_s", "interval_s")),
    "cloud-silent": ("no answer from any target, on every line alike", ("dead_after_s", "interval_s")),
    "loss": ("share of lost probes over the window", ("loss_bad", "window_s", "confirm_s")),
    "loss-out": ("share of lost probes over the window", ("loss_bad", "window_s", "confirm_s")),
    "loss-back": ("share of lost probes over the window", ("loss_bad", "window_s", "confirm_s")),
    "mtu": ("large packets vanish, small ones pass", ()),
    "delay": ("95 in 100 answers over the window", ("rtt_bad_s", "rtt_baseline_factor", "window_s", "confirm_s")),
    "no-carrier": ("the interface has no carrier (kernel)", ()),
    "no-link": ("the interface is gone (kernel)", ()),
    "no-address": ("the address is gone from the interface (kernel)", ()),
    "no-route": ("the line's own route is gone (kernel)", ()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whose evidence it is, and how its lines are configured. `zone` is the name of the zone of `local`."""

    node_id: str
    node_name: str
    version: str
    lines: tuple[Line, ...]
    zone: str
    local: Callable[[int], datetime]

    def line(self, name: str) -> Line | None:
        return next((line for line in self.lines if line.name == name), None)


def target_name(address: object, port: int | None) -> str:
    """As the watcher calls a target in its traces."""
    return str(address) if port is None else f"{address}:{port}"


def document(
    conn: Connection,
    one: LineIncident,
    raw: RawSamples,
    spans: Sequence[Span],
    about: About,
    *,
    clock: Mapping[str, Any],
    now_ms: int,
    earlier: str | None = None,
) -> dict[str, Any]:
    """The whole incident. `earlier` is the digest of a bundle that was frozen while it went on."""
    incident, line = one.incident, about.line(one.line)
    end = one.end or Edge(at_ms=now_ms)
    phases = _phased(raw.samples, one.start, one.end)
    own = [(phase, sample) for phase, sample in phases if sample.line == one.line]
    whole = Window(start_ms=min(incident.start_ms, incident.end_ms), end_ms=max(incident.end_ms, incident.start_ms) + 1)
    return {
        "schema": SCHEMA,
        "incident": one.ref,
        "node": {"id": about.node_id, "name": about.node_name, "version": about.version},
        "line": {
            "name": one.line,
            "carrier": line.carrier if line else None,
            "circuit": line.circuit if line else None,
            "configuration": configuration(line) if line else None,
        },
        "state": incident.state,
        "start": _moment(one.start, about),
        "end": None if one.end is None else _moment(one.end, about),
        "goes_on": one.end is None,
        "duration_s": round(one.duration_s, 3),
        "duration_by": "boot time" if one.has_boottime else "wall clock",
        "counted_s": incident.counted_ms / 1000,
        "excluded_s": incident.excluded_ms / 1000,
        "unknown_s": incident.unknown_ms / 1000,
        "maintenance": _maintenance(conn, one.line, whole),
        "signal": {**_reason(incident.reason), **_rule(incident.reason.code, line)},
        "directions": _directions(conn, one.line, whole, own),
        "last_hop": _last_hop(line, own),
        "link": _links(conn, one, end),
        "probes": _probes(own, line),
        "other_lines": [_other(conn, name, one, end, phases) for name in _others(conn, one, about, raw)],
        "in_use": _in_use(conn, whole, now_ms, about),
        "transitions": [_transition(row) for row in transitions_of(conn, one)],
        "clock": {
            **clock,
            "asked_at": utc_text(now_ms),
            "set_meanwhile": [{"at": utc_text(at), "by_s": by_s} for at, by_s in raw.clock_steps],
        },
        "samples": {
            "radius_s": RADIUS_S,
            "count": len(raw.samples),
            "is_cut": raw.is_cut,
            "parts": _parts(raw, spans, one),
            "days_without_file": list(raw.days_missing),
        },
        "earlier": earlier,
        "made_at": utc_text(now_ms),
    }


def configuration(line: Line) -> dict[str, Any]:
    """The line's table of the configuration. Secrets never stand there: a key is the name of a credential."""
    return line.model_dump(mode="json", exclude_none=True)


def _moment(edge: Edge, about: About) -> dict[str, Any]:
    return {
        "utc": utc_text(edge.at_ms),
        "local": about.local(edge.at_ms).isoformat(timespec="milliseconds"),
        "zone": about.zone,
        "boottime_s": edge.boottime,
        "boot_id": edge.boot_id,
    }


def _reason(reason: Reason) -> dict[str, Any]:
    said = reason_text(reason.code, reason.args)
    return {
        "code": reason.code,
        "args": dict(reason.args),
        "sentence": {language: translate(said, language) for language in LANGUAGES},
    }


def _rule(code: str, line: Line | None) -> dict[str, Any]:
    rule, names = RULES.get(code, (None, ()))
    limits = line.detect.model_dump(mode="json") if line else {}
    return {"rule": rule, "limits": {name: limits[name] for name in names if name in limits}}


def _phased(samples: Iterable[Raw], start: Edge, end: Edge | None) -> list[tuple[str, Raw]]:
    return [
        ("before" if _is_before(one, start) else "during" if end is None or _is_before(one, end) else "after", one)
        for one in samples
    ]


def _is_before(sample: Raw, edge: Edge) -> bool:
    if edge.boottime is not None and sample.boot_id == edge.boot_id:
        return sample.boottime < edge.boottime
    return sample.at_ms < edge.at_ms


def _counted(samples: Sequence[Raw]) -> dict[str, Any]:
    """What became of questions. A late answer stands for the question that was told as lost before."""
    answers = [one for one in samples if one.outcome in _ANSWERED]
    late = {(one.target, one.boottime) for one in samples if one.outcome == "late"}
    lost = [one for one in samples if one.outcome in _UNANSWERED and (one.target, one.boottime) not in late]
    times = sorted(one.rtt_s for one in answers if one.rtt_s is not None)
    return {
        "asked": len(answers) + len(lost),
        "answered": len(answers),
        "lost": len(lost),
        "lost_out": sum(one.lost == "out" for one in lost),
        "lost_back": sum(one.lost == "back" for one in lost),
        "blind": sum(one.outcome == "blind" for one in samples),
        "rtt_p50_s": times[len(times) // 2] if times else None,
        "rtt_max_s": times[-1] if times else None,
        "last_answer_at": utc_text(max(one.at_ms for one in answers)) if answers else None,
    }


def _probes(own: Sequence[tuple[str, Raw]], line: Line | None) -> list[dict[str, Any]]:
    roles = _roles(line)
    targets = sorted({sample.target for _, sample in own})
    return [
        {
            "target": target,
            "role": roles.get(target),
            "phase": phase,
            **_counted([sample for at, sample in own if at == phase and sample.target == target]),
        }
        for target in targets
        for phase in PHASES
        if any(at == phase and sample.target == target for at, sample in own)
    ]


def _roles(line: Line | None) -> dict[str, str]:
    return {target_name(one.address, one.port): str(one.role) for one in line.target} if line else {}


def _directions(
    conn: Connection, line: str, whole: Window, own: Sequence[tuple[str, Raw]]
) -> dict[str, dict[str, int | None]]:
    """Losses by the way on which they happened; of the raw samples, and of all whole minutes of the incident."""
    during = _counted([sample for phase, sample in own if phase == "during"])
    minutes = queries.measured(conn, line, whole)
    return {
        "samples": {
            "out": during["lost_out"],
            "back": during["lost_back"],
            "unknown": during["lost"] - during["lost_out"] - during["lost_back"],
        },
        "minutes": {
            "out": minutes.lost_out,
            "back": minutes.lost_back,
            "unknown": minutes.lost - minutes.lost_out - minutes.lost_back,
        },
    }


def _last_hop(line: Line | None, own: Sequence[tuple[str, Raw]]) -> dict[str, Any]:
    """Did the carrier's own gateway answer while the cloud did not? None where it was not asked."""
    carriers = [name for name, role in _roles(line).items() if role == TargetRole.CARRIER]
    during = [sample for phase, sample in own if phase == "during" and sample.target in carriers]
    counted = _counted(during)
    answered: bool | None = counted["answered"] > 0 if counted["asked"] else None
    return {"targets": carriers, "answered": answered,
            **{key: counted[key] for key in ("asked", "lost", "last_answer_at")}}  # fmt: skip


def _links(conn: Connection, one: LineIncident, end: Edge) -> dict[str, Any]:
    """The interface of the line: as it was at the start, and what changed until the end."""
    start_ms, end_ms = one.start.at_ms, end.at_ms
    before = conn.execute(
        "SELECT * FROM link WHERE line = ? AND at <= ? ORDER BY at DESC LIMIT 1", (one.line, start_ms)
    ).fetchone()
    rows = conn.execute(
        "SELECT * FROM link WHERE line = ? AND at > ? AND at <= ? ORDER BY at LIMIT 200", (one.line, start_ms, end_ms)
    ).fetchall()

    def shown(row: Any) -> dict[str, Any]:
        return {"at": utc_text(row["at"]), **{name: _three(row[name]) for name in _LINK_FIELDS}}

    return {"at_start": shown(before) if before else None, "changes": [shown(row) for row in rows]}


def _three(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _others(conn: Connection, one: LineIncident, about: About, raw: RawSamples) -> list[str]:
    names = {line.name for line in about.lines} | {sample.line for sample in raw.samples}
    rows = conn.execute(
        "SELECT DISTINCT subject FROM transition WHERE kind = 'verdict' AND at >= ? AND at <= ?",
        (one.start.at_ms - 86_400_000, (one.end or one.start).at_ms),
    )
    return sorted((names | {str(name) for (name,) in rows}) - {one.line})


def _other(
    conn: Connection, name: str, one: LineIncident, end: Edge, phases: Sequence[tuple[str, Raw]]
) -> dict[str, Any]:
    line_samples = [sample for phase, sample in phases if phase == "during" and sample.line == name]
    return {
        "name": name,
        "at_start": _verdict(conn, name, one.start),
        "at_end": _verdict(conn, name, end),
        "probes_during": _counted(line_samples),
    }


def _verdict(conn: Connection, name: str, edge: Edge) -> dict[str, Any]:
    told = verdict_at(conn, name, edge)
    since_ms = told["since_ms"]
    return {"verdict": told["verdict"], "since": None if since_ms is None else utc_text(since_ms),
            "reason": _reason(told["reason"]) if told["reason"].code else None}  # fmt: skip


def _in_use(conn: Connection, whole: Window, now_ms: int, about: About) -> list[dict[str, Any]]:
    return [
        {"line": use.line, "from": utc_text(use.start_ms), "until": utc_text(use.end_ms)}
        for use in queries.in_use(conn, whole, now_ms=now_ms)
        if use.end_ms > whole.start_ms and use.start_ms < whole.end_ms
    ]


def _maintenance(conn: Connection, line: str, whole: Window) -> list[dict[str, Any]]:
    return [work.as_json() for work in queries.maintenance(conn, line, whole) if work.until_ms > work.start_ms]


def _transition(row: Any) -> dict[str, Any]:
    reason = queries.reason_of(row)
    return {
        "at": utc_text(row["at"]),
        "kind": row["kind"],
        "subject": row["subject"],
        "from": row["from_state"],
        "to": row["to_state"],
        "from_line": row["from_line"],
        "to_line": row["to_line"],
        **_reason(reason),
    }


def _parts(raw: RawSamples, spans: Sequence[Span], one: LineIncident) -> list[dict[str, Any]]:
    """Which part of the samples is there, and which is missing."""
    names = ["start and end"] if len(spans) == 1 and one.end is not None else ["start", "end"]
    found = []
    for name, span in zip(names, spans, strict=False):
        inside = [sample for sample in raw.samples if span.holds(sample)]
        times = sorted(sample.boottime for sample in inside)
        # A span is whole where samples reach to within a quarter of the radius of both of its ends.
        slack = RADIUS_S / 4
        low, high = (span.start, span.end) if span.boot_id is not None else (times[:1] + times[-1:] or (0, 0))
        covers = bool(times) and times[0] <= low + slack and times[-1] >= high - slack
        held = "missing" if not times else "whole" if covers and _largest_gap(times) <= slack else "in part"
        found.append({"around": name, "state": held, "count": len(inside)})
    return found


def _largest_gap(times: Sequence[float]) -> float:
    return max((later - sooner for sooner, later in pairwise(times)), default=0.0)
