"""How commands speak: the answer on standard output, the talk on standard error."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import parse_utc
from edge_node.base.errors import UsageError
from edge_node.base.files import atomic_write


def answer(text: str) -> None:
    """Part of the answer."""
    click.echo(text)


def talk(text: str) -> None:
    """What is not the answer: progress, and what was done."""
    click.echo(text, err=True)


def answer_to(to: Path | None, text: str, *, is_csv: bool) -> None:
    """The answer, or where `--to` names one a file with it. Raises UsageError."""
    if to is None:
        answer(text.removesuffix("\n"))
        return
    try:
        # With a mark of its encoding, or a spreadsheet in China takes it for GBK.
        atomic_write(to, text.encode("utf-8-sig" if is_csv else "utf-8"))
    except OSError as error:
        raise UsageError(
            "usage",
            f"{to} cannot be written",
            context=f"{type(error).__name__}: {error.strerror}",
            hint="give a path in a folder that the owner of the node's data may write, or leave --to out",
        ) from error
    talk(f"written to {to}")


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
