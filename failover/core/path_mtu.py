"""The largest packet that passes a line. Pure.

A tunnel of the carrier's may swallow large packets without a word: every small probe comes back, and every transfer
hangs. So a packet of the full size that must not be divided is asked about now and then (`WATCH`). Three of them in a
row without an answer, while small ones to the same target were answered, are followed by quick questions: the other
targets' (`OTHERS`; a target that ignores large pings is no fault of the line), then ever closer sizes (`SEARCH`) until
the largest that passes is known. That size is watched from then on, and every ten minutes a larger one is tried, so
that a healed line gets its whole MTU back.

What was never answered at any size is not known: a target may ignore large pings, and TCP may pass all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from failover.core.reasons import Code, Reason

SMALL = 60  # bytes of an ordinary question, headers included: that it passes is known, or there is nothing to find
SMALLEST = 576  # every host takes packets of this size (RFC 791); below it no MTU is set
MISSES = 3  # questions of one size in a row without an answer: a single lost packet is no black hole
TRY_LARGER_S = 600.0


class Phase(StrEnum):
    WATCH = "watch"
    OTHERS = "others"
    SEARCH = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMtu:
    """What is known of one line's largest packet, and what is asked next.

    `expected` is the interface's MTU. `limit` is the largest size that passes where that is less; `is_told`: a router
    said so, and whoever sends learns it by himself. `is_shut`: large packets passed once, and now not even the
    smallest that counts does. `target` is the place of the one that is asked, of `targets`.
    """

    expected: int
    limit: int | None = None
    is_told: bool = False
    has_passed: bool = False
    is_shut: bool = False
    phase: Phase = Phase.WATCH
    missed: int = 0
    low: int = SMALL  # while searching: the largest size known to pass ...
    high: int = 0  # ... and the smallest known not to
    hint: int | None = None  # a router's word, tried first
    try_at: float = float("-inf")  # not searched again before
    targets: int = 1
    target: int = 0
    tried: int = 0

    @property
    def size(self) -> int:
        """How large the next question is."""
        if self.phase is not Phase.SEARCH:
            return self.expected if self.limit is None else self.limit
        if self.high > self.expected:
            return self.expected
        if self.hint is not None and self.low < self.hint < self.high:
            return self.hint
        found = next_size(self.low, self.high)
        return self.expected if found is None else found

    @property
    def is_hurried(self) -> bool:
        """Is something open that is to be known soon?"""
        return self.phase is not Phase.WATCH

    @property
    def is_ok(self) -> bool | None:
        """Do packets of the full size pass? `None`: not known."""
        if self.limit is not None or self.is_shut:
            return False
        return True if self.has_passed else None

    @property
    def passes(self) -> int:
        """The largest size that passes, as far as is known."""
        if self.limit is not None:
            return self.limit
        return SMALL if self.is_shut else self.expected


def next_size(known_good: int, known_bad: int) -> int | None:
    """The size to try between one that passes and one that does not; `None` where nothing is left to find."""
    if known_bad <= SMALLEST or known_bad - known_good <= 1:
        return None
    return SMALLEST if known_good < SMALLEST else (known_good + known_bad) // 2


def looked(path: PathMtu, now: float) -> PathMtu:
    """Before a question: is it time to try a larger size?"""
    if path.phase is Phase.WATCH and path.limit is not None and now >= path.try_at:
        return replace(path, phase=Phase.SEARCH, low=path.limit, high=path.expected + 1, hint=None, missed=0)
    return path


def answered(path: PathMtu, size: int, now: float) -> PathMtu:
    """A packet of this size passed, however late its answer came."""
    if size >= path.expected:
        return replace(path, has_passed=True, limit=None, is_told=False, is_shut=False, phase=Phase.WATCH, missed=0)
    if path.phase is not Phase.SEARCH:
        return replace(path, phase=Phase.WATCH, missed=0)
    if size >= path.high:  # it was counted as missed before its answer came
        path = replace(path, high=path.expected)
    return _concluded(replace(path, low=max(path.low, size), missed=0), now)


def missed(path: PathMtu, now: float) -> PathMtu:
    """A question of the present size was not answered, though small ones to the same target were."""
    size = path.size
    path = replace(path, missed=path.missed + 1)
    if path.missed < MISSES:
        return path
    match path.phase:
        case Phase.WATCH if path.limit is None and now < path.try_at:
            return replace(path, missed=MISSES)
        case Phase.WATCH if path.targets > 1:
            return _other(replace(path, phase=Phase.OTHERS, tried=1))
        case Phase.OTHERS if path.tried < path.targets - 1:
            return _other(replace(path, tried=path.tried + 1))
        case Phase.WATCH | Phase.OTHERS:
            return _searching(path, size)
        case Phase.SEARCH:
            is_told = path.is_told and size != path.hint
            return _concluded(replace(path, high=size, missed=0, is_told=is_told), now)


def told(path: PathMtu, size: int, mtu: int, now: float) -> PathMtu:
    """A router said that packets of `size` are too large, and which size is not."""
    if size != path.size:
        return path
    if not SMALLEST <= mtu < size:
        return missed(path, now)
    return replace(path, phase=Phase.SEARCH, low=SMALL, high=mtu + 1, hint=mtu, is_told=True, missed=0)


def unproven(path: PathMtu) -> PathMtu:
    """Small questions were not answered either: nothing follows, and a search is given up."""
    return replace(path, phase=Phase.WATCH, missed=0) if path.is_hurried else path


def _other(path: PathMtu) -> PathMtu:
    return replace(path, target=(path.target + 1) % path.targets, missed=0)


def _searching(path: PathMtu, high: int) -> PathMtu:
    first = (path.target + 1) % path.targets  # whom the others were asked in place of
    return replace(
        path, phase=Phase.SEARCH, low=SMALL, high=high, hint=None, is_told=False, missed=0, tried=0, target=first
    )


def _concluded(path: PathMtu, now: float) -> PathMtu:
    if path.high > path.expected or next_size(path.low, path.high) is not None:
        return path
    path = replace(path, phase=Phase.WATCH, hint=None, try_at=now + TRY_LARGER_S)
    if path.low >= SMALLEST:
        return replace(path, limit=path.low, is_shut=False)
    return replace(path, limit=None, is_shut=path.has_passed)


# ---- what follows for the line


def blame(path: PathMtu | None, *, is_set: bool) -> Reason | None:
    """What speaks against the line: large packets vanish, and no route's MTU keeps them from being sent."""
    if path is None or path.is_ok is not False or path.is_told or (is_set and path.limit is not None):
        return None
    return Reason(Code.MTU, mtu=path.passes, expected=path.expected)


def trouble(line: str, path: PathMtu | None, *, is_set: bool) -> Reason | None:
    """What is to be shown although nothing is lost by it."""
    if path is None or path.is_ok is not False or blame(path, is_set=is_set) is not None:
        return None
    return Reason(Code.MTU_SMALL, line=line, mtu=path.passes, expected=path.expected)
