"""How long a sheet lasts, and how many packs that takes. Pure.

Sources: 处方管理办法 article 19 (seven days, three in an emergency, longer with a reason) and article 23 (psychotropics
of the second class).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING

from edge_node.his.prescriptions.control_rules import narcotic_days, total
from edge_node.his.prescriptions.finding import Finding, Level, of_line
from edge_node.his.prescriptions.model import Form, Line, Sheet, Situation

ORDINARY_DAYS = 7
EMERGENCY_DAYS = 3


def packs_needed(line: Line, sheet: Sheet) -> int:
    """Whole packs that cover the line; 0 while it is incomplete."""
    return int((total(line, sheet) / line.drug.pack).to_integral_value(ROUND_CEILING))


def supply_findings(situation: Situation) -> Iterator[Finding]:
    """Too long, too many packs, too few, or just at the limit."""
    sheet = situation.sheet
    most = EMERGENCY_DAYS if sheet.emergency else ORDINARY_DAYS
    if sheet.form is Form.HERBAL:
        days = sheet.days or 0
        if days > most:
            yield Finding(level=Level.ASK, code="supply-too-long", values={"days": days, "most": most})
        elif days == most:
            yield _at_limit(most)
        return
    too_long, at_limit = False, 0
    for number, line in enumerate(sheet.lines, start=1):
        days, limit = line.days or 0, most
        if line.drug.control.is_narcotic_paper:
            limit = narcotic_days(line, situation) or 0
        elif days > limit:
            yield of_line(Level.ASK, "supply-too-long", number, line, days=days, most=limit)
        too_long = too_long or days > limit > 0
        at_limit = max(at_limit, limit) if days == limit > 0 else at_limit
        yield from _quantity(sheet, number, line)
    if at_limit and not too_long:
        yield _at_limit(at_limit)


def _at_limit(days: int) -> Finding:
    return Finding(level=Level.NOTE, code="supply-at-limit", values={"days": days})


def _quantity(sheet: Sheet, number: int, line: Line) -> Iterator[Finding]:
    needed = packs_needed(line, sheet)
    if line.packs is None or not needed:
        return
    if line.packs > needed:
        yield of_line(Level.ASK, "quantity-beyond-days", number, line, packs=line.packs, needed=needed)
    elif line.packs * line.drug.pack < total(line, sheet):
        yield of_line(Level.NOTE, "quantity-short", number, line, packs=line.packs, needed=needed)
