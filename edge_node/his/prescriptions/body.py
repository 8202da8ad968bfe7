"""A sheet as it is written: text as typed, its one JSON form, and how it is read. Pure.

A draft may hold half a number, as a note may; `read` brings what can be read into the shape that the rules judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation

from edge_node.his.catalogues.drugs import CatalogueDrug
from edge_node.his.encounters.note import canonical_json
from edge_node.his.forms import FieldProblem, posted_json
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.model import Form, Kind, Line, Sheet
from edge_node.his.prescriptions.routes import ROUTES
from edge_node.his.prescriptions.supply_rules import packs_needed
from edge_node.i18n import Text, text

# More lines than any sheet of herbs holds.
MOST_LINES = 40
REASON_LIMIT = 200
VALUE_LIMIT = 40
# A day in which nobody takes more doses of a decoction, and a course that nobody is given at once.
_MOST_DOSES_A_DAY, _MOST_DOSES, _MOST_DAYS, _MOST_PACKS = 4, 90, 366, 999


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLine:
    """One line as typed; `packs` empty means that the program counts them. `hint` is a word for the patient."""

    drug_id: str
    dose: str = ""
    route: str = ""
    frequency: str = ""
    days: str = ""
    packs: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One sheet as typed. `reasons` by the key of the finding that they answer; `kind` empty leaves it to the program.

    `until` is an ISO date up to which the sheet is to be valid, empty for its own day.
    """

    lines: tuple[BodyLine, ...] = ()
    kind: str = ""
    doses: str = ""
    doses_a_day: str = ""
    decoction: str = ""
    until: str = ""
    until_reason: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)


LINE_FIELDS = tuple(name for name in BodyLine.__dataclass_fields__ if name != "drug_id")
SHEET_FIELDS = ("kind", "doses", "doses_a_day", "decoction", "until", "until_reason")


def to_json(body: Body) -> str:
    """The canonical form: what is stored, and what a version's hash covers."""
    return canonical_json(asdict(body))


