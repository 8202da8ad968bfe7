"""What is known of a line, and what it measures. Pure.

What is the line's fault is seen by all of its targets, so the kindest of them speaks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from failover.core.model import Code, Detect, LinkState, Reason, Role
from failover.core.path_mtu import PathMtu
from failover.core.window import Summary, Window

WEIGH_EVERY_S = 1.0
BASELINE_DOWN_S = 60.0  # the usual round trip follows a faster line within minutes ...
BASELINE_UP_S = 3600.0  # ... and a slower one within hours, so that a bad day does not become the measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A target as asked through one line. `every_s` is `None` for the line's own interval.

    `lost_towards`: "out" or "back" where what is lost clearly goes missing that way; `None` where that is not known.
    """

    target: str
    window: Window
    role: Role = Role.CLOUD
    every_s: float | None = None
    lost_towards: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known about a line. Without a cloud target it is judged by its link alone.

    `path` is what is known of its largest packet, `is_mtu_set` whether its routes keep to that.
    """

    link: LinkState = field(default_factory=LinkState)
    targets: tuple[Watched, ...] = ()
    path: PathMtu | None = None
    is_mtu_set: bool = False


def best(known: Evidence, now: float, since: float, detect: Detect) -> Summary:
    """The kindest target's summary: what is the line's fault is seen by all of its targets."""
    summaries = [
        watched.window.summary(now, since=since, lost_after_s=detect.lost_after_s)
        for watched in known.targets
        if watched.role is Role.CLOUD
    ]
    heard = [summary for summary in summaries if summary.rtt_p95_s is not None]
    if not heard:
        return summaries[0]
    return min(heard, key=lambda summary: (summary.loss_ratio > detect.loss_bad, summary.rtt_p95_s, summary.loss_ratio))


def lost_towards(known: Evidence) -> str | None:
    """The direction in which the line loses: told by some of its targets, and contradicted by none."""
    told = {watched.lost_towards for watched in known.targets if watched.role is Role.CLOUD} - {None}
    return told.pop() if len(told) == 1 else None


_LOSS_TOWARDS = {"out": Code.LOSS_OUT, "back": Code.LOSS_BACK}


def badness(summary: Summary, baseline_s: float | None, detect: Detect, towards: str | None = None) -> Reason | None:
    """What is wrong beyond the limits; `towards` is the direction in which the line loses, where it is known."""
    if summary.loss_ratio > detect.loss_bad:
        code = _LOSS_TOWARDS.get(towards or "", Code.LOSS)
        return Reason(code, loss=summary.loss_ratio, limit=detect.loss_bad)
    limit_s = max(detect.rtt_bad_s, (baseline_s or 0.0) * detect.rtt_baseline_factor)
    if summary.rtt_p95_s is not None and summary.rtt_p95_s > limit_s:
        return Reason(Code.DELAY, rtt_p95_s=summary.rtt_p95_s, limit_s=limit_s)
    return None


def is_clean(summary: Summary, baseline_s: float | None, detect: Detect) -> bool:
    """Good enough to come back: below the lower bars. A single lost probe is never too many."""
    if summary.lost > max(1.0, detect.loss_ok * summary.samples):
        return False
    relaxed = detect.rtt_ok_s / detect.rtt_bad_s
    limit_s = max(detect.rtt_ok_s, (baseline_s or 0.0) * detect.rtt_baseline_factor * relaxed)
    return summary.rtt_p95_s is None or summary.rtt_p95_s <= limit_s


def usual(baseline_s: float | None, summary: Summary) -> float | None:
    """The line's usual round trip, moved a little towards its median of the window."""
    median_s = summary.rtt_p50_s
    if median_s is None or baseline_s is None:
        return median_s if baseline_s is None else baseline_s
    pace_s = BASELINE_DOWN_S if median_s < baseline_s else BASELINE_UP_S
    return baseline_s + (median_s - baseline_s) * WEIGH_EVERY_S / pace_s
