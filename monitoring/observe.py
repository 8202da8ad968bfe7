"""After a time in observe: what enforce would have done. Pure: moves that were decided and not acted on, into figures.

The watcher decides in observe as it does in enforce; only the routes stay. So what it decided is what would have
happened, but for one thing: nobody can say how a connection would have taken a move.

*Bridged* is time in which the line that traffic goes by (`main`) was down while the watcher had decided for another
one. A move is *hasty* when it was taken back within two minutes and bridged next to nothing: it would have cost more
than it gained. Times are UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitoring.sla import LINE, Account, Incident, Piece, Reason, Window, account, incidents

HASTY_WITHIN_MS = 120_000
WORTH_MS = 5_000  # a move that bridged less than this was not worth it
FLAPS_A_DAY = 6  # moves away from one line within a day, from which on it is to be looked at
FLAPS_HASTY = 3  # hasty moves away from one line in all
LEAST_KNOWN_MS = 3 * 24 * 3600_000  # less than this of known time says little
LEAST_KNOWN_SHARE = 0.5


class Advice(StrEnum):
    """What follows, in the order in which it is asked."""

    NOTHING_KNOWN = "nothing-known"
    ENFORCED = "enforced"  # the node acts already
    ONE_LINE = "one-line"
    UNHEARD = "unheard"  # of a line nothing was ever known
    FLAPS = "flaps"
    TOO_SHORT = "too-short"
    BRIDGES = "bridges"
    QUALITY_ONLY = "quality-only"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The watcher decided for a line, or for none (offline). `is_start`: it had just begun, and moved nothing."""

    at_ms: int
    to_line: str | None
    reason: Reason
    is_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Traffic would have gone through a line."""

    start_ms: int
    end_ms: int
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A line's history in the window: its pieces make it up."""

    name: str
    carrier: str | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A move that enforce would have made. Offline moves nothing: routes stay, and `left` is None.

    `stayed_ms`: until the next decision; None where that is not known.
    """

    decided: Decided
    left: str | None
    stayed_ms: int | None
    bridged_ms: int
    is_hasty: bool

    @property
    def is_switch(self) -> bool:
        return self.left is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """An outage of the main line, and how much of it would have gone by other lines."""

    outage: Incident
    bridged_ms: int
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedLine:
    """One line: how it was, for how long it would have been used, how often it would have been left."""

    name: str
    carrier: str | None
    account: Account
    used_ms: int
    left: int
    left_in_a_day: int
    left_hastily: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The report as a value. `is_main_seen`: the main line is what the kernel does, not a guess."""

    window: Window
    is_enforced: bool
    main: str
    is_main_seen: bool
    lines: tuple[ObservedLine, ...]
    moves: tuple[Moved, ...]
    outages: tuple[Bridged, ...]
    by_day: tuple[tuple[int, int], ...]  # each local day's beginning, and its switches
    known_ms: int

    @property
    def bridged(self) -> tuple[Bridged, ...]:
        """Those of which enough would have been bridged to be worth a move."""
        return tuple(outage for outage in self.outages if outage.bridged_ms >= WORTH_MS)

    @property
    def bridged_ms(self) -> int:
        return sum(outage.bridged_ms for outage in self.bridged)

    @property
    def switches(self) -> int:
        """Moves of traffic from one line to another; going offline moves nothing."""
        return sum(move.is_switch for move in self.moves)

    @property
    def hasty(self) -> int:
        return sum(move.is_hasty for move in self.moves)

    @property
    def worst_day(self) -> tuple[int, int] | None:
        """The day with the most moves, the first of several; None without a move."""
        worst = max(self.by_day, key=lambda day: day[1], default=None)
        return worst if worst is not None and worst[1] else None

    @property
    def restless(self) -> ObservedLine | None:
        """The line that would have been left too often, the worst of several."""
        found = [line for line in self.lines if line.left_in_a_day >= FLAPS_A_DAY or line.left_hastily >= FLAPS_HASTY]
        return max(found, key=lambda line: (line.left_in_a_day, line.left), default=None)

    @property
    def unheard(self) -> ObservedLine | None:
        """A line of which nothing was known while others were."""
        return next((line for line in self.lines if line.account.good_ms + line.account.bad_ms == 0), None)

    @property
    def advice(self) -> Advice:
        if self.known_ms == 0:
            return Advice.NOTHING_KNOWN
        if self.is_enforced:
            return Advice.ENFORCED
        if len(self.lines) == 1:
            return Advice.ONE_LINE
        if self.unheard is not None:
            return Advice.UNHEARD
        if self.restless is not None:
            return Advice.FLAPS
        if self.known_ms < max(LEAST_KNOWN_MS, LEAST_KNOWN_SHARE * self.window.length_ms):
            return Advice.TOO_SHORT
        if self.bridged:
            return Advice.BRIDGES
        return Advice.QUALITY_ONLY if self.moves else Advice.QUIET


