"""What every form of the HIS shares: a problem with one field, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_node.i18n import Text


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
