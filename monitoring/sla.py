"""Availability and incidents: from what was believed of a line, or done by the node, to figures that a carrier accepts.

Pure. The input is the journal: intervals with a state and a reason, and spans that are not to be counted. Every
millisecond of the window ends in exactly one place: excluded (and why), unknown, or one state. Time of which nobody
knows anything is never counted as good: it stands beside the figure, and where it could turn the verdict on a contract,
the verdict is `open`.

Times are UTC milliseconds; a span reaches from its start to just before its end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

UNKNOWN = "unknown"


class Exclusion(StrEnum):
    """Why time is not counted, in the order in which one hides the other."""

    MAINTENANCE = "maintenance"  # announced: a person said so before
    CLOUD = "cloud"  # the far end was at fault, on every line alike
    BLIND = "blind"  # the watcher itself could not look


class Bar(StrEnum):
    """A promise compared with what was measured."""

    MET = "met"
    MISSED = "missed"
    OPEN = "open"  # the unknown time is long enough to decide either way
    NO_DATA = "no-data"
    NO_PROMISE = "no-promise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code and the values of its sentence, as the journal has them."""

    code: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time that is reported on."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return max(self.end_ms - self.start_ms, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One state for a while. `ref` names the entry of the journal that began it."""

    start_ms: int
    end_ms: int
    state: str
    reason: Reason = field(default_factory=Reason)
    ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A span that is not counted."""

    start_ms: int
    end_ms: int
    why: Exclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the window within which nothing changes."""

    start_ms: int
    end_ms: int
    state: str
    excluded: Exclusion | None = None
    reason: Reason = field(default_factory=Reason)
    ref: str = ""

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """Which states count as available and which as not; any other is unknown."""

    good: frozenset[str]
    bad: frozenset[str]


