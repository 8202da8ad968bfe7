"""What a fall costs a line: a hold that doubles with every fall, and a penalty that decays.

The two do different work. The hold (60 s, 2 min, 4 min … half an hour) keeps us from returning to a line that falls
every few minutes all day; penalties alone would allow some 235 moves a day on a bursty line (`facts/lines.md`, 2d-bis).
The penalty (RFC 2439: so many points a fall, halved every `half_life_s`, suppressed above one bar and usable again
below a lower one) catches several falls within minutes, before the hold has grown.

Neither takes the last living line: they say "rather not", `decide` has the last word.
"""

from __future__ import annotations

from failover.core.model import Detect, Flap


def fallen(flap: Flap, now: float, detect: Detect) -> Flap:
    """The record after one more fall."""
    points = min(detect.penalty_max, penalty(flap, now, detect) + detect.penalty)
    was_suppressed = is_suppressed(flap, now, detect)
    return Flap(
        falls=(*_remembered(flap, now, detect), now),
        penalty=points,
        penalty_at=now,
        suppressed=was_suppressed or (0 < detect.suppress <= points),
    )


def penalty(flap: Flap, now: float, detect: Detect) -> float:
    """The points that are left at `now`."""
    if not flap.penalty:
        return 0.0
    return float(flap.penalty * 0.5 ** ((now - flap.penalty_at) / detect.half_life_s))


def is_suppressed(flap: Flap, now: float, detect: Detect) -> bool:
    return flap.suppressed and detect.suppress > 0 and penalty(flap, now, detect) >= detect.reuse


def hold_s(flap: Flap, now: float, detect: Detect) -> float:
    """How long the line must be good before it may be used again: 0 if it never fell within memory."""
    falls = sum(1 for at in flap.falls if now - at < detect.hold_memory_s)
    if not falls:
        return 0.0
    doublings = min(falls - 1, 32)  # 2^32 times the shortest hold is above every cap
    return min(detect.hold_s * 2.0**doublings, max(detect.hold_max_s, detect.hold_s))


def _remembered(flap: Flap, now: float, detect: Detect) -> tuple[float, ...]:
    return tuple(at for at in flap.falls if now - at < detect.hold_memory_s)[-64:]
