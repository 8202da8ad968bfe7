"""The forms of orders: the doctor's fields, whose names begin with `od-`, and what a nurse records. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edge_node.his.catalogues.prices import PriceItem, PriceKind
from edge_node.his.forms import FieldProblem
from edge_node.his.orders.model import Order, OrderKind, Outcome
from edge_node.his.orders.rules import COUNT_MOST, clock_time, minutes_left
from edge_node.his.patients.allergy_forms import words
from edge_node.i18n import Text, text

NOTE_MAX, REASON_MAX, WANTED_MAX = 200, 200, 60
LABELS: Mapping[str, Text] = {
    "placed_at": text("Placed at"),
    "result": text("Result"),
    "read_note": text("What the skin shows"),
    "refused_note": text("Why not"),
    "correct_note": text("What was wrong"),
    "correct_to": text("What is right"),
    "reason": text("Why it is cancelled"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """A skin test was placed; UTC milliseconds."""

    started_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A result with its note. `early_min`: read so many minutes before its time; `corrects` as in model.Result."""

    outcome: Outcome
    note: str = ""
    early_min: int = 0
    corrects: str | None = None


def parse_act(
    form: Mapping[str, str], order: Order, *, now: datetime, ordered: datetime, usual_min: int
) -> Placing | Recorded | list[FieldProblem]:
    """What a nurse records of an order. Raises ValueError when the form is not one of ours.

    Whether it can still be recorded is asked where it is written. `now` and `ordered` (when the order was given) are
    local times; `usual_min` is how long the clinic watches a skin test.
    """
    match form.get("act", ""):
        case "done":
            return Recorded(outcome=Outcome.DONE)
        case "placed":
            return _placing(_plain(form.get("placed_at", "")), now, ordered)
        case "read":
            return _reading(form, minutes_left(order, int(now.timestamp() * 1000), usual_min) or 0)
        case "refused":
            note = _note(form.get("refused_note", ""), "refused_note", text("Write why, in a few words"))
            return [note] if isinstance(note, FieldProblem) else Recorded(outcome=Outcome.REFUSED, note=note)
        case "correct":
            return _correction(form)
    raise ValueError("no act of ours")


def _placing(typed: str, now: datetime, ordered: datetime) -> Placing | list[FieldProblem]:
    started = clock_time(typed, now=now, not_before=ordered)
    if started is None:
        said = text("A time from %(ordered)s, when it was ordered, to now", ordered=f"{ordered:%H:%M}")
        return [FieldProblem(field="placed_at", text=said)]
    return Placing(started_at=int(started.timestamp() * 1000))


def _reading(form: Mapping[str, str], early_min: int) -> Recorded | list[FieldProblem]:
    outcomes = {"negative": Outcome.NEGATIVE, "positive": Outcome.POSITIVE}
    outcome = outcomes.get(form.get("result", ""))
    problems = [] if outcome else [FieldProblem(field="result", text=text("Choose one"))]
    note = words(form.get("read_note", ""), NOTE_MAX)
    if isinstance(note, Text):
        problems.append(FieldProblem(field="read_note", text=note))
    elif outcome and early_min and not note:
        problems.append(FieldProblem(field="read_note", text=_too_early(outcome, early_min)))
    if outcome is None or isinstance(note, Text) or problems:
        return problems
    return Recorded(outcome=outcome, note=note, early_min=early_min)


def _too_early(outcome: Outcome, early_min: int) -> Text:
    if outcome is Outcome.POSITIVE:
        return text("It is read in %(n)d min; if it shows already, write what was seen", n=early_min)
    return text("Too early: wait %(n)d min more. If that cannot be, write why", n=early_min)


def _correction(form: Mapping[str, str]) -> Recorded | list[FieldProblem]:
    """The ids of its fields carry the id of the result, since each result has a form of its own."""
    corrects = form.get("corrects", "")
    outcomes = {str(one): one for one in (Outcome.NEGATIVE, Outcome.POSITIVE, Outcome.MISTAKEN)}
    outcome = outcomes.get(form.get("correct_to", ""))
    problems = [] if outcome else [FieldProblem(field=f"correct_to-{corrects}", text=text("Choose one"))]
    note = _note(form.get("correct_note", ""), f"correct_note-{corrects}", text("Write what was wrong"))
    if isinstance(note, FieldProblem):
        problems.append(note)
    if outcome is None or isinstance(note, FieldProblem):
        return problems
    return Recorded(outcome=outcome, note=note, corrects=corrects)


def _note(typed: str, field: str, missing: Text) -> str | FieldProblem:
    said = words(typed, NOTE_MAX)
    if isinstance(said, Text):
        return FieldProblem(field=field, text=said)
    return said or FieldProblem(field=field, text=missing)


def parse_reason(form: Mapping[str, str]) -> str | FieldProblem:
    """Why an order is cancelled."""
    return _note(form.get("reason", ""), "reason", text("Write why, in a few words"))


def parse_count(typed: str, item: PriceItem) -> int | FieldProblem:
    """How often something is to be done; empty is once."""
    plain = _plain(typed)
    if not plain:
        return 1
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 3 and 1 <= int(plain) <= COUNT_MOST):
        return FieldProblem(field="od-count", text=text("How often: 1 to %(most)d times", most=COUNT_MOST))
    if item.kind is PriceKind.SKIN_TEST and int(plain) > 1:
        return FieldProblem(field="od-count", text=text("A skin test is done once"))
    return int(plain)


def _plain(typed: str) -> str:
    """Full-width digits and signs of a Chinese keyboard mean the same as the plain ones."""
    return unicodedata.normalize("NFKC", typed[:100]).strip()


def kind_of(item: PriceItem) -> OrderKind:
    """The kind of order that a charge item makes. Raises ValueError for one that nobody carries out here."""
    return OrderKind(item.kind.value)