LINE = Kinds(good=frozenset({"up", "degraded"}), bad=frozenset({"down"}))
# `starting` is neither: nothing has been decided yet.
SERVICE = Kinds(good=frozenset({"online", "backup"}), bad=frozenset({"offline"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where the time of a window went, in milliseconds; the parts add up to the window."""

    window: Window
    kinds: Kinds
    by_state: Mapping[str, int]
    excluded: Mapping[Exclusion, int]
    unknown_ms: int

    @property
    def good_ms(self) -> int:
        return sum(ms for state, ms in self.by_state.items() if state in self.kinds.good)

    @property
    def bad_ms(self) -> int:
        return sum(ms for state, ms in self.by_state.items() if state in self.kinds.bad)

    @property
    def excluded_ms(self) -> int:
        return sum(self.excluded.values())

    @property
    def availability(self) -> float | None:
        """Share of the time that is known and counts; None where there is none."""
        return _share(self.good_ms, self.good_ms + self.bad_ms)

    @property
    def lowest(self) -> float | None:
        """Had all unknown time been bad."""
        return _share(self.good_ms, self.good_ms + self.bad_ms + self.unknown_ms)

    @property
    def highest(self) -> float | None:
        """Had all unknown time been good."""
        return _share(self.good_ms + self.unknown_ms, self.good_ms + self.bad_ms + self.unknown_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One stretch of a bad state, cut at the edges of the window.

    `reason` is that of its beginning. `counted_ms` is what of it is charged: excluded and unknown time are left out.
    `began_before` and `goes_on`: the window cuts it.
    """

    start_ms: int
    end_ms: int
    state: str
    reason: Reason
    ref: str
    counted_ms: int
    excluded_ms: int = 0
    unknown_ms: int = 0
    began_before: bool = False
    goes_on: bool = False

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairs:
    """Incidents as figures, in seconds; None where there was none. Wholly excluded ones are not among them."""

    count: int
    mttr_s: float | None
    mtbf_s: float | None
    longest_s: float | None


S = TypeVar("S", Interval, Excluded)

# The watcher needs a few seconds to see a broken line again after its own restart: that does not make two incidents.
BRIDGE_MS = 60_000


def timeline(
    intervals: Iterable[Interval], window: Window, excluded: Iterable[Excluded] = (), *, kinds: Kinds = LINE
) -> tuple[Piece, ...]:
    """The window cut into pieces, in order, without a gap and without overlap.

    Where two different known states are told of the same moment (a clock was set back), nobody can say which: unknown.
    The order of the arguments does not matter.
    """
    known = [i for i in (_clipped(i, window) for i in intervals) if i is not None and i.state in kinds.good | kinds.bad]
    left_out = [e for e in (_clipped(e, window) for e in excluded) if e is not None]
    cuts = sorted({window.start_ms, window.end_ms, *_edges(known), *_edges(left_out)})
    states = _standing(known, cuts)
    whys = _standing(left_out, cuts)
    pieces: list[Piece] = []
    for n, (start, end) in enumerate(pairwise(cuts)):
        piece = _piece(start, end, states[n], whys[n])
        if pieces and _same(pieces[-1], piece):
            pieces[-1] = replace(pieces[-1], end_ms=end)
        else:
            pieces.append(piece)
    return tuple(pieces)


def account(pieces: Sequence[Piece], window: Window, *, kinds: Kinds = LINE) -> Account:
    """Where the time of a timeline went."""
    by_state: dict[str, int] = {}
    excluded: dict[Exclusion, int] = {}
    unknown = 0
    for piece in pieces:
        if piece.excluded is not None:
            excluded[piece.excluded] = excluded.get(piece.excluded, 0) + piece.length_ms
        elif piece.state == UNKNOWN:
            unknown += piece.length_ms
        else:
            by_state[piece.state] = by_state.get(piece.state, 0) + piece.length_ms
    return Account(window=window, kinds=kinds, by_state=by_state, excluded=excluded, unknown_ms=unknown)


def incidents(
    pieces: Sequence[Piece], window: Window, *, states: Collection[str] = ("down",), bridge_ms: int = BRIDGE_MS
) -> tuple[Incident, ...]:
    """The stretches of these states, in order. Unknown time of up to `bridge_ms` between two does not part them."""
    found: list[Incident] = []
    gap_ms: int | None = None  # unknown time since the last bad piece; None: something else was known meanwhile
    for piece in pieces:
        if piece.state in states:
            counted = 0 if piece.excluded is not None else piece.length_ms
            if found and gap_ms is not None and gap_ms <= bridge_ms and found[-1].state == piece.state:
                found[-1] = _longer(found[-1], piece, gap_ms, counted)
            else:
                found.append(_first(piece, window, counted))
            gap_ms = 0
        elif piece.state == UNKNOWN and gap_ms is not None:
            gap_ms += piece.length_ms
        else:
            gap_ms = None
    return tuple(replace(i, goes_on=i.end_ms == window.end_ms) for i in found)


def repairs(found: Iterable[Incident], good_ms: int) -> Repairs:
    """Mean time to repair and between failures, over what is charged."""
    lengths = [i.counted_ms / 1000 for i in found if i.counted_ms > 0]
    if not lengths:
        return Repairs(count=0, mttr_s=None, mtbf_s=None, longest_s=None)
    count = len(lengths)
    return Repairs(
        count=count, mttr_s=sum(lengths) / count, mtbf_s=good_ms / 1000 / count, longest_s=max(lengths)
    )  # fmt: skip


def against_availability(promise: float | None, result: Account) -> Bar:
    """A promised availability against an account; `open` where the unknown time decides."""
    if promise is None:
        return Bar.NO_PROMISE
    if result.lowest is None or result.highest is None or result.availability is None:
        return Bar.NO_DATA
    if result.lowest >= promise:
        return Bar.MET
    return Bar.MISSED if result.highest < promise else Bar.OPEN


def against_most(promise: float | None, measured: float | None) -> Bar:
    """A promise of "at most this" (a delay, a share of losses) against what was measured."""
    if promise is None:
        return Bar.NO_PROMISE
    if measured is None:
        return Bar.NO_DATA
    return Bar.MET if measured <= promise else Bar.MISSED


def overall(bars: Iterable[Bar]) -> Bar:
    """One verdict for a contract of several promises: one that is missed misses it."""
    told = set(bars)
    for bar in (Bar.MISSED, Bar.OPEN, Bar.NO_DATA, Bar.MET):
        if bar in told:
            return bar
    return Bar.NO_PROMISE


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _clipped(span: S, window: Window) -> S | None:
    start, end = max(span.start_ms, window.start_ms), min(span.end_ms, window.end_ms)
    return replace(span, start_ms=start, end_ms=end) if start < end else None


def _edges(spans: Iterable[S]) -> Iterator[int]:
    for span in spans:
        yield from (span.start_ms, span.end_ms)


def _standing(spans: Sequence[S], cuts: Sequence[int]) -> list[tuple[S, ...]]:
    """Which spans cover each step between two cuts; every edge of a span is a cut."""
    at = {cut: n for n, cut in enumerate(cuts)}
    begin: dict[int, list[int]] = {}
    end: dict[int, list[int]] = {}
    for number, span in enumerate(spans):
        begin.setdefault(at[span.start_ms], []).append(number)
        end.setdefault(at[span.end_ms], []).append(number)
    standing: set[int] = set()
    found = []
    for n in range(len(cuts) - 1):
        standing.difference_update(end.get(n, ()))
        standing.update(begin.get(n, ()))
        found.append(tuple(spans[number] for number in standing))
    return found


def _piece(start: int, end: int, told: Sequence[Interval], left_out: Sequence[Excluded]) -> Piece:
    whys = {span.why for span in left_out}
    why = next((why for why in Exclusion if why in whys), None)
    if len({interval.state for interval in told}) != 1:
        return Piece(start_ms=start, end_ms=end, state=UNKNOWN, excluded=why)
    one = min(told, key=lambda i: (i.start_ms, i.end_ms, i.ref, i.reason.code, repr(sorted(i.reason.args.items()))))
    return Piece(start_ms=start, end_ms=end, state=one.state, excluded=why, reason=one.reason, ref=one.ref)


def _same(a: Piece, b: Piece) -> bool:
    return replace(a, start_ms=0, end_ms=0) == replace(b, start_ms=0, end_ms=0)


def _first(piece: Piece, window: Window, counted_ms: int) -> Incident:
    return Incident(
        start_ms=piece.start_ms, end_ms=piece.end_ms, state=piece.state, reason=piece.reason, ref=piece.ref,
        counted_ms=counted_ms, excluded_ms=piece.length_ms - counted_ms,
        began_before=piece.start_ms == window.start_ms,
    )  # fmt: skip


def _longer(incident: Incident, piece: Piece, gap_ms: int, counted_ms: int) -> Incident:
    return replace(
        incident,
        end_ms=piece.end_ms,
        counted_ms=incident.counted_ms + counted_ms,
        excluded_ms=incident.excluded_ms + piece.length_ms - counted_ms,
        unknown_ms=incident.unknown_ms + gap_ms,
    )
