"""What an auditor asks for: parsed, with what is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from edge_node.his.forms import FieldProblem
from edge_node.his.traces.words import ACTIONS
from edge_node.i18n import text

# A record number has 13 characters; more is a text that was pasted here by mistake.
NUMBER_MAX_LENGTH = 40
# No log of ours is older; and what lies far outside has no midnight that a clock can count.
YEARS = range(2020, 2100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What was typed; each None is any. `mrn` is the record number of a patient."""

    staff_code: str | None
    mrn: str | None
    action: str | None
    day: date | None


def parse(form: Mapping[str, str]) -> Filter | list[FieldProblem]:
    """The filter of the audit page. Whether such a person and patient exist is the caller's to see."""
    problems = []
    day, typed_day = None, form.get("day", "").strip()
    if typed_day:
        with contextlib.suppress(ValueError):
            day = date.fromisoformat(typed_day)
        if day is None or day.year not in YEARS:
            problems.append(FieldProblem(field="day", text=text("Write the day as 2026-03-14")))
    mrn = form.get("mrn", "").strip().upper()
    if len(mrn) > NUMBER_MAX_LENGTH or not mrn.isprintable():
        problems.append(FieldProblem(field="mrn", text=text("No record has this number")))
    action = form.get("action", "")
    if action and action not in ACTIONS:
        problems.append(FieldProblem(field="action", text=text("Choose one of the list")))
    if problems:
        return problems
    return Filter(staff_code=form.get("person", "").strip() or None, mrn=mrn or None, action=action or None, day=day)
