"""Windows and links of all lines -> a verdict and its reason per line.

Two speeds. *Death* is looked for on every call: silence of every cloud target for `dead_after_s`, or a link that has no
carrier, address or route. *Quality* is weighed once a second over a window, because a quantile of half a minute
does not change faster.

                    answers                            bad for confirm_s
        unknown ──────────────▶ up ───────────────────────────────────────▶ degraded
           │                    │ ◀─────────────────────────────────────────  │  ▲
           │ silent             │ silent        good for clean_s              │  │ answers
           ▼                    ▼                                      silent  ▼  │
           └──────────────────▶ down ◀────────────────────────────────────────┘  │
                                  └──────────────────────────────────────────────┘

Only a fall from *up* is charged (see `flap`): a line that stutters while it comes back has fallen once, not ten times.
Lines are judged together, because a target that is silent on all of them accuses the cloud and not a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from failover.core import flap
from failover.core.beyond import beyond, quiet_apps
from failover.core.evidence import WEIGH_EVERY_S, Evidence, Watched, badness, best, is_clean, lost_towards, usual
from failover.core.model import Code, Detect, LineHealth, LinkState, Policy, Reason, Role, Verdict
from failover.core.window import Summary

__all__ = ["Evidence", "Judgement", "Watched", "patience_s", "silent_at", "verdicts"]

GAP_S = 3.0  # longer between two weighings: nobody looked, and time in which nobody looked proves nothing
ALLOWANCE_S = 0.02  # an answer may be this late by scheduling alone
WEIGHTY_SAMPLES = 10  # below this many a share of losses says nothing
PARDON_S = 10.0  # the lines of one cloud miss it within moments of each other; an older fall was the line's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict per line, and what is wrong with targets that no line is to blame for."""

    health: Mapping[str, LineHealth]
    troubles: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one line's targets say at this moment: `True` silent, `False` heard, `None` never asked."""

    cloud: Mapping[str, bool | None]
    carrier_lives: bool

    def lives_beside(self, target: str) -> bool:
        return self.carrier_lives or any(name != target and quiet is False for name, quiet in self.cloud.items())


def verdicts(
    previous: Mapping[str, LineHealth], evidence: Mapping[str, Evidence], now: float, policy: Policy
) -> Judgement:
    """Judge every line of the policy. A line without evidence keeps its verdict."""
    heard = {
        line.name: _hear(previous.get(line.name, LineHealth()), evidence[line.name], now, line.detect)
        for line in policy.lines
        if line.name in evidence
    }
    cloudy = _silent_everywhere(heard)
    seen = {name: evidence[name] for name in heard}
    living = [name for name in heard if _lives(previous.get(name), heard[name])]
    found = beyond(seen, {name: quiet_apps(seen[name], now, policy.line(name).detect) for name in living})
    health = {}
    for line in policy.lines:
        before = previous.get(line.name) or LineHealth(since=now)
        known = evidence.get(line.name)
        if known is not None:
            blame = found.blames.get(line.name)
            before = _judge(before, known, heard[line.name], cloudy, now, line.detect, blame)
        health[line.name] = before
    return Judgement(health=health, troubles=(*_troubles(health, heard, cloudy), *found.troubles))


def silent_at(health: LineHealth, known: Evidence, now: float, detect: Detect) -> float | None:
    """When the line would be down if nothing more were heard: the time to look again. `None`: not by silence."""
    deadlines = [
        now + patience_s(health, watched, detect) - silence
        for watched in known.targets
        if watched.role is Role.CLOUD and (silence := watched.window.silence_s(now)) is not None
    ]
    return max(deadlines) if deadlines and health.verdict is not Verdict.DOWN else None


# ---- silence, on one line and on all


def patience_s(health: LineHealth, watched: Watched, detect: Detect) -> float:
    """Silence that is a death: `dead_after_s` in the target's own rhythm, and what its answers scatter anyway.

    Without the scatter, a reply that was early before the gap and late after it makes four lost probes look like five.
    """
    every_s = watched.every_s or detect.interval_s
    slower = max(1.0, every_s / detect.interval_s)
    return detect.dead_after_s * slower + ALLOWANCE_S + min(health.spread_s, detect.interval_s)


def _hear(health: LineHealth, known: Evidence, now: float, detect: Detect) -> _Heard:
    cloud: dict[str, bool | None] = {}
    carrier_lives = False
    for watched in known.targets:
        silence = watched.window.silence_s(now)
        quiet = None if silence is None else silence >= patience_s(health, watched, detect)
        if quiet is False and watched.window.heard_at is None:
            quiet = None  # asked, and it is too early to call it silent
        if watched.role is Role.CLOUD:
            cloud[watched.target] = quiet
        elif watched.role is Role.CARRIER and quiet is False:
            carrier_lives = True
    return _Heard(cloud, carrier_lives)


