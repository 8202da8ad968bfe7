"""When a copy is to be looked at and to be drilled by the node itself; pure.

Where systemd's timers do both, this is only the safety net under them: it waits until they have certainly missed. Where
nobody else does (`edge-node up`), the night comes first, since a restore takes a processor for minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

_HOUR_S, _DAY_S = 3600.0, 86_400.0


class Proof(StrEnum):
    """What proves a copy; the names of the commands."""

    DRILL = "drill"
    VERIFY = "verify"


# The rhythm of the timers, `systemd/edge-drill.timer` and `edge-verify.timer`.
EVERY_S: Mapping[Proof, float] = {Proof.DRILL: 7 * _DAY_S, Proof.VERIFY: _DAY_S}
# By then a timer that is there has run: up to 30 minutes of its own delay, a drill that waited, a machine switched on.
GRACE_S: Mapping[Proof, float] = {Proof.DRILL: _DAY_S, Proof.VERIFY: 6 * _HOUR_S}
# In a night it may be so much too early; else each would come a little later than the one before, into the day.
EARLY_S: Mapping[Proof, float] = {Proof.DRILL: _DAY_S, Proof.VERIFY: 6 * _HOUR_S}
NIGHT = range(2, 5)  # hours of the clinic's clock
# A copy that was never proven is soon; a node that has just started has other things to do.
FIRST_S = _HOUR_S


def due(
    proof: Proof,
    lasts_ms: Mapping[str, int | None],
    *,
    now_ms: int,
    started_ms: int,
    hour: int,
    has_timers: bool,
) -> Sequence[str]:
    """The destinations whose turn it is, the longest unproven first.

    `lasts_ms` is when each was last drilled or looked at, whatever that showed; `hour` is the hour of the clinic's
    clock. A time that is still to come was written by a clock that was wrong, and counts for nothing.
    """
    known = {name: None if at is None or at > now_ms else at for name, at in lasts_ms.items()}

    def is_due(last_ms: int | None) -> bool:
        every_s, age_s = EVERY_S[proof], (now_ms - (started_ms if last_ms is None else last_ms)) / 1000
        if has_timers:
            return age_s >= every_s + GRACE_S[proof]
        if last_ms is None:
            return age_s >= FIRST_S
        return age_s >= every_s + GRACE_S[proof] or (hour in NIGHT and age_s >= every_s - EARLY_S[proof])

    return sorted((name for name, last in known.items() if is_due(last)), key=lambda name: (known[name] or 0, name))