def observe(
    window: Window,
    *,
    is_enforced: bool,
    main: str,
    is_main_seen: bool,
    lines: Sequence[Told],
    decided: Sequence[Decided],
    uses: Sequence[Use],
    known_ms: int,
    days: Sequence[int],
) -> Observed:
    """The figures. `decided` in order of time; `days`: the beginnings of the local days of the window, in order.

    `known_ms`: how much of the window somebody was there to decide in.
    """
    downs = {line.name: [piece for piece in line.pieces if piece.state in LINE.bad] for line in lines}
    uses = [use for use in (_clipped(use, window) for use in uses) if use is not None]
    moves = tuple(_moves(decided, downs))
    by_day = {day: [move for move in moves if _day_of(move.decided.at_ms, days) == day] for day in days}
    outages = incidents(next((line.pieces for line in lines if line.name == main), ()), window)
    return Observed(
        window=window,
        is_enforced=is_enforced,
        main=main,
        is_main_seen=is_main_seen,
        lines=tuple(_line(line, window, moves, by_day.values(), uses) for line in lines),
        moves=moves,
        # What the cloud broke no line can bridge; it is excluded, and nothing of it counts.
        outages=tuple(_bridged(outage, main, downs[main], uses) for outage in outages if outage.counted_ms),
        by_day=tuple((day, sum(move.is_switch for move in told)) for day, told in by_day.items()),
        known_ms=known_ms,
    )


def _clipped(use: Use, window: Window) -> Use | None:
    start_ms, end_ms = max(use.start_ms, window.start_ms), min(use.end_ms, window.end_ms)
    return Use(start_ms=start_ms, end_ms=end_ms, line=use.line) if start_ms < end_ms else None


def _moves(decided: Sequence[Decided], downs: Mapping[str, Sequence[Piece]]) -> Iterator[Moved]:
    """Changes of the line, also by way of none, and every time that there was none."""
    used: str | None = None
    for n, one in enumerate(decided):
        after = next(iter(decided[n + 1 :]), None)
        left = used if one.to_line is not None and used not in (None, one.to_line) else None
        used = one.to_line or used
        if one.is_start or (one.to_line is not None and left is None):
            continue  # it began, or came back to the line that it was on
        stayed_ms = None if after is None else after.at_ms - one.at_ms
        until_ms = one.at_ms + (stayed_ms or 0)
        bridged_ms = sum(
            max(0, min(until_ms, down.end_ms) - max(one.at_ms, down.start_ms)) for down in downs.get(left or "", ())
        )
        is_back = left is not None and after is not None and not after.is_start and after.to_line == left
        is_brief = stayed_ms is not None and stayed_ms < HASTY_WITHIN_MS and bridged_ms < WORTH_MS
        yield Moved(
            decided=one, left=left, stayed_ms=stayed_ms, bridged_ms=bridged_ms, is_hasty=is_back and is_brief
        )  # fmt: skip


def _line(
    line: Told, window: Window, moves: Sequence[Moved], by_day: Iterable[Sequence[Moved]], uses: Sequence[Use]
) -> ObservedLine:
    left = [move for move in moves if move.left == line.name]
    return ObservedLine(
        name=line.name,
        carrier=line.carrier,
        account=account(line.pieces, window),
        used_ms=sum(use.end_ms - use.start_ms for use in uses if use.line == line.name),
        left=len(left),
        left_in_a_day=max((sum(move in left for move in told) for told in by_day), default=0),
        left_hastily=sum(move.is_hasty for move in left),
    )


def _day_of(at_ms: int, days: Sequence[int]) -> int:
    return max((day for day in days if day <= at_ms), default=days[0] if days else 0)


def _bridged(outage: Incident, main: str, downs: Sequence[Piece], uses: Sequence[Use]) -> Bridged:
    """How much of an outage lies in time in which another line would have been used."""
    spent: dict[str, int] = {}
    for use in uses:
        for down in downs:
            start_ms = max(use.start_ms, down.start_ms, outage.start_ms)
            end_ms = min(use.end_ms, down.end_ms, outage.end_ms)
            if use.line != main and start_ms < end_ms:
                spent[use.line] = spent.get(use.line, 0) + end_ms - start_ms
    return Bridged(outage=outage, bridged_ms=sum(spent.values()), by=tuple(sorted(spent, key=lambda n: -spent[n])))
