"""A catalogue as somebody's spreadsheet: CSV or xlsx into rows of text, with the row numbers that the program shows."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.errors import ServiceError

# A catalogue of a large hospital has some ten thousand rows; more is another file by mistake.
MOST_ROWS = 100_000
MOST_BYTES = 64 * 1024**2
# What spreadsheet programs here write, in the order of trying: UTF-8 with or without a mark, then the national set.
_ENCODINGS = ("utf-8-sig", "gb18030")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The first sheet of a file: its headings, and its rows that hold anything, by the number the program shows."""

    headings: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]


def read_sheet(path: Path) -> Sheet:
    """Raises ServiceError sheet-unreadable for what is no CSV or xlsx, has no headings, or is far too large."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unreadable(path, f"it is larger than {MOST_BYTES // 1024**2} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    table = _xlsx(path, content) if content.startswith(b"PK") else _csv(path, content)
    lines = [(number, cells) for number, cells in enumerate(table, start=1) if any(cells)]
    if not lines:
        raise _unreadable(path, "it is empty")
    headings = tuple(lines[0][1])
    if len(lines) > MOST_ROWS:
        raise _unreadable(path, f"it has more than {MOST_ROWS} rows")
    twice = sorted({heading for heading in headings if heading and headings.count(heading) > 1})
    if twice:
        raise _unreadable(path, f"its first row has {', '.join(twice)} twice")
    rows = tuple(
        (number, {heading: cell for heading, cell in zip(headings, cells, strict=False) if heading})
        for number, cells in lines[1:]
    )
    return Sheet(headings=headings, rows=rows)


def _csv(path: Path, content: bytes) -> Iterator[Sequence[str]]:
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise _unreadable(path, "its characters are neither UTF-8 nor GB 18030")
    if "\0" in text:
        raise _unreadable(path, "it holds binary data")
    first = text.partition("\n")[0]
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",", strict=True)
        for cells in reader:
            yield [cell.strip() for cell in cells]
    except csv.Error as error:
        raise _unreadable(path, f"line {reader.line_num}: {error}") from error


def _xlsx(path: Path, content: bytes) -> Iterator[Sequence[str]]:
    # Only whoever imports an xlsx pays for it.
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        for number, cells in enumerate(sheet.iter_rows(values_only=True)):
            if number > MOST_ROWS:
                raise _unreadable(path, f"it has more than {MOST_ROWS} rows")
            yield [_cell(cell) for cell in cells]
    except (KeyError, ValueError, IndexError, zipfile.BadZipFile, OSError) as error:
        raise _unreadable(path, f"it is no xlsx file ({error})") from error


def _cell(value: object) -> str:
    """A cell as text: whole numbers without the `.0` that spreadsheets add, everything else as it is written."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _unreadable(path: Path, why: str) -> ServiceError:
    return ServiceError(
        "sheet-unreadable",
        f"{path} cannot be read as a table",
        context=why,
        hint="save it as CSV (UTF-8) or xlsx, with the headings in the first row",
    )
