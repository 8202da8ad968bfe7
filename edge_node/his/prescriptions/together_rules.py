"""What speaks against two drugs at once: the same ingredient twice, interactions, herbs that oppose. Pure.

Sources: 处方管理办法 article 35 (5) and (6); the pharmacopoeia's notes on herbs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import combinations

from edge_node.his.prescriptions.control_rules import daily, short
from edge_node.his.prescriptions.finding import Finding, Level
from edge_node.his.prescriptions.incompatible import HERBS
from edge_node.his.prescriptions.model import Drug, Line, Sheet, Situation

# Line 0 stands for what was prescribed on another sheet: it counts, and is not shown as a line of this one.
_ELSEWHERE = 0


def together_findings(situation: Situation) -> Iterator[Finding]:
    """Pairs and groups of lines, those of other sheets among them; something of this sheet is always in it."""
    numbered = [
        *enumerate(situation.sheet.lines, start=1),
        *((_ELSEWHERE, line) for line in situation.other_lines),
    ]
    yield from _same_ingredient(numbered, situation.sheet)
    for (first, one), (second, other) in combinations(numbered, 2):
        lines = tuple(number for number in (first, second) if number != _ELSEWHERE)
        if not lines:
            continue
        values = {"one": one.drug.name, "other": other.drug.name}
        for interaction in situation.interactions:
            if _meets(interaction.one, interaction.other, one.drug, other.drug):
                yield Finding(
                    level=Level.ASK, code="interaction", lines=lines, values={**values, "effect": interaction.effect}
                )
                break
        if any(frozenset((a, b)) in HERBS for a in one.drug.ingredients for b in other.drug.ingredients):
            yield Finding(level=Level.ASK, code="incompatible-herbs", lines=lines, values=values)


def _same_ingredient(numbered: Sequence[tuple[int, Line]], sheet: Sheet) -> Iterator[Finding]:
    holders: dict[str, list[tuple[int, Line]]] = {}
    for number, line in numbered:
        for ingredient in line.drug.ingredients:
            holders.setdefault(ingredient, []).append((number, line))
    for ingredient, found in holders.items():
        lines = tuple(number for number, _ in found if number != _ELSEWHERE)
        if len(found) < 2 or not lines:
            continue
        amounts = [(daily(line, sheet) or Decimal(0)) * line.drug.ingredients[ingredient] for _, line in found]
        yield Finding(
            level=Level.ASK,
            code="same-ingredient",
            lines=lines,
            subject=ingredient,
            values={"ingredient": ingredient, "amount": _weight(sum(amounts, Decimal(0)))},
        )


def _weight(mg: Decimal) -> str:
    return f"{short(mg)} mg" if mg < 100 else f"{short(mg / 1000)} g"


def _meets(one: str, other: str, first: Drug, second: Drug) -> bool:
    return (_is(first, one) and _is(second, other)) or (_is(first, other) and _is(second, one))


def _is(drug: Drug, name: str) -> bool:
    return name in drug.groups or name in drug.ingredients
