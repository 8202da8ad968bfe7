"""What every form of the HIS shares: a problem with one field, in words; and which signs are read at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge_node.i18n import Text

# Far above every counter, far below what SQLite and the reading of digits can take.
_NUMBER = re.compile(r"[0-9]{1,9}")
# The controls of C0 and C1 and DEL, but for the tab and the end of a line. What word processors break a line with
# becomes a space, so that two words stay two.
_UNSEEN: dict[int, str | None] = {
    **dict.fromkeys(set(range(0x20)) - {0x09, 0x0A, 0x0D}), **dict.fromkeys(range(0x7F, 0xA0)),
    0x0B: " ", 0x0C: " ", 0x85: " ",
}  # fmt: skip


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


def seen(typed: str) -> str:
    """What was typed without the signs that no page shows and no form needs."""
    return typed.translate(_UNSEEN)


def posted_json(typed: str) -> Any:
    """JSON that a page of ours put into a form, its words without what cannot be seen. Raises ValueError, also for what
    only an attacker writes: thousands of brackets, and halves of characters, which neither a page nor a database can
    hold."""
    try:
        document = json.loads(typed)
        json.dumps(document, ensure_ascii=False).encode()
        # JSON writes such signs with a backslash, and most of ours has none.
        return _seen_in(document) if "\\" in typed else document
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _seen_in(document: Any) -> Any:
    match document:
        case str():
            return seen(document)
        case list():
            return [_seen_in(one) for one in document]
        case dict():
            return {seen(name): _seen_in(value) for name, value in document.items()}
        case _:
            return document
