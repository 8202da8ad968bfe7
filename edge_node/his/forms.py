"""What every form of the HIS shares: a problem with one field, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge_node.i18n import Text

# Far above every counter, far below what SQLite and the reading of digits can take.
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field, and what to do; `field` is the control's name and its id on the page."""

    field: str
    text: Text


def by_field(problems: Iterable[FieldProblem]) -> dict[str, Text]:
    """The first problem of each field, for the sentence beside it."""
    found: dict[str, Text] = {}
    for problem in problems:
        found.setdefault(problem.field, problem.text)
    return found


def whole_number(typed: str) -> int:
    """A counter that a page of ours put into a form or an address. Raises ValueError for anything that is none."""
    if not _NUMBER.fullmatch(typed):
        raise ValueError("not a number of ours")
    return int(typed)


def posted_json(typed: str) -> Any:
    """JSON that a page of ours put into a form. Raises ValueError, also for what only an attacker writes: thousands of
    brackets, and halves of characters, which neither a page nor a database can hold."""
    try:
        document = json.loads(typed)
        json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return document
