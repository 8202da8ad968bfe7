"""Rule by rule, with its values: why a line has its verdict, and what keeps traffic on it or away. Pure.

`line explain` prints these rows. Each says whether its rule lets the line be used; all of them hold for a line that is
up and wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from failover.core import flap, path_mtu
from failover.core.beyond import quiet_apps
from failover.core.judge import Evidence, patience_s
from failover.core.model import Code, Detect, LineHealth, LinePolicy, Order, OrderKind, Policy, Role, Verdict

_UNSEEN = LineHealth()
_DASH = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rule: what was found, what is allowed, and whether the rule lets the line be used.

    `args` are the same figures for whoever says them in another language.
    """

    rule: str
    value: str
    limit: str
    holds: bool
    args: Mapping[str, Any] = field(default_factory=dict, compare=False)


def explain(
    line: LinePolicy,
    health: Mapping[str, LineHealth],
    known: Evidence,
    now: float,
    *,
    orders: Sequence[Order],
    policy: Policy,
) -> tuple[Row, ...]:
    """Every rule that a line of the policy is under."""
    seen = health.get(line.name, _UNSEEN)
    return (
        _link(known),
        *_silence(seen, known, now, line.detect),
        *_quality(seen, known, line.detect),
        *_beyond(seen, known, now, line.detect),
        *_return(seen, now, line.detect),
        *_orders(line, orders, now),
        _preference(line, health, policy),
    )


def _link(known: Evidence) -> Row:
    link = known.link
    parts = {"present": link.present, "carrier": link.carrier, "address": link.has_address, "route": link.has_route}
    words = ", ".join(f"{name} {_three(value)}" for name, value in parts.items())
    return Row(rule="link", value=words, limit="all there", holds=False not in parts.values(), args=parts)


def _silence(seen: LineHealth, known: Evidence, now: float, detect: Detect) -> Iterator[Row]:
    clouds = [watched for watched in known.targets if watched.role is Role.CLOUD]
    if not clouds:
        yield Row(rule="silence", value="no target to ask", limit=_DASH, holds=True, args={"targets": 0})
        return
    heard = [(watched.window.silence_s(now), patience_s(seen, watched, detect)) for watched in clouds]
    kindest = min(heard, key=lambda pair: float("inf") if pair[0] is None else pair[0] - pair[1])
    silent_s, limit_s = kindest
    yield Row(
        rule="silence",
        value="never asked" if silent_s is None else f"{silent_s:.2f} s",
        limit=f"{limit_s:.2f} s on {len(clouds)} of {len(clouds)} targets",
        holds=silent_s is None or silent_s < limit_s,
        args={"silent_s": silent_s, "limit_s": limit_s, "targets": len(clouds)},
    )


def _quality(seen: LineHealth, known: Evidence, detect: Detect) -> Iterator[Row]:
    if not any(watched.role is Role.CLOUD for watched in known.targets):
        return
    is_left_for = seen.verdict is Verdict.DEGRADED
    loss = detect.loss_ok if is_left_for else detect.loss_bad
    yield Row(
        rule="loss",
        value=_DASH if seen.loss_ratio is None else f"{seen.loss_ratio:.1%}",
        limit=f"{loss:.1%}",
        holds=seen.loss_ratio is None or seen.loss_ratio <= loss,
        args={"loss_ratio": seen.loss_ratio, "limit": loss},
    )
    usual_s = (seen.baseline_s or 0.0) * detect.rtt_baseline_factor
    limit_s = max(detect.rtt_bad_s, usual_s)
    if is_left_for:
        limit_s = max(detect.rtt_ok_s, usual_s * detect.rtt_ok_s / detect.rtt_bad_s)
    yield Row(
        rule="delay (p95)",
        value=_DASH if seen.rtt_p95_s is None else f"{seen.rtt_p95_s * 1000:.1f} ms",
        limit=f"{limit_s * 1000:.0f} ms",
        holds=seen.rtt_p95_s is None or seen.rtt_p95_s <= limit_s,
        args={"rtt_p95_s": seen.rtt_p95_s, "limit_s": limit_s},
    )
    if seen.reason.code is Code.RETURNING:
        args = {"clean_s": detect.clean_s}
        yield Row(rule="clean", value="yet to prove itself", limit=f"{detect.clean_s:.0f} s", holds=False, args=args)


def _beyond(seen: LineHealth, known: Evidence, now: float, detect: Detect) -> Iterator[Row]:
    path = known.path
    if path is not None and path.is_ok is not None:
        yield Row(
            rule="mtu",
            value=f"{path.passes} bytes pass" + (", set on its routes" if known.is_mtu_set else ""),
            limit=f"{path.expected} bytes",
            holds=path_mtu.blame(path, is_set=known.is_mtu_set) is None,
            args={"mtu": path.passes, "expected": path.expected, "is_set": known.is_mtu_set},
        )
    for target, is_quiet in quiet_apps(known, now, detect).items():
        is_blamed = seen.reason.code is Code.APP_SILENT and seen.reason.args.get("target") == target
        yield Row(
            rule="application",
            value=f"{target} {'too early to tell' if is_quiet is None else 'silent' if is_quiet else 'heard'}",
            limit="heard where another line hears it",
            holds=not is_blamed,
            args={"target": target, "is_quiet": is_quiet},
        )


def _return(seen: LineHealth, now: float, detect: Detect) -> Iterator[Row]:
    good_s = 0.0 if seen.good_since is None else now - seen.good_since
    hold_s = max(detect.hold_s, flap.hold_s(seen.flap, now, detect))
    yield Row(
        rule="hold",
        value=f"good for {good_s:.0f} s",
        limit=f"{hold_s:.0f} s",
        holds=good_s >= hold_s,
        args={"good_s": good_s, "hold_s": hold_s},
    )
    points = flap.penalty(seen.flap, now, detect)
    is_suppressed = flap.is_suppressed(seen.flap, now, detect)
    below = (detect.reuse if is_suppressed else detect.suppress) if detect.suppress else None
    limit = "switched off" if below is None else f"below {below}"
    args = {"points": points, "below": below}
    yield Row(rule="penalty", value=f"{points:.0f}", limit=limit, holds=not is_suppressed, args=args)


def _orders(line: LinePolicy, orders: Sequence[Order], now: float) -> Iterator[Row]:
    for order in orders:
        if order.line == line.name and order.holds_at(now):
            value = f"{order.kind}, by {order.by or 'somebody'}"
            limit = f"{order.until - now:.0f} s left"
            args = {"kind": order.kind, "by": order.by, "left_s": order.until - now}
            yield Row(rule="order", value=value, limit=limit, holds=order.kind is not OrderKind.REHEARSE, args=args)


def _preference(line: LinePolicy, health: Mapping[str, LineHealth], policy: Policy) -> Row:
    """Is there a living line that comes before this one?"""
    mine = (line.metered, line.preferred)
    before = [
        other.name
        for other in policy.lines
        if (other.metered, other.preferred) < mine
        and health.get(other.name, _UNSEEN).verdict in (Verdict.UP, Verdict.DEGRADED)
    ]
    place = f"{line.preferred}{', metered' if line.metered else ''}"
    return Row(
        rule="preference",
        value=place,
        limit=f"after {', '.join(before)}" if before else "first",
        holds=not before,
        args={"preferred": line.preferred, "metered": line.metered, "after": before},
    )


def _three(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"
