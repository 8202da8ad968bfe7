"""A trace back into events. Pure.

A trace tells of a question when its outcome is known. Here each one becomes two events again: asked, and answered a
round trip later; in the order of their times, as far as everything of that time must have been told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from operator import itemgetter
from typing import NamedTuple

from failover.core.judge import Evidence, Watched
from failover.core.model import Detect, LinkState, Policy
from failover.core.window import Window
from failover.probes.outcome import Outcome, Sample
from failover.setup import Target
from failover.trace import Entry, LinkChange, Moment

KNOWN_AFTER_S = 12.0  # what was asked longer ago is told: the way on which it was lost is waited for for 10 s
ROUNDING_S = 0.001  # times in a trace are rounded
LONGEST_S = 60.0  # an answer
LATEST_MS = 4_102_444_800_000  # 2100
LONGEST_BOOT_S = 1e9
ENOUGH_GAPS = 5  # between questions, to make a rhythm

Unknown = Callable[[Sample | LinkChange], None]


class Kind:
    """Of events, in the order in which those of one moment happened."""

    ASKED, ANSWERED, BLIND, LINK = range(4)


class Track:
    """One target through one line: what is known of it, and when the next question is due."""

    def __init__(self, line: str, target: Target, detect: Detect) -> None:
        self.line, self.target, self.detect = line, target, detect
        self.normal_s = self.every_s = target.every_s or detect.interval_s
        self.asked_at: list[float] = []  # in the batch that is being taken, for the rhythm
        self.forget()

    def forget(self) -> None:
        """Another run begins: its windows are empty."""
        self.window = Window(self.detect.window_s)
        self.due = self.last_at = float("-inf")

    @property
    def watched(self) -> Watched:
        return Watched(target=self.target.name, window=self.window, role=self.target.role, every_s=self.every_s)

    def keep_pace(self) -> bool:
        """Find the rhythm in which it was really asked, the policy's own one where they agree; true if it changed."""
        times, self.asked_at = sorted(self.asked_at), []
        gaps = sorted(later - earlier for earlier, later in pairwise(times))
        if len(gaps) < ENOUGH_GAPS:
            return False
        every_s = gaps[len(gaps) // 2]
        every_s = self.normal_s if abs(every_s - self.normal_s) <= self.normal_s / 10 else every_s
        if abs(every_s - self.every_s) <= self.every_s / 10:
            return False
        self.every_s = every_s
        return True

    def asked(self, at: float) -> None:
        if at <= self.last_at:
            return  # told twice
        if at - self.due > self.every_s / 2 + ROUNDING_S:
            self.window.blind(max(self.due, 0.0), at, self.detect.lost_after_s)
        self.window.asked(at)
        self.last_at, self.due = at, at + self.every_s

    def unsent(self, at: float) -> None:
        """It could not be asked, for want of memory: as good as not listening since the question before."""
        self.window.blind(at - self.every_s, at, self.detect.lost_after_s)
        self.last_at, self.due = at, at + self.every_s

    def settle(self, now: float) -> None:
        """A tick that was missed is blind."""
        if now - self.due > self.every_s / 2 + ROUNDING_S and self.due > 0:
            self.window.blind(self.due, now, self.detect.lost_after_s)
            self.due += self.every_s * (int((now - self.due) / self.every_s) + 1)


class Event(NamedTuple):
    """What the watcher learned, and when. A tuple: a day has millions."""

    at: float
    kind: int
    track: Track | None = None
    asked_at: float = 0.0
    rtt_s: float = 0.0
    change: LinkChange | None = None


class Replay:
    """The targets of a policy's lines, and the events of them that are not played yet."""

    def __init__(self, policy: Policy, targets: Mapping[str, Sequence[Target]], unknown: Unknown) -> None:
        self._lines = frozenset(line.name for line in policy.lines)
        self.tracks = {
            (line.name, target.name): Track(line.name, target, line.detect)
            for line in policy.lines
            for target in targets.get(line.name, ())
        }
        self._unknown = unknown
        self._pending: list[Event] = []

    @property
    def quickest_s(self) -> float:
        return min((track.every_s for track in self.tracks.values()), default=0.0)

    def evidence(self, line: str, link: LinkState) -> Evidence:
        return Evidence(link=link, targets=tuple(t.watched for t in self.tracks.values() if t.line == line))

    def take(self, entries: Iterable[Entry], until: float) -> set[str]:
        """Add what was recorded by `until`; returns the lines of which a target is asked in another rhythm now.

        What claims to be later, or longer under way than any probe waits, is none of the watcher's.
        """
        told, tracks = self._pending.append, self.tracks
        for entry in entries:
            if isinstance(entry, LinkChange):
                if entry.line not in self._lines:
                    self._unknown(entry)
                elif 0 <= entry.at <= until:
                    told(Event(entry.at, Kind.LINK, change=entry))
                continue
            at, outcome, rtt_s = entry.asked_at, entry.outcome, entry.rtt_s
            track = tracks.get((entry.line, entry.target))
            if track is None:
                self._unknown(entry)
                continue
            if not 0 <= at <= until:
                continue
            if outcome is not Outcome.LATE:
                told(Event(at, Kind.BLIND if outcome is Outcome.BLIND else Kind.ASKED, track))
                track.asked_at.append(at)
            if rtt_s is not None and 0 <= rtt_s <= LONGEST_S:
                told(Event(at + rtt_s, Kind.ANSWERED, track, at, rtt_s))
        return {track.line for track in tracks.values() if track.keep_pace()}

    def ready(self, known_at: float) -> Iterator[Event]:
        """The events up to a time, in order. A blind question that was asked all the same comes as ASKED."""
        self._pending.sort(key=itemgetter(0, 1))
        cut = bisect_right(self._pending, known_at, key=itemgetter(0))
        events, self._pending = self._pending[:cut], self._pending[cut:]
        for place, event in enumerate(events):
            if event.kind == Kind.BLIND and self._was_asked(event, events[place + 1 :]):
                event = event._replace(kind=Kind.ASKED)
            yield event

    def _was_asked(self, blind: Event, following: Sequence[Event]) -> bool:
        """Was it asked, and then slept through? Then its target missed ticks soon after; one not sent did not."""
        track, at = blind.track, blind.at
        assert track is not None
        for event in chain(following, self._pending):
            if event.track is track and event.kind != Kind.ANSWERED:
                if event.at - at > track.every_s * 1.5:
                    return True
                at = event.at
                if at > blind.at + track.detect.lost_after_s:
                    return False
        return True


def batches(entries: Iterable[Moment | Entry]) -> Iterator[tuple[Moment, list[Entry]]]:
    """What `trace.read` gives, batch by batch; what stands behind no moment, or one of no clock, has no time."""
    moment: Moment | None = None
    batch: list[Entry] = []
    for entry in entries:
        if not isinstance(entry, Moment):
            batch.append(entry)
            continue
        if moment is not None:
            yield moment, batch
        is_one = 0 <= entry.boottime <= LONGEST_BOOT_S and 0 <= entry.wall_ms <= LATEST_MS
        moment, batch = (entry if is_one else None), []
    if moment is not None:
        yield moment, batch


def between(
    told: Iterable[tuple[Moment, list[Entry]]], *, start_ms: int | None = None, end_ms: int | None = None
) -> Iterator[tuple[Moment, list[Entry]]]:
    """What is of a time, in UTC milliseconds. How the links were when it began is told at its beginning."""
    links: dict[str, LinkChange] = {}
    has_begun = start_ms is None
    for moment, batch in told:
        offset_ms = moment.wall_ms - moment.boottime * 1000
        kept: list[Entry] = []
        for entry in batch:
            at = entry.at if isinstance(entry, LinkChange) else entry.asked_at
            at_ms = at * 1000 + offset_ms
            if start_ms is not None and at_ms < start_ms:
                if isinstance(entry, LinkChange):
                    links[entry.line] = entry
            elif end_ms is None or at_ms < end_ms:
                if not has_begun:
                    kept += [replace(link, at=at) for link in links.values()]
                    has_begun = True
                kept.append(entry)
        if kept:
            yield moment, kept
