"""An order, and what came of it: values, and what follows from them alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class OrderKind(StrEnum):
    """What is ordered; the kinds of charge items that somebody carries out here."""

    TREATMENT = "treatment"
    INJECTION = "injection"
    SKIN_TEST = "skin_test"


class Outcome(StrEnum):
    """What was recorded of an order. MISTAKEN stands for no result: what it corrects did not happen."""

    DONE = "done"
    NEGATIVE = "negative"
    POSITIVE = "positive"
    REFUSED = "refused"
    MISTAKEN = "mistaken"


READINGS = frozenset({Outcome.NEGATIVE, Outcome.POSITIVE})


class Stage(StrEnum):
    """How far an order is. PLACED is a skin test whose time runs."""

    OPEN = "open"
    PLACED = "placed"
    DONE = "done"
    NEGATIVE = "negative"
    POSITIVE = "positive"
    REFUSED = "refused"
    CANCELLED = "cancelled"


OPEN_STAGES = frozenset({Stage.OPEN, Stage.PLACED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row of what was recorded; never changed. `corrects` is the id of the result that it stands for, or None.
    `at` is UTC milliseconds, `by` a name."""

    id: str
    outcome: Outcome
    note: str
    corrects: str | None
    at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A skin test was placed at `started_at`; written down at `at`. UTC milliseconds, `by` a name."""

    started_at: int
    at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order with all that was recorded of it, the oldest first.

    `price_fen` is for one; `substance` is what a skin test tests, else empty; `cancelled_at` None while it holds.
    `note_signed`: the note of its encounter is signed. Times are UTC milliseconds; who ordered and who cancelled are
    names.
    """

    id: str
    encounter_id: str
    registration_id: str
    patient_id: str
    kind: OrderKind
    name: str
    unit: str
    substance: str
    count: int
    price_fen: int
    ordered_at: int
    ordered_by: str
    cancelled_at: int | None
    cancelled_by: str | None
    cancel_reason: str
    note_signed: bool
    results: Sequence[Result]
    placings: Sequence[Placed]

    @property
    def counting(self) -> list[Result]:
        """The results that hold: neither corrected by a later one nor a mere taking back."""
        corrected = {result.corrects for result in self.results}
        return [one for one in self.results if one.id not in corrected and one.outcome is not Outcome.MISTAKEN]

    @property
    def done(self) -> int:
        """How often it was carried out."""
        return sum(result.outcome is Outcome.DONE for result in self.counting)

    @property
    def next_time(self) -> int:
        """Which time the next one would be."""
        return self.done + 1

    @property
    def placed(self) -> Placed | None:
        """The placing that counts, of a skin test: the newest."""
        return self.placings[-1] if self.placings else None

    @property
    def newest(self) -> Result | None:
        """The result that was recorded last and holds."""
        return self.counting[-1] if self.counting else None

    def origin(self, result: Result) -> Result:
        """The result whose moment this one speaks of: the first that it corrects, itself if it corrects none."""
        by_id = {one.id: one for one in self.results}
        while result.corrects is not None:
            result = by_id[result.corrects]
        return result

    @property
    def stage(self) -> Stage:
        """How far it is."""
        if self.cancelled_at is not None:
            return Stage.CANCELLED
        newest = self.newest
        if newest is not None and newest.outcome is not Outcome.DONE:
            return Stage(newest.outcome)
        if self.done >= self.count:
            return Stage.DONE
        return Stage.PLACED if self.placed is not None else Stage.OPEN

    @property
    def is_open(self) -> bool:
        """Is there something to do yet?"""
        return self.stage in OPEN_STAGES

    @property
    def is_begun(self) -> bool:
        """Has anything been done of it?"""
        return bool(self.counting or self.placings)

    @property
    def seen(self) -> int:
        """Changes with everything that is recorded: two people with one order before them differ by it."""
        return len(self.results) + len(self.placings) + (self.cancelled_at is not None)

    @property
    def owed_fen(self) -> int:
        """What it costs: all that was ordered, or what was done of it once nothing more will be."""
        stops = self.stage in (Stage.CANCELLED, Stage.REFUSED)
        return self.price_fen * (self.done if stops else self.count)


def total_fen(orders: Sequence[Order]) -> int:
    """What several orders cost together."""
    return sum(order.owed_fen for order in orders)
