"""The sentences of findings: what is the matter, and by which rule. The source stays as its authority wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_node.his.prescriptions.finding import Finding
from edge_node.his.prescriptions.model import Kind
from edge_node.i18n import Text, text

KINDS: Mapping[Kind, Text] = {
    Kind.ORDINARY: text("Ordinary"),
    Kind.EMERGENCY: text("Emergency prescription"),
    Kind.CHILD: text("Children's"),
    Kind.PSYCHOTROPIC_2: text("Psychotropic, class 2"),
    Kind.NARCOTIC: text("Narcotic, psychotropic class 1"),
}

# Lines are named by their number and drug: a doctor finds them by the one, a pharmacist by the other.
WHAT: Mapping[str, Text] = {
    "empty": text("Nothing is prescribed yet"),
    "form-mixed": text("Line %(lines)s %(drug)s: herbs have a sheet of their own"),
    "control-mixed": text("Line %(lines)s %(drug)s: a controlled drug has a sheet of its own"),
    "too-many-drugs": text("%(count)d drugs on one sheet; at most %(most)d"),
    "incomplete": text("Line %(lines)s %(drug)s: dose, way, frequency and days must all be said"),
    "dose-missing": text("Line %(lines)s %(drug)s: its dose is missing, in %(unit)s"),
    "doses-missing": text("The number of doses is missing"),
    "kind-wrong": text("This sheet belongs on %(right)s paper"),
    "diagnosis-missing": text("No diagnosis is written"),
    "weight-missing": text("The child's weight is missing"),
    "narcotics-off": text("Line %(lines)s %(drug)s: this clinic does not prescribe narcotics"),
    "no-narcotic-right": text("Line %(lines)s %(drug)s: you have no right to prescribe narcotics"),
    "identity-missing": text("The number of an identity paper is missing, the patient's or of who fetches the drugs"),
    "control-too-long": text("Line %(lines)s %(drug)s: at most %(limit)s on one sheet"),
    "on-site-only": text("Line %(lines)s %(drug)s: to be used in the house only"),
    "toxic-too-much": text("Line %(lines)s %(drug)s: %(amount)s %(unit)s in all; at most %(most)s %(unit)s"),
    "allergies-not-asked": text("Nobody has asked about allergies"),
    "allergic": text("Line %(lines)s %(drug)s: the patient is allergic to %(substance)s"),
    "allergy-cross": text("Line %(lines)s %(drug)s: the patient is allergic to %(substance)s, which is related"),
    "skin-test-missing": text("Line %(lines)s %(drug)s: no skin test yet"),
    "skin-test-positive": text("Line %(lines)s %(drug)s: the skin test was positive"),
    "skin-test-waiting": text("Line %(lines)s %(drug)s: waits for its skin test"),
    "skin-test-old": text("Line %(lines)s %(drug)s: the skin test is older than %(hours)d hours"),
    "age-forbidden": text("Line %(lines)s %(drug)s: forbidden under %(age)s"),
    "age-below-label": text("Line %(lines)s %(drug)s: the label gives no dose under %(age)s"),
    "pregnancy-forbidden": text("Line %(lines)s %(drug)s: forbidden in pregnancy"),
    "pregnancy-care": text("Line %(lines)s %(drug)s: with care in pregnancy"),
    "dose-above-usual": text(
        "Line %(lines)s %(drug)s: %(daily)s %(unit)s a day is above the usual (%(most)s %(unit)s)"
    ),
    "route-unusual": text("Line %(lines)s %(drug)s: not given this way by its label"),
    "antibacterial-special": text("Line %(lines)s %(drug)s: a special-use antibacterial, not for outpatients"),
    "antibacterial-right": text(
        "Line %(lines)s %(drug)s: a restricted antibacterial; you have no right to prescribe it"
    ),
    "same-ingredient": text("Lines %(lines)s: all hold %(ingredient)s, together %(amount)s a day"),
    "interaction": text("Lines %(lines)s: %(one)s with %(other)s: %(effect)s"),
    "incompatible-herbs": text("Lines %(lines)s: %(one)s and %(other)s oppose each other"),
    "supply-too-long": text("%(days)d days; at most %(most)d without a reason"),
    "quantity-beyond-days": text("Line %(lines)s %(drug)s: %(packs)d packs; %(needed)d are enough for these days"),
    "quantity-short": text("Line %(lines)s %(drug)s: %(packs)d packs do not last; %(needed)d would"),
    "supply-at-limit": text("This sheet lasts %(days)d days, which is the limit"),
}

_RULES_53 = "处方管理办法"
WHY: Mapping[str, Text] = {
    "empty": text("%(law)s, article %(article)s", law=_RULES_53, article="5"),
    "form-mixed": text("%(law)s, article %(article)s", law=_RULES_53, article="6"),
    "control-mixed": text("%(law)s, annex 1: a paper for each class", law=_RULES_53),
    "too-many-drugs": text("%(law)s, article %(article)s", law=_RULES_53, article="6 (7)"),
    "incomplete": text("%(law)s, article %(article)s", law=_RULES_53, article="6 (9)"),
    "dose-missing": text("%(law)s, article %(article)s", law=_RULES_53, article="6 (9)"),
    "doses-missing": text("%(law)s, annex 1", law=_RULES_53),
    "kind-wrong": text("%(law)s, annex 1", law=_RULES_53),
    "diagnosis-missing": text(
        "%(law)s, article 6 (10). Passes with the doctor's reason; the pharmacist will see it.", law=_RULES_53
    ),
    "weight-missing": text(
        "%(law)s, article 6 (2). Passes with the doctor's reason; the pharmacist will see it.", law=_RULES_53
    ),
    "narcotics-off": text("%(law)s, article %(article)s", law="麻醉药品和精神药品管理条例", article="36"),
    "no-narcotic-right": text("%(law)s, article %(article)s", law=_RULES_53, article="11"),
    "identity-missing": text("%(law)s, annex 1", law=_RULES_53),
    "control-too-long": text("%(law)s, articles 23 to 26. Nobody can pass it.", law=_RULES_53),
    "on-site-only": text("%(law)s, article %(article)s", law=_RULES_53, article="26"),
    "toxic-too-much": text(
        "%(law)s, article 9: the most of two days. Nobody can pass it.", law="医疗用毒性药品管理办法"
    ),
    "allergies-not-asked": text("%(law)s, article 35. Ask and write the answer down, or say why not.", law=_RULES_53),
    "allergic": text("Allergy. Nobody can pass it, in any role, whatever the lines do."),
    "allergy-cross": text("Label: with care. Passes with the doctor's reason; the pharmacist will see it."),
    "skin-test-missing": text("%(law)s, article 35 (1). Order the test.", law=_RULES_53),
    "skin-test-positive": text("Label: forbidden. Nobody can pass it."),
    "skin-test-waiting": text("%(law)s, article 35 (1). It can be signed, and is not given before.", law=_RULES_53),
    "skin-test-old": text("Label: test again. Order the test."),
    "age-forbidden": text("Label: forbidden at this age. Nobody can pass it."),
    "age-below-label": text("Label. Passes with the doctor's reason; the pharmacist will see it."),
    "pregnancy-forbidden": text("Label: forbidden. Nobody can pass it."),
    "pregnancy-care": text("Label: with care. Passes with the doctor's reason; the pharmacist will see it."),
    "dose-above-usual": text(
        "%(law)s, article 6 (9). Passes with the doctor's reason and signature; the pharmacist will see it.",
        law=_RULES_53,
    ),
    "route-unusual": text(
        "%(law)s, article 35 (4). Passes with the doctor's reason; the pharmacist will see it.", law=_RULES_53
    ),
    "antibacterial-special": text("%(law)s, article %(article)s", law="抗菌药物临床应用管理办法", article="27"),
    "antibacterial-right": text("%(law)s, article %(article)s", law="抗菌药物临床应用管理办法", article="24"),
    "same-ingredient": text(
        "Same ingredient; %(law)s, article 35 (5). Passes with the doctor's reason; the pharmacist will see it.",
        law=_RULES_53,
    ),
    "interaction": text(
        "Interaction; %(law)s, article 35 (6). Passes with the doctor's reason; the pharmacist will see it.",
        law=_RULES_53,
    ),
    "incompatible-herbs": text(
        "Pharmacopoeia: the eighteen that oppose, the nineteen that fear. Passes with the doctor's reason."
    ),
    "supply-too-long": text(
        "%(law)s, article 19. Passes with the doctor's reason; the pharmacist will see it.", law=_RULES_53
    ),
    "quantity-beyond-days": text(
        "%(law)s, article 19. Passes with the doctor's reason; the pharmacist will see it.", law=_RULES_53
    ),
    "quantity-short": text("For your information"),
    "supply-at-limit": text("%(law)s, article %(article)s", law=_RULES_53, article="19"),
}


def what(finding: Finding) -> Text:
    """What is the matter, with the line and the drug."""
    values: dict[str, Any] = {**finding.values, "lines": _lines(finding.lines)}
    if "months" in values:
        values["age"] = age(int(values["months"]))
    if isinstance(values.get("right"), Kind):
        values["right"] = KINDS[values["right"]]
    if finding.code == "control-too-long":
        values["limit"] = text("%(n)d days", n=values["most"]) if values["most"] else text("one dose")
    if finding.code == "supply-too-long" and finding.lines:
        return text("Line %(lines)s %(drug)s: %(rest)s", rest=Text(WHAT[finding.code].message, values), **values)
    return Text(WHAT[finding.code].message, values)


def why(finding: Finding) -> Text:
    """The rule and its source, and who can pass it."""
    return WHY[finding.code]


def age(months: int) -> Text:
    """An age as it is said: 18 years, 6 months."""
    return text("%(n)d years", n=months // 12) if months % 12 == 0 and months else text("%(n)d months", n=months)


def _lines(lines: tuple[int, ...]) -> str:
    return "、".join(map(str, lines))