def _lives(health: LineHealth | None, heard: _Heard) -> bool:
    is_judged = health is not None and health.verdict in (Verdict.UP, Verdict.DEGRADED)
    return is_judged and not (heard.cloud and all(heard.cloud.values()))


def _silent_everywhere(heard: Mapping[str, _Heard]) -> frozenset[str]:
    """The targets that no line hears while two lines or more, by other answers, are alive.

    One living line would not do: then the path to this target may be at fault.
    """
    asked = {target for line in heard.values() for target in line.cloud}
    return frozenset(
        target
        for target in asked
        if all(line.cloud[target] for line in heard.values() if target in line.cloud)
        and sum(line.lives_beside(target) for line in heard.values() if target in line.cloud) >= 2
    )


def _troubles(
    health: Mapping[str, LineHealth], heard: Mapping[str, _Heard], cloudy: frozenset[str]
) -> tuple[Reason, ...]:
    everywhere = [
        Reason(Code.CLOUD_TROUBLE, target=target, lines=sum(target in line.cloud for line in heard.values()))
        for target in sorted(cloudy)
    ]
    here = [
        Reason(Code.TARGET_SILENT, target=target, line=name)
        for name, line in heard.items()
        if health[name].verdict is not Verdict.DOWN
        for target, quiet in line.cloud.items()
        if quiet and target not in cloudy
    ]
    return (*everywhere, *here)


# ---- one line


def _judge(
    health: LineHealth,
    known: Evidence,
    heard: _Heard,
    cloudy: frozenset[str],
    now: float,
    detect: Detect,
    blame: Reason | None,
) -> LineHealth:
    health = _skip_gap(health, now)
    death = _link_death(known.link) or _silence_death(known, heard, cloudy, now)
    if death is not None:
        return _die(health, death, now, detect)
    if health.verdict in (Verdict.UNKNOWN, Verdict.DOWN):
        return _revive(health, known, now)
    if health.weighed_at is None or now - health.weighed_at >= WEIGH_EVERY_S:
        return _weigh(health, known, heard, now, detect, blame)
    return health


def _skip_gap(health: LineHealth, now: float) -> LineHealth:
    """A judge that slept counts nothing of that time: not towards a hold, not towards a confirmation."""
    gap = 0.0 if health.weighed_at is None else now - health.weighed_at
    if gap <= GAP_S or health.verdict not in (Verdict.UP, Verdict.DEGRADED):
        return health
    return replace(
        health,
        weighed_at=now,
        bad_since=None,
        good_since=None if health.good_since is None else min(now, health.good_since + gap),
        alive_since=None if health.alive_since is None else min(now, health.alive_since + gap),
    )


def _link_death(link: LinkState) -> Reason | None:
    if link.present is False:
        return Reason(Code.NO_LINK)
    if link.carrier is False:
        return Reason(Code.NO_CARRIER)
    if link.has_address is False:
        return Reason(Code.NO_ADDRESS)
    if link.has_route is False:
        return Reason(Code.NO_ROUTE)
    return None


def _silence_death(known: Evidence, heard: _Heard, cloudy: frozenset[str], now: float) -> Reason | None:
    if not heard.cloud or not all(heard.cloud.values()):
        return None
    if cloudy.issuperset(heard.cloud):
        return Reason(Code.CLOUD_SILENT)
    silence = min(
        watched.window.silence_s(now) or 0.0
        for watched in known.targets
        if watched.role is Role.CLOUD and watched.target not in cloudy
    )
    return Reason(Code.SILENT, silent_s=silence, targets=len(heard.cloud))


def _die(health: LineHealth, death: Reason, now: float, detect: Detect) -> LineHealth:
    is_pardoned = death.code is Code.CLOUD_SILENT
    if health.verdict is not Verdict.DOWN:
        is_fall = health.verdict is Verdict.UP and not is_pardoned
        return replace(
            health,
            verdict=Verdict.DOWN,
            since=now,
            reason=death,
            alive_since=None,
            good_since=None,
            bad_since=None,
            loss_ratio=1.0,
            rtt_s=None,
            rtt_p95_s=None,
            flap=flap.fallen(health.flap, now, detect) if is_fall else health.flap,
            charged=health.flap if is_fall else None,
        )
    if death.code is health.reason.code:
        return health
    is_fresh = health.reason.code is Code.SILENT and now - health.since <= PARDON_S
    if is_pardoned and is_fresh and health.charged is not None:
        # The first line to miss the cloud was charged before the others missed it too.
        return replace(health, reason=death, flap=health.charged, charged=None)
    return replace(health, reason=death)


