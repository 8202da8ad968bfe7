"""What speaks against a drug in this patient: allergy, skin test, age, pregnancy, dose, way. Pure.

Sources: 处方管理办法 article 6 (9), which binds a dose to the label, and article 35 (1) to (4); the labels themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from edge_node.his.prescriptions.control_rules import daily, short
from edge_node.his.prescriptions.finding import Finding, Level, of_line
from edge_node.his.prescriptions.model import (
    Allergy,
    Drug,
    Line,
    Pregnancy,
    Situation,
    SkinTest,
    SkinTestState,
)
from edge_node.his.prescriptions.sheet_rules import age_months

# A group that a label calls for care in, when the patient is allergic to the first.
_CROSS = {
    "青霉素类": frozenset({"头孢菌素类", "碳青霉烯类"}),
    "头孢菌素类": frozenset({"青霉素类", "碳青霉烯类"}),
}
# How people write a group: 青霉素, 青霉素类, 青霉素类抗生素, 青霉素类药物, 青霉素过敏.
_ENDINGS = ("过敏", "抗生素", "抗菌药", "药物", "药", "类")


def allergy_to(substance: str, catalogue: Iterable[Drug]) -> Allergy:
    """An allergy as somebody wrote it, with the groups that the catalogue knows it by: its own name as a group, and the
    groups of drugs that have nothing but it in them."""
    written = plain(substance)
    groups: dict[str, None] = {}
    for drug in catalogue:
        for group in drug.groups:
            if plain(group) == written or (len(drug.ingredients) == 1 and written in map(plain, drug.ingredients)):
                groups.setdefault(group)
    return Allergy(substance=substance, groups=tuple(groups))


def plain(words: str) -> str:
    """A substance without the endings that people add: 青霉素 for 青霉素类药物."""
    left = words.strip()
    for _ in _ENDINGS:
        left = next((left.removesuffix(end) for end in _ENDINGS if left.endswith(end) and left != end), left)
    return left


def allergic(drug: Drug, allergies: Iterable[Allergy]) -> Allergy | None:
    """The allergy that forbids this drug."""
    for allergy in allergies:
        same_substance = plain(allergy.substance) in {plain(name) for name in drug.ingredients}
        if same_substance or set(allergy.groups) & set(drug.groups):
            return allergy
    return None


def _cross(drug: Drug, allergies: Iterable[Allergy]) -> Allergy | None:
    for allergy in allergies:
        if any(_CROSS.get(group, frozenset()) & set(drug.groups) for group in allergy.groups):
            return allergy
    return None


def patient_findings(situation: Situation) -> Iterator[Finding]:
    """Line by line what speaks against it in this patient."""
    patient = situation.patient
    if not patient.allergies_asked and not patient.allergies and situation.sheet.lines:
        yield Finding(level=Level.ASK, code="allergies-not-asked")
    for number, line in enumerate(situation.sheet.lines, start=1):
        against = allergic(line.drug, patient.allergies)
        if against is not None:
            yield of_line(Level.STOP, "allergic", number, line, substance=against.substance)
        else:
            near = _cross(line.drug, patient.allergies)
            if near is not None:
                yield of_line(Level.ASK, "allergy-cross", number, line, substance=near.substance)
            yield from _skin_test(situation, number, line)
        yield from _age(situation, number, line)
        if patient.pregnant and line.drug.pregnancy is not Pregnancy.NOTHING:
            forbidden = line.drug.pregnancy is Pregnancy.FORBIDDEN
            level, code = (Level.STOP, "pregnancy-forbidden") if forbidden else (Level.ASK, "pregnancy-care")
            yield of_line(level, code, number, line)
        yield from _dose(situation, number, line)
        if line.route and line.drug.routes and line.route not in line.drug.routes:
            yield of_line(Level.ASK, "route-unusual", number, line)


def tested_by(drug: Drug, substance: str) -> bool:
    """Does a skin test of this substance speak for the drug? One of an ingredient does, and one of its whole group
    (青霉素 for every penicillin: β内酰胺类抗菌药物皮肤试验指导原则, 2021)."""
    return plain(substance) in {plain(name) for name in (*drug.ingredients, *drug.groups)}


def _skin_test(situation: Situation, number: int, line: Line) -> Iterator[Finding]:
    if not line.drug.skin_test:
        return
    newest: SkinTest | None = min(
        (test for test in situation.patient.skin_tests if tested_by(line.drug, test.substance)),
        key=lambda test: test.hours_ago,
        default=None,
    )
    if newest is None:
        yield of_line(Level.STOP, "skin-test-missing", number, line)
    elif newest.state is SkinTestState.POSITIVE:
        yield of_line(Level.STOP, "skin-test-positive", number, line)
    elif newest.state is SkinTestState.ORDERED:
        yield of_line(Level.NOTE, "skin-test-waiting", number, line)
    elif newest.hours_ago > situation.clinic.skin_test_hours:
        yield of_line(Level.STOP, "skin-test-old", number, line, hours=situation.clinic.skin_test_hours)


def _age(situation: Situation, number: int, line: Line) -> Iterator[Finding]:
    months = age_months(situation.patient.birth_date, situation.today)
    forbidden, least = line.drug.forbidden_below_months, line.drug.min_age_months
    if forbidden is not None and months < forbidden:
        yield of_line(Level.STOP, "age-forbidden", number, line, months=forbidden)
    elif least is not None and months < least:
        yield of_line(Level.ASK, "age-below-label", number, line, months=least)


def _dose(situation: Situation, number: int, line: Line) -> Iterator[Finding]:
    """Above the label's single or daily dose, or above what it gives a child of this weight."""
    drug, a_day = line.drug, daily(line, situation.sheet)
    if a_day is None or line.dose is None:
        return
    most = drug.max_daily
    weight_kg = situation.patient.weight_kg
    if drug.max_daily_per_kg is not None and weight_kg is not None:
        by_weight = drug.max_daily_per_kg * weight_kg
        most = by_weight if most is None else min(most, by_weight)
    single = drug.max_single
    if (single is not None and line.dose > single) or (most is not None and a_day > most):
        yield of_line(
            Level.ASK,
            "dose-above-usual",
            number,
            line,
            daily=short(a_day),
            most=short(most) if most is not None else short(single or Decimal(0)),
            unit=drug.unit,
        )
