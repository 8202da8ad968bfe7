"""The table of cases.toml, case by case: what the regulations ask of a prescription, and what the rules find."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edge_node.his.prescriptions.finding import Finding, may_sign
from edge_node.his.prescriptions.model import (
    Antibacterial,
    Clinic,
    Control,
    Drug,
    Form,
    Interaction,
    Kind,
    Line,
    Patient,
    Pregnancy,
    Release,
    Right,
    Sheet,
    Situation,
    SkinTest,
    SkinTestState,
)
from edge_node.his.prescriptions.paper import PAPERS, extension_refused, is_valid
from edge_node.his.prescriptions.patient_rules import allergy_to
from edge_node.his.prescriptions.rules import check
from edge_node.his.prescriptions.sheet_rules import age_months, kind_of
from edge_node.his.prescriptions.words import what, why
from edge_node.i18n import LANGUAGES, translate

HERE = Path(__file__).parent
CASES: dict[str, list[dict[str, Any]]] = tomllib.loads((HERE / "cases.toml").read_text(encoding="utf-8"))
TODAY = date(2026, 11, 20)
INTERACTIONS = (Interaction(one="华法林", other="解热镇痛药", effect="出血风险增加"),)


def _drug(code: str, row: dict[str, Any]) -> Drug:
    return Drug(
        code=code,
        name=row["name"],
        unit=row["unit"],
        pack=Decimal(row["pack"]),
        ingredients={name: Decimal(mg) for name, mg in row["ingredients"].items()},
        groups=tuple(row.get("groups", ())),
        routes=tuple(row["routes"]),
        herbal=row.get("herbal", False),
        control=Control(row.get("control", "none")),
        release=Release(row.get("release", "ordinary")),
        antibacterial=Antibacterial(row.get("antibacterial", "none")),
        skin_test=row.get("skin_test", False),
        on_site_only=row.get("on_site_only", False),
        long_for=row.get("long_for", ""),
        max_single=_number(row.get("max_single")),
        max_daily=_number(row.get("max_daily")),
        max_daily_per_kg=_number(row.get("max_daily_per_kg")),
        min_age_months=row.get("min_age"),
        forbidden_below_months=row.get("forbidden_below"),
        pregnancy=Pregnancy(row.get("pregnancy", "")),
    )


def _number(words: str | None) -> Decimal | None:
    return None if words is None else Decimal(words)


FORMULARY = {
    code: _drug(code, row) for code, row in tomllib.loads((HERE / "formulary.toml").read_text(encoding="utf-8")).items()
}


def _line(words: str, form: Form) -> Line:
    code, dose, *rest = words.split()
    drug = FORMULARY[code]
    amount = None if dose == "-" else Decimal(dose)
    if form is Form.HERBAL:
        return Line(drug=drug, dose=amount, route=rest[0] if rest else drug.routes[0])
    route, frequency, days, *packs = rest
    return Line(
        drug=drug,
        dose=amount,
        route=route,
        frequency="" if frequency == "-" else frequency,
        days=None if days == "-" else int(days),
        packs=int(packs[0]) if packs else None,
    )


def _born(age: str) -> date:
    count, unit = int(age[:-1]), age[-1]
    if unit == "d":
        return TODAY - timedelta(days=count)
    months = count if unit == "m" else 12 * count
    year, month = divmod(TODAY.year * 12 + TODAY.month - 1 - months, 12)
    return date(year, month + 1, TODAY.day)


def _skin_test(substance: str, words: str) -> SkinTest:
    state, *hours = words.split()
    return SkinTest(
        substance=substance,
        state=SkinTestState(state),
        hours_ago=Decimal(hours[0].removesuffix("h")) if hours else Decimal(0),
    )


def situation(case: dict[str, Any]) -> Situation:
    form = Form(case.get("form", "medicines"))
    patient = Patient(
        birth_date=_born(case.get("age", "46y")),
        weight_kg=_number(case.get("weight_kg")),
        pregnant=case.get("pregnant", False),
        allergies=tuple(allergy_to(words, FORMULARY.values()) for words in case.get("allergies", ())),
        allergies_asked=case.get("allergies_asked", True),
        skin_tests=tuple(_skin_test(name, words) for name, words in case.get("skin_tests", {}).items()),
        identity=case.get("identity", False),
        long_pain=case.get("long_pain", False),
    )
    sheet = Sheet(
        form=form,
        lines=tuple(_line(words, form) for words in case["items"]),
        diagnoses=tuple(case.get("diagnoses", ["J20.900"])),
        kind=Kind(case["kind"]) if "kind" in case else None,
        emergency=case.get("emergency", False),
        doses=case.get("doses"),
        doses_a_day=case.get("doses_a_day", 1),
    )
    return Situation(
        sheet=sheet,
        patient=patient,
        today=TODAY,
        rights=frozenset(map(Right, case.get("rights", ()))),
        clinic=Clinic(narcotics=case.get("narcotics", False)),
        other_lines=tuple(_line(words, Form.MEDICINES) for words in case.get("other_sheets", ())),
        interactions=INTERACTIONS,
    )


def _told(finding: Finding) -> str:
    lines = ",".join(map(str, finding.lines)) or "-"
    return " ".join(part for part in (finding.level.value, finding.code, lines, finding.subject) if part)


def _ids(table: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES[table]]


@pytest.mark.parametrize("case", _ids("case"))
def test_case(case: dict[str, Any]) -> None:
    now = situation(case)
    found = check(now)
    assert [_told(finding) for finding in found] == case.get("find", [])
    if "may_sign" in case:
        assert may_sign(found, case.get("reasons", {})) is case["may_sign"]
    if "kind" in case and not case.get("find"):
        assert kind_of(now.sheet, months=age_months(now.patient.birth_date, TODAY)) is Kind(case["kind"])


@pytest.mark.parametrize("case", _ids("case"))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_says_what_and_why(case: dict[str, Any], language: str) -> None:
    for finding in check(situation(case)):
        for sentence in (what(finding), why(finding)):
            said = translate(sentence, language)
            assert said
            assert "%(" not in said
    assert case["source"]


def test_the_table_knows_every_rule() -> None:
    from edge_node.his.prescriptions.words import WHAT

    met = {finding.code for case in CASES["case"] for finding in check(situation(case))}
    assert met == set(WHAT)
    assert len(CASES["case"]) >= 60


@pytest.mark.parametrize("case", _ids("validity"))
def test_validity(case: dict[str, Any]) -> None:
    until = date.fromisoformat(case["until"]) if "until" in case else None
    signed, now = datetime.fromisoformat(case["signed"]), datetime.fromisoformat(case["now"])
    assert is_valid(signed=signed, until=until, now=now) is case["valid"]


@pytest.mark.parametrize("case", _ids("extension"))
def test_extension(case: dict[str, Any]) -> None:
    refused = extension_refused(
        signed=datetime.fromisoformat(case["signed"]).date(),
        until=date.fromisoformat(case["until"]),
        reason=case["reason"],
    )
    assert refused == case["refused"]


def test_paper() -> None:
    told = [(kind.value, paper.label, paper.colour, paper.years_kept) for kind, paper in PAPERS.items()]
    assert told == [(row["kind"], row["label"], row["colour"], row["years"]) for row in CASES["paper"]]