def _revive(health: LineHealth, known: Evidence, now: float) -> LineHealth:
    """The first sign of life. A line that was down must prove itself; one never seen before need not."""
    clouds = [watched.window.heard_at for watched in known.targets if watched.role is Role.CLOUD]
    if clouds:
        is_alive = any(at is not None and (health.verdict is Verdict.UNKNOWN or at >= health.since) for at in clouds)
        reason = Reason(Code.ANSWERS)
    else:
        is_alive = known.link.carrier is True
        reason = Reason(Code.LINK_ONLY)
    if not is_alive:
        return health
    is_new = health.verdict is Verdict.UNKNOWN and not health.owes_proof
    return replace(
        health,
        verdict=Verdict.UP if is_new else Verdict.DEGRADED,
        since=now,
        reason=reason if is_new else Reason(Code.RETURNING),
        alive_since=now,
        good_since=now,
        bad_since=None,
        samples_since=now - WEIGH_EVERY_S if is_new else now,
        weighed_at=now,
        loss_ratio=None,
        charged=None,
        owes_proof=False,
    )


def _weigh(
    health: LineHealth, known: Evidence, heard: _Heard, now: float, detect: Detect, against: Reason | None
) -> LineHealth:
    if not heard.cloud:
        return _weigh_link(replace(health, weighed_at=now), now, detect)
    is_up = health.verdict is Verdict.UP
    shown_since = health.samples_since if is_up else (now if health.alive_since is None else health.alive_since)
    whole = best(known, now, max(now - detect.window_s, shown_since), detect)
    lately = best(known, now, max(now - detect.clean_s, health.samples_since), detect)
    health = replace(
        health,
        weighed_at=now,
        loss_ratio=whole.loss_ratio if whole.samples else None,
        rtt_s=whole.rtt_p50_s,
        rtt_p95_s=whole.rtt_p95_s,
        spread_s=(whole.rtt_p95_s or 0.0) - (whole.rtt_min_s or 0.0),
    )
    if is_up:
        return _weigh_up(health, whole, lately, now, detect, lost_towards(known), against)
    return _weigh_degraded(health, lately, now, detect, against)


def _weigh_link(health: LineHealth, now: float, detect: Detect) -> LineHealth:
    if health.verdict is Verdict.DEGRADED and now - health.since >= detect.clean_s:
        return replace(health, verdict=Verdict.UP, since=now, reason=Reason(Code.LINK_ONLY))
    return health


def _weigh_up(
    health: LineHealth,
    whole: Summary,
    lately: Summary,
    now: float,
    detect: Detect,
    towards: str | None,
    against: Reason | None,
) -> LineHealth:
    is_weighty = now - health.samples_since >= detect.window_s / 3 and whole.samples >= WEIGHTY_SAMPLES
    blame = badness(whole, health.baseline_s, detect, towards) if is_weighty else None
    if against is not None:
        return _degrade(health, against, now, detect)  # three in a row have confirmed it already
    if blame is None:
        if badness(lately, health.baseline_s, detect) is not None and is_weighty:
            return replace(health, bad_since=None, good_since=now)  # not yet degraded, but no time to count as good
        baseline_s = usual(health.baseline_s, whole) if is_weighty else health.baseline_s
        return replace(health, bad_since=None, baseline_s=baseline_s)
    bad_since = now if health.bad_since is None else health.bad_since
    if now - bad_since < detect.confirm_s:
        return replace(health, bad_since=bad_since, good_since=now)
    return _degrade(health, blame, now, detect)


def _degrade(health: LineHealth, blame: Reason, now: float, detect: Detect) -> LineHealth:
    return replace(
        health,
        verdict=Verdict.DEGRADED,
        since=now,
        reason=blame,
        good_since=now,
        bad_since=None,
        samples_since=now,
        flap=flap.fallen(health.flap, now, detect),
        charged=None,
    )


def _weigh_degraded(
    health: LineHealth, lately: Summary, now: float, detect: Detect, against: Reason | None
) -> LineHealth:
    # Old samples made the line degraded; only what came since may acquit it.
    good_since = now if health.good_since is None else health.good_since
    if not is_clean(lately, health.baseline_s, detect):
        return replace(health, good_since=now, samples_since=now)
    if against is not None:
        return replace(health, good_since=now, samples_since=now, reason=against)
    if now - good_since < detect.clean_s:
        return health
    reason = Reason(Code.CLEAN, for_s=now - good_since)
    return replace(health, verdict=Verdict.UP, since=now, reason=reason, samples_since=good_since)
