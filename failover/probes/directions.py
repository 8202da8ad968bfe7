"""Which direction loses: the pure accounting of a STAMP session's two counters.

The sender numbers its questions; the reflector numbers its answers, one for each question that reached it. Between two
answers the questions that are missing are divided by how far the reflector's counter moved: what it counted was lost on
the way back, what it did not count was lost on the way out. No clock needs to agree for that.

What cannot be known is said so: questions before the first and after the newest answer, and across a restart of the
reflector, are lost in an unknown direction. Those that were open while nobody listened are not lost at all; beside them
others are told only where the reflector counted none of a gap's questions, or every one.

An account outlives the socket that asks. A new socket is a new session, which the reflector counts from zero: `renew`
says so, and what was under way just then is lost in an unknown direction; everything before keeps its own.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from failover.probes.outcome import Direction

_WRAP = 2**32
# By how many places packets may overtake each other before we rather believe that the reflector began anew.
REORDER = 8
# A clock that is set moves one direction's delay up and the other's down by the same; so far apart no queue does that.
_CLOCK_STEP_S, _CLOCK_STEP_REST_S = 0.005, 0.001
_TRIM_EVERY = 64
# Losses lie "clearly one way" when there are at least so many, and so large a share of all of them went that way.
FEW_LOST, CLEAR_SHARE = 5, 0.8


class Heard(StrEnum):
    """What an answer was."""

    ANSWERED = "answered"
    DUPLICATE = "duplicate"  # this question has its answer; the network copied one of the two
    OLD = "old"  # of a question that is forgotten, or was never asked


@dataclass(slots=True, kw_only=True)
class _Asked:
    at: float
    counted: int | None = (
        None  # the reflector's number, unwrapped; the highest where the question was copied on its way
    )
    era: int = 0
    out_s: float | None = None
    back_s: float | None = None
    is_blind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionSummary:
    """What a stretch of questions says of each direction. `None` is "not known".

    `asked` are those whose fate is decided: answered, or lost. Ratios leave out what was lost in an unknown direction;
    what went missing on the way out could not be lost on the way back.
    """

    asked: int = 0
    answered: int = 0
    lost_out: int = 0
    lost_back: int = 0
    lost_unknown: int = 0
    jitter_out_s: float | None = None
    jitter_back_s: float | None = None
    delay_out_s: float | None = None
    delay_back_s: float | None = None

    @property
    def loss_out_ratio(self) -> float | None:
        known = self.answered + self.lost_out + self.lost_back
        return self.lost_out / known if known else None

    @property
    def loss_back_ratio(self) -> float | None:
        arrived = self.answered + self.lost_back
        return self.lost_back / arrived if arrived else None

    @property
    def lost_unknown_ratio(self) -> float | None:
        return self.lost_unknown / self.asked if self.asked else None

    @property
    def towards(self) -> Direction | None:
        """The way on which what is lost is lost, where that is clear."""
        lost = self.lost_out + self.lost_back + self.lost_unknown
        if lost < FEW_LOST:
            return None
        for way, count in ((Direction.OUT, self.lost_out), (Direction.BACK, self.lost_back)):
            if count >= CLEAR_SHARE * lost:
                return way
        return None


@dataclass(slots=True, kw_only=True)
class _Tally:
    """One walk over the questions, oldest first."""

    since: float
    era: int | None = None
    counter: int = -1  # the reflector's, as far as the walk has seen
    blind: int = 0
    missing: list[_Asked] = field(default_factory=list)
    answered: list[_Asked] = field(default_factory=list)
    lost_out: int = 0
    lost_back: int = 0
    lost_unknown: int = 0

    def take(self, question: _Asked) -> None:
        if question.counted is None:
            if question.is_blind:
                self.blind += 1
            else:
                self.missing.append(question)
            return
        is_same_era = question.era == self.era
        if self.missing:
            self._divide(question.counted if is_same_era else None)
            self.missing = []
        if not is_same_era or question.counted > self.counter:
            self.counter = question.counted
        self.era, self.blind = question.era, 0
        if question.at >= self.since:
            self.answered.append(question)

    def _divide(self, counted: int | None) -> None:
        wanted = sum(question.at >= self.since for question in self.missing)
        if not wanted:
            return
        if counted is None:
            self.lost_unknown += wanted
            return
        back = min(max(0, counted - self.counter - 1), len(self.missing) + self.blind)
        if self.blind and 0 < back < len(self.missing) + self.blind:
            self.lost_unknown += wanted
            return
        back = min(back, len(self.missing))
        # A gap that began before the stretch is shared out as it lies.
        back = round(back * wanted / len(self.missing))
        self.lost_back += back
        self.lost_out += wanted - back


class Directions:
    """One session: the questions of the last `keep_s`, and what became of them. It holds no clock."""

    __slots__ = (
        *("_asked", "_base", "_by_counter", "_era", "_first", "_heard_to", "_keep_s", "_top", "_top_sequence"),
        "restarts",
    )

    def __init__(self, keep_s: float, *, first_sequence: int = 0) -> None:
        self._keep_s = keep_s
        self._first = first_sequence  # of the oldest question kept; grows without end, is sent modulo 2^32
        self._base = 0  # the first of this session: it is sent as 0
        self._asked: list[_Asked] = []
        self._heard_to = float("-inf")  # when the newest question that was answered was asked
        self._era = 0
        self._top: int | None = None  # the highest number that the reflector gave in this era
        self._top_sequence = first_sequence
        self._by_counter: dict[int, int] = {}  # in this era: the reflector's number -> our sequence
        self.restarts = 0  # how often the reflector began anew

    def asked(self, at: float) -> int:
        """A question leaves; its sequence number as it is sent. Times must not go back."""
        self._trim(at - self._keep_s)
        self._asked.append(_Asked(at=at))
        return (self._first + len(self._asked) - 1 - self._base) % _WRAP

    def unasked(self) -> None:
        """The newest question did not leave this machine after all: its number is given to the next one."""
        self._asked.pop()

    def renew(self) -> None:
        """Another socket asks from now on: a session of its own, numbered and counted from zero."""
        self._base = self._first + len(self._asked)
        self._begin_era()

    def asked_at(self, sequence: int) -> float | None:
        """When the question of this number was asked; None for one that is forgotten or was never asked."""
        place = self._place_of(sequence)
        return None if place is None else self._asked[place].at

    def answered(
        self, sequence: int, counter: int, *, out_s: float | None = None, back_s: float | None = None
    ) -> tuple[Heard, float | None]:
        """An answer came; what it was, and when its question was asked.

        `out_s` and `back_s` are the differences of the two clocks' stamps; None where a clock was set in between.
        """
        place = self._place_of(sequence)
        if place is None:
            return Heard.OLD, None
        question, unwrapped = self._asked[place], self._first + place
        number = self._number_of(unwrapped, counter)
        if question.counted is not None and question.era == self._era:
            if number is not None:
                question.counted = max(question.counted, number)
                self._remember(unwrapped, number)
            return Heard.DUPLICATE, question.at
        if question.counted is not None:
            return Heard.DUPLICATE, question.at
        if number is None:
            self.restarts += 1
            self._begin_era()
            number = counter
        self._remember(unwrapped, number)
        question.counted, question.era, question.out_s, question.back_s = number, self._era, out_s, back_s
        self._heard_to = max(self._heard_to, question.at)
        return Heard.ANSWERED, question.at

    def blind(self, since: float, until: float, lost_after_s: float) -> None:
        """Nobody listened from `since` to `until`: open questions whose answer may have come then prove nothing."""
        for question in self._asked[self._place_at(since - lost_after_s) : self._place_at(until)]:
            question.is_blind = question.counted is None

    def is_told(self, at: float) -> bool:
        """Has a later question than that of `at` been answered? Then it is known which way it was lost, or never."""
        return at < self._heard_to

    def lost_way(self, at: float) -> Direction | None:
        """The way on which the question of `at` was lost; None where nothing proves one, or it was answered.

        Of several that are missing together it is known only if all went the same way.
        """
        place = self._place_at(at)
        if place == len(self._asked) or self._asked[place].at != at or not self.is_told(at):
            return None
        first, last = place, place
        while first >= 0 and self._asked[first].counted is None:
            first -= 1
        while last < len(self._asked) and self._asked[last].counted is None:
            last += 1
        if not 0 <= first < last < len(self._asked):
            return None
        before, after, missing = self._asked[first], self._asked[last], self._asked[first + 1 : last]
        is_sure = before.era == after.era == self._era
        if not is_sure or before.counted is None or after.counted is None or after.counted < before.counted:
            return None
        # What was counted in between and belongs to no other question, such as one that was overtaken.
        counted = sum(number not in self._by_counter for number in range(before.counted + 1, after.counted))
        if counted == 0:
            return Direction.OUT
        return Direction.BACK if counted >= len(missing) else None

    def summary(self, now: float, *, since: float, lost_after_s: float, clocks_agree: bool = False) -> DirectionSummary:
        """The questions asked at or after `since`; those that may still be answered are not counted.

        One-way delays only where the caller knows that both clocks agree.
        """
        tally = _Tally(since=since)
        place = self._place_at(since)
        start = next((i for i in range(place - 1, -1, -1) if self._asked[i].counted is not None), 0)
        for question in self._asked[start:]:
            tally.take(question)
        tail = [question for question in tally.missing if since <= question.at <= now - lost_after_s]
        lost_unknown = tally.lost_unknown + len(tail)
        return DirectionSummary(
            asked=len(tally.answered) + tally.lost_out + tally.lost_back + lost_unknown,
            answered=len(tally.answered),
            lost_out=tally.lost_out,
            lost_back=tally.lost_back,
            lost_unknown=lost_unknown,
            **_delays(tally.answered, clocks_agree=clocks_agree),
        )

    def _place_of(self, sequence: int) -> int | None:
        """Where the newest question of this number stands."""
        newest = self._first + len(self._asked) - 1
        number = newest - (newest - self._base - sequence) % _WRAP
        return number - self._first if max(self._first, self._base) <= number <= newest else None

    def _number_of(self, sequence: int, counter: int) -> int | None:
        """The reflector's number without its wraps; None where it cannot be of this era: it began anew."""
        if self._top is None:
            return counter
        moved = (counter - self._top + _WRAP // 2) % _WRAP - _WRAP // 2
        asked = sequence - self._top_sequence
        low, high = (1 - REORDER, asked + REORDER) if asked > 0 else (asked - REORDER, REORDER)
        number = self._top + moved
        if not low <= moved <= high or self._by_counter.get(number, sequence) != sequence:
            return None
        return number

    def _begin_era(self) -> None:
        self._era += 1
        self._by_counter.clear()
        self._top = None

    def _remember(self, sequence: int, number: int) -> None:
        self._by_counter[number] = sequence
        if self._top is None or number > self._top:
            self._top, self._top_sequence = number, sequence

    def _place_at(self, at: float) -> int:
        return bisect_left(self._asked, at, key=lambda question: question.at)

    def _trim(self, oldest: float) -> None:
        if len(self._asked) <= _TRIM_EVERY or self._asked[_TRIM_EVERY].at >= oldest:
            return
        del self._asked[:_TRIM_EVERY]
        self._first += _TRIM_EVERY
        self._by_counter = {number: seq for number, seq in self._by_counter.items() if seq >= self._first}


def _delays(answered: Sequence[_Asked], *, clocks_agree: bool) -> dict[str, float | None]:
    out, back = [], []
    # Neighbours whose stamps are both known: their difference is free of what separates the clocks.
    for one, two in pairwise(answered):
        if one.out_s is None or one.back_s is None or two.out_s is None or two.back_s is None:
            continue
        change_out, change_back = two.out_s - one.out_s, two.back_s - one.back_s
        step_out, step_back = abs(change_out), abs(change_back)
        if step_out > _CLOCK_STEP_S < step_back and abs(change_out + change_back) < _CLOCK_STEP_REST_S:
            continue
        out.append(step_out)
        back.append(step_back)
    found: dict[str, float | None] = {
        "jitter_out_s": statistics.fmean(out) if out else None,
        "jitter_back_s": statistics.fmean(back) if back else None,
    }
    if clocks_agree:
        known = [(q.out_s, q.back_s) for q in answered if q.out_s is not None and q.back_s is not None]
        if known:
            found["delay_out_s"] = statistics.median(out_s for out_s, _ in known)
            found["delay_back_s"] = statistics.median(back_s for _, back_s in known)
    return found