def from_json(stored: str) -> Body:
    """The reverse of to_json. Raises ValueError when the text is not a sheet; a field it lacks is empty."""
    document = posted_json(stored)
    try:
        lines = tuple(
            BodyLine(drug_id=str(row["drug_id"]), **{name: str(row.get(name, "")) for name in LINE_FIELDS})
            for row in document["lines"]
        )
        return Body(
            lines=lines,
            reasons={str(key): str(reason) for key, reason in dict(document.get("reasons", {})).items()},
            **{name: str(document.get(name, "")) for name in SHEET_FIELDS},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a sheet: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A line with what it takes from the shelf: packs, and their price in fen."""

    line: Line
    entry: CatalogueDrug
    packs: int
    price_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A body as far as it can be read, and what cannot be."""

    sheet: Sheet
    priced: tuple[Priced, ...]
    problems: tuple[FieldProblem, ...]

    @property
    def total_fen(self) -> int:
        return sum(line.price_fen for line in self.priced)


def read(
    body: Body, drugs: Mapping[str, CatalogueDrug], *, form: Form, diagnoses: tuple[str, ...], emergency: bool
) -> Read:
    """The sheet that the rules judge. `drugs` holds every drug of the body by its id.

    A field that cannot be read is a problem at `rx-FIELD-N` (N from 1) or `rx-FIELD`, and stands as left open.
    """
    reader = _Reader()
    lines = tuple(_line(reader, number, line, drugs[line.drug_id], form) for number, line in enumerate(body.lines, 1))
    doses = reader.whole("rx-doses", body.doses, most=_MOST_DOSES) if form is Form.HERBAL else None
    a_day = reader.whole("rx-doses_a_day", body.doses_a_day, most=_MOST_DOSES_A_DAY) if form is Form.HERBAL else None
    sheet = Sheet(
        form=form,
        lines=lines,
        diagnoses=diagnoses,
        kind=Kind(body.kind) if body.kind in set(Kind) else None,
        emergency=emergency,
        doses=doses,
        doses_a_day=a_day or 1,
    )
    priced = tuple(_priced(line, drugs[typed.drug_id], sheet) for line, typed in zip(lines, body.lines, strict=True))
    return Read(sheet=sheet, priced=priced, problems=tuple(reader.problems))


def _line(reader: _Reader, number: int, typed: BodyLine, entry: CatalogueDrug, form: Form) -> Line:
    herbal = form is Form.HERBAL
    return Line(
        drug=entry.drug,
        dose=reader.amount(f"rx-dose-{number}", typed.dose),
        route=typed.route if typed.route in ROUTES else "",
        frequency="" if herbal or typed.frequency not in FREQUENCIES else typed.frequency,
        days=None if herbal else reader.whole(f"rx-days-{number}", typed.days, most=_MOST_DAYS),
        packs=None if herbal else reader.whole(f"rx-packs-{number}", typed.packs, most=_MOST_PACKS),
    )


def _priced(line: Line, entry: CatalogueDrug, sheet: Sheet) -> Priced:
    packs = line.packs if line.packs is not None else packs_needed(line, sheet)
    return Priced(line=line, entry=entry, packs=packs, price_fen=packs * entry.price_fen)


class _Reader:
    """Reads typed numbers and gathers what cannot be read."""

    def __init__(self) -> None:
        self.problems: list[FieldProblem] = []

    def problem(self, at: str, said: Text) -> None:
        self.problems.append(FieldProblem(field=at, text=said))

    def amount(self, at: str, typed: str) -> Decimal | None:
        if not typed:
            return None
        try:
            value = Decimal(typed)
        except InvalidOperation:
            value = Decimal(-1)
        if not value.is_finite() or not 0 < value < 10**6 or len(typed) > 12:
            self.problem(at, text("A number above zero, such as 0.5"))
            return None
        return value

    def whole(self, at: str, typed: str, *, most: int) -> int | None:
        if not typed:
            return None
        if not (typed.isascii() and typed.isdigit() and len(typed) <= 4 and 1 <= int(typed) <= most):
            self.problem(at, text("A whole number from 1 to %(most)d", most=most))
            return None
        return int(typed)


def too_long(body: Body) -> list[FieldProblem]:
    """Fields that hold more than is kept; also a draft is refused then, with everything still in the form."""
    found = []
    for number, line in enumerate(body.lines, start=1):
        for name in LINE_FIELDS:
            limit = REASON_LIMIT if name == "hint" else VALUE_LIMIT
            if len(getattr(line, name)) > limit:
                found.append(FieldProblem(field=f"rx-{name}-{number}", text=_at_most(limit)))
    for name in SHEET_FIELDS:
        limit = REASON_LIMIT if name == "until_reason" else VALUE_LIMIT
        if len(getattr(body, name)) > limit:
            found.append(FieldProblem(field=f"rx-{name}", text=_at_most(limit)))
    found += [
        FieldProblem(field=f"reason-{key}", text=_at_most(REASON_LIMIT))
        for key, reason in body.reasons.items()
        if len(reason) > REASON_LIMIT or len(key) > REASON_LIMIT
    ]
    if len(body.lines) > MOST_LINES:
        found.append(FieldProblem(field="rx-q", text=text("At most %(limit)d lines", limit=MOST_LINES)))
    return found


def _at_most(limit: int) -> Text:
    return text("At most %(limit)d characters", limit=limit)


# What the page does to a sheet.


def with_drug(body: Body, entry: CatalogueDrug) -> Body:
    """One more line, filled with what is usual for the drug; unchanged when the sheet is full."""
    if len(body.lines) >= MOST_LINES:
        return body
    line = BodyLine(
        drug_id=entry.id,
        dose=f"{entry.usual_dose:f}" if entry.usual_dose is not None else "",
        route=entry.usual_route,
        frequency=entry.usual_frequency,
        days=str(entry.usual_days) if entry.usual_days is not None else "",
    )
    return _with_lines(body, (*body.lines, line))


def without_line(body: Body, number: int) -> Body:
    """The sheet without its line `number`, which counts from 1."""
    return _with_lines(body, tuple(line for n, line in enumerate(body.lines, start=1) if n != number))


def _with_lines(body: Body, lines: tuple[BodyLine, ...]) -> Body:
    """Reasons answer findings by line numbers, which have moved: those that name a line at or after the change go."""
    same = next((n for n, (a, b) in enumerate(zip(body.lines, lines, strict=False), start=1) if a != b), None)
    first = same if same is not None else min(len(body.lines), len(lines)) + 1
    kept = {key: reason for key, reason in body.reasons.items() if all(n < first for n in _lines_of(key))}
    return Body(
        lines=lines,
        reasons=kept,
        **{name: getattr(body, name) for name in SHEET_FIELDS},
    )


def _lines_of(key: str) -> tuple[int, ...]:
    parts = key.split(":")
    numbers = parts[1].split(",") if len(parts) > 1 else []
    return tuple(int(number) for number in numbers if number.isdigit())
