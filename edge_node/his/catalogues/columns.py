"""What a catalogue's columns may hold: headings in both languages, and a reader for each cell. Pure.

All problems of a file are found at once, each with its row and its heading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from edge_node.his.catalogues.sheets import Sheet
from edge_node.i18n import Text, text

# A cell that is shown in a problem; more of it helps nobody.
_SHOWN = 40


class Unreadable(ValueError):
    """A cell does not hold what its column asks for; `text` says what to write."""

    def __init__(self, said: Text) -> None:
        super().__init__(said.message)
        self.text = said


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its key in the program, its headings, and how a cell is read. An empty cell gives `default`."""

    key: str
    zh: str
    en: str
    read: Callable[[str], Any]
    required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong, where: row 0 is the file as a whole."""

    row: int
    column: str
    found: str
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Rows that could be read, by their number, and everything that could not."""

    rows: tuple[tuple[int, Mapping[str, Any]], ...]
    problems: tuple[Problem, ...]


def read_rows(sheet: Sheet, columns: Sequence[Column], *, unique: str = "code") -> Read:
    """Every row through its columns; `unique` is the key that may stand in one row only."""
    found = {column.key: _heading(column, sheet.headings) for column in columns}
    problems = [*_heading_problems(sheet, columns, found)]
    rows, seen = [], dict[Any, int]()
    if any(problem.row == 0 and not problem.found for problem in problems):
        return Read(rows=(), problems=tuple(problems))
    for number, cells in sheet.rows:
        values, wrong = {}, []
        for column in columns:
            heading = found[column.key]
            cell = cells.get(heading, "") if heading else ""
            try:
                if not cell and column.required:
                    raise Unreadable(text("is missing"))
                values[column.key] = column.read(cell) if cell else column.default
            except Unreadable as error:
                wrong.append(Problem(row=number, column=heading or column.zh, found=cell[:_SHOWN], text=error.text))
        before = seen.setdefault(values.get(unique), number) if values.get(unique) is not None else number
        if before != number:
            said = text("stands in row %(row)d already", row=before)
            wrong.append(Problem(row=number, column=found[unique] or unique, found=str(values[unique]), text=said))
        problems += wrong
        if not wrong:
            rows.append((number, values))
    return Read(rows=tuple(rows), problems=tuple(problems))


def _heading(column: Column, headings: Iterable[str]) -> str | None:
    plain = {heading.strip().lower(): heading for heading in headings if heading}
    return plain.get(column.zh.lower()) or plain.get(column.en.lower())


def _heading_problems(sheet: Sheet, columns: Sequence[Column], found: Mapping[str, str | None]) -> Iterable[Problem]:
    for column in columns:
        if column.required and found[column.key] is None:
            yield Problem(row=0, column=column.zh, found="", text=text("this column is missing"))
    for heading in sheet.headings:
        if heading and heading not in found.values():
            known = "、".join(column.zh for column in columns)
            yield Problem(
                row=0, column=heading, found=heading, text=text("no column of ours; those are: %(known)s", known=known)
            )


# Readers of cells.


def words(cell: str) -> str:
    """Any text, at most 200 characters."""
    if len(cell) > 200:
        raise Unreadable(text("at most %(limit)d characters", limit=200))
    return cell


def code(cell: str) -> str:
    """A code: letters, digits, dots, dashes."""
    if not (1 <= len(cell) <= 40 and all(letter.isalnum() or letter in ".-_+*" for letter in cell)):
        raise Unreadable(text("letters, digits, dots and dashes, at most %(limit)d", limit=40))
    return cell


def amount(cell: str) -> Decimal:
    """A number above zero."""
    try:
        value = Decimal(cell.replace(",", ""))
    except InvalidOperation:
        raise Unreadable(text("a number above zero, such as 0.5")) from None
    if not value.is_finite() or not 0 < value < 10**9:
        raise Unreadable(text("a number above zero, such as 0.5"))
    return value


def whole(cell: str) -> int:
    """A whole number from 0."""
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 6):
        raise Unreadable(text("a whole number, such as 12"))
    return int(cell)


def fen(cell: str) -> int:
    """A price in yuan with at most two decimals, as fen."""
    try:
        value = Decimal(cell.removeprefix("¥").replace(",", "")) * 100
    except InvalidOperation:
        raise Unreadable(text("a price in yuan, such as 12.80")) from None
    if not value.is_finite() or value < 0 or value != value.to_integral_value() or value >= 10**9:
        raise Unreadable(text("a price in yuan, such as 12.80"))
    return int(value)


def yes(cell: str) -> bool:
    """Yes or no."""
    plain = cell.lower()
    if plain in {"是", "y", "yes", "true", "1"}:
        return True
    if plain in {"否", "n", "no", "false", "0"}:
        return False
    raise Unreadable(text("%(yes)s or %(no)s", yes="是", no="否"))


def one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    """A reader for one of these words, capitals aside."""

    def read(cell: str) -> Any:
        value = choices.get(cell.lower())
        if value is None:
            raise Unreadable(text("one of: %(choices)s", choices="、".join(choices)))
        return value

    return read


def some_of(choices: Mapping[str, Any] | None = None) -> Callable[[str], tuple[Any, ...]]:
    """A reader for several words between semicolons; of `choices`, or any."""

    def read(cell: str) -> tuple[Any, ...]:
        parts = [part.strip() for part in cell.replace("；", ";").split(";") if part.strip()]
        return tuple(one_of(choices)(part) for part in parts) if choices is not None else tuple(map(words, parts))

    return read
