"""The catalogues that a new clinic begins with, read as an import would read them; `training/` holds the files.

Diagnoses go into every new clinic; drugs and prices, which are ours and not a real clinic's, only into a training one.
A real clinic imports its own; these files show what one looks like.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Any

from edge_node.his.catalogues import drugs, icd, prices
from edge_node.his.catalogues.columns import Column, read_rows
from edge_node.his.catalogues.sheets import read_sheet
from edge_node.his.encounters.note import Note


def training_drugs() -> list[drugs.CatalogueDrug]:
    """Common drugs and herbs."""
    return [drugs.from_row(values) for values in _rows("drugs.csv", drugs.COLUMNS)]


def training_prices() -> list[prices.PriceItem]:
    """Common charge items."""
    return [prices.PriceItem(**values) for values in _rows("prices.csv", prices.COLUMNS)]


def common_diagnoses() -> list[icd.IcdEntry]:
    """Common diagnoses, and examples of diseases and syndromes of Chinese medicine."""
    return [icd.IcdEntry(**values) for values in _rows("icd.csv", icd.COLUMNS)]


def note_templates() -> list[tuple[str, str, Note]]:
    """Names of templates, the code of the department (empty: everybody's), and what each writes into a note."""
    document = tomllib.loads((files(__package__) / "training" / "templates.toml").read_text(encoding="utf-8"))
    return [(row.pop("name"), row.pop("department", ""), Note(**row)) for row in document["template"]]


def _rows(name: str, columns: Sequence[Column]) -> list[Any]:
    with as_file(files(__package__) / "training" / name) as path:
        read = read_rows(read_sheet(path), columns)
    if read.problems:
        first = read.problems[0]
        raise ValueError(f"{name}, row {first.row}, {first.column}: {first.text.message}")
    return [values for _, values in read.rows]
