"""How commands speak: the answer on standard output, the talk on standard error."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from edge_node.base.clock import parse_utc


def answer(text: str) -> None:
    """Part of the answer."""
    click.echo(text)


def talk(text: str) -> None:
    """What is not the answer: progress, and what was done."""
    click.echo(text, err=True)


def answer_json(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def width(text: str) -> int:
    """Columns of a terminal that the text takes; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under their heads, two spaces or more apart."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(width(line[i]) for line in lines) for i in range(len(head))]
    padded = [[cell + " " * (widths[i] - width(cell)) for i, cell in enumerate(line)] for line in lines]
    return "\n".join("   ".join(line).rstrip() for line in padded)


def moment(text: str | None) -> str:
    """A time of the contract for a person, in the machine's zone: "09:14" today, "Oct 02" before, "-" for none."""
    if not text:
        return "-"
    at, today = datetime.fromtimestamp(parse_utc(text) / 1000), datetime.now().date()
    if at.date() == today:
        return f"{at:%H:%M}"
    return f"{at:%b %d}" if at.date() < today else f"{at:%b %d %H:%M}"
