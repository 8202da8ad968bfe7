"""A signed sheet as it is printed, in the words that 处方管理办法 prescribes; Chinese in every language. Pure.

Annex 1: head, body and foot of the paper. Article 6: age in days or months for small children, with the weight; each
medicine on a line of its own; a stroke through what is left blank; why a dose is above the usual, with a second
signature. 中药处方格式及书写规范: disease and syndrome; a word on boiling at the herb's upper right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from edge_node.base.clock import ClockState
from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.encounters.note import Diagnosis
from edge_node.his.patients.queries import Patient
from edge_node.his.patients.rules import SEX_WORDS
from edge_node.his.prescriptions.bars import Bars, bars
from edge_node.his.prescriptions.body import Body
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.layout import (
    DRUG_GAP,
    FOOT_EM,
    FOOT_ROW,
    HEAD_GAP,
    HERB_EM,
    HERB_GAP,
    INDENTED_EM,
    NAME_EM,
    NOTE_GAP,
    PAGE_EM,
    ROWS,
    paged,
    rows,
)
from edge_node.his.prescriptions.model import Form, Kind
from edge_node.his.prescriptions.paper import PAPERS
from edge_node.his.prescriptions.prints import SignedLine
from edge_node.his.prescriptions.routes import ROUTES
from edge_node.his.prescriptions.sheet_rules import CHILD_MONTHS, MOST_DRUGS, SMALL_CHILD_MONTHS, age_months
from edge_node.his.prescriptions.sheets import Version
from edge_node.i18n import CHINESE, translate

# Three columns of ten.
HERBS_ON_A_PAGE = 30
# Two rows of three; the others follow in one row.
FACTS_IN_CELLS = 6
CLOCKS = {
    ClockState.SYNCED: "已校时",
    ClockState.HOLDOVER: "守时",
    ClockState.SUSPECT: "存疑",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedLine:
    """One drug. On a sheet of herbs `quantity` is the grams of one dose, and `remarks` how this one is boiled. `waits`
    while its skin test has no result: the paper says so in a box, since it may be printed before."""

    number: int
    name: str
    spec: str
    quantity: str
    usage: str
    remarks: Sequence[str]
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedPage:
    """One sheet of A5. `notes` are paragraphs beneath the lines: how herbs are taken, and what the doctor says."""

    number: int
    lines: Sequence[PrintedLine]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """Everything that stands on the paper, as ready words."""

    number: str
    bars: Bars
    kind: Kind
    label: str
    is_herbal: bool
    facts: Sequence[tuple[str, str]]
    diagnosis: str
    tcm_diagnosis: str
    pages: Sequence[PrintedPage]
    validity: str
    clock: str
    is_offline: bool
    asks_identity: bool


def age(birth_date: date, on: date) -> str:
    """Full years; months up to the third birthday and days in the first month (article 6)."""
    months = age_months(birth_date, on)
    if months < 1:
        return f"{max(0, (on - birth_date).days)} 天"
    return f"{months} 个月" if months < SMALL_CHILD_MONTHS else f"{months // 12} 岁"


def printed(
    version: Version,
    *,
    form: Form,
    lines: Sequence[SignedLine],
    diagnoses: Sequence[Diagnosis],
    patient: Patient,
    department: str,
    signed: datetime,
    weight_kg: Decimal | None,
    tests: Mapping[str, str],
    waiting: Collection[str] = (),
) -> Printed:
    """The paper of one signed version. `signed` is its local time; `tests` holds a place for the result of a skin test
    by the id of each drug that wants one, `waiting` the ids of those whose result is not known."""
    herbal, on = form is Form.HERBAL, signed.date()
    facts = _facts(patient, department, on, weight_kg)
    western = "；".join(coded(one.name, one.code) for one in diagnoses if not is_tcm(one))
    chinese = "；".join(with_syndrome(one) for one in diagnoses if is_tcm(one))
    asks_identity = version.kind is Kind.NARCOTIC
    head = [in_a_row(facts[FACTS_IN_CELLS:]), western, *([chinese] if chinese or herbal else [])]
    head += ["", ""] if asks_identity else []
    validity = _validity(version, on)
    return Printed(
        number=version.rx_no,
        bars=bars(version.rx_no),
        kind=version.kind,
        label=PAPERS[version.kind].label,
        is_herbal=herbal,
        facts=facts,
        diagnosis=western,
        tcm_diagnosis=chinese,
        pages=_pages(
            [_herb(line, version.body) if herbal else _medicine(line, version.body, tests, waiting) for line in lines],
            [*([how_taken(version.body)] if herbal else []), *_reasons(version), *_amended(version)],
            herbal=herbal,
            room=ROWS
            - sum(rows(words, PAGE_EM) * (1 + HEAD_GAP) for words in head)
            + 2 * (1 + HEAD_GAP)
            - FOOT_ROW * (rows(validity, FOOT_EM) - 1),
        ),
        validity=validity,
        clock=CLOCKS[ClockState(version.clock_state)],
        is_offline=version.mode == "offline",
        asks_identity=asks_identity,
    )


def _pages(lines: list[PrintedLine], notes: list[str], *, herbal: bool, room: float) -> list[PrintedPage]:
    """Lines, then notes, on as many sheets as they need; `room` is in rows."""
    heights = [*map(_herb_rows if herbal else _medicine_rows, lines)]
    heights += [rows(note, PAGE_EM) + NOTE_GAP for note in notes]
    most = HERBS_ON_A_PAGE if herbal else MOST_DRUGS
    pages: list[PrintedPage] = []
    begin = 0
    for count in paged(heights, room=room, most=most, counted=len(lines)):
        end = begin + count
        kept = notes[max(0, begin - len(lines)) : max(0, end - len(lines))]
        pages.append(PrintedPage(number=len(pages) + 1, lines=lines[begin:end], notes=kept))
        begin = end
    return pages


def _medicine_rows(line: PrintedLine) -> float:
    said = rows(f"{line.name}　{line.spec}", NAME_EM) + rows(f"用法：{line.usage}", INDENTED_EM)
    return said + sum(rows(remark, INDENTED_EM) for remark in line.remarks) + line.waits + DRUG_GAP


def _herb_rows(line: PrintedLine) -> float:
    """A third of a row: three stand beside each other."""
    return (rows("".join([line.name, *line.remarks, line.quantity]), HERB_EM) + HERB_GAP) / 3


def _facts(patient: Patient, department: str, on: date, weight_kg: Decimal | None) -> list[tuple[str, str]]:
    """Label and words, in the order of the paper: six in two rows of three, the others in a row after them."""
    found = [
        ("姓名", patient.name),
        ("性别", translate(SEX_WORDS[patient.sex], CHINESE)),
        ("年龄", age(patient.birth_date, on)),
        ("科别", department),
        # Who pays is settled at the cash desk.
        ("费别", "□ 自费　□ 医保"),
        ("日期", f"{on.year} 年 {on.month} 月 {on.day} 日"),
        ("门诊病历号", patient.mrn),
    ]
    is_child = age_months(patient.birth_date, on) < CHILD_MONTHS
    if weight_kg is not None:
        found.append(("体重", f"{weight_kg.normalize():f} kg"))
    elif is_child:
        found.append(("体重", "＿＿＿ kg"))
    if is_child and patient.guardian_name:
        what = f"（{patient.guardian_relation}）" if patient.guardian_relation else ""
        found.append(("监护人", patient.guardian_name + what))
    return found


def in_a_row(facts: Sequence[tuple[str, str]]) -> str:
    """What stands beneath the cells of a head."""
    return "　".join(f"{label}：{words}" for label, words in facts)


def is_tcm(diagnosis: Diagnosis) -> bool:
    """Is it a disease of Chinese medicine, which stands on a row of its own?"""
    return diagnosis.kind is DiagnosisKind.TCM_DISEASE


def coded(name: str, code: str) -> str:
    """A name with its code behind it."""
    return f"{name}（{code}）" if code else name


def with_syndrome(diagnosis: Diagnosis) -> str:
    """A disease of Chinese medicine and its syndrome, both with their codes."""
    disease = coded(diagnosis.name, diagnosis.code)
    return f"{disease}　{coded(diagnosis.syndrome_name, diagnosis.syndrome_code)}".rstrip("　")


def usage(line: SignedLine) -> str:
    """How a medicine is taken: how much at a time, which way, how often, for how long."""
    frequency = FREQUENCIES.get(line.frequency)
    words = [f"每次 {line.dose} {line.unit}"]
    if line.route in ROUTES:
        words.append(translate(ROUTES[line.route], CHINESE))
    if frequency is not None:
        words.append(translate(frequency.words, CHINESE))
    if frequency is None or not frequency.single:
        words.append(f"{line.days} 日")
    return "　".join(words)


def quantity(line: SignedLine) -> str:
    """How many packs of a medicine."""
    return f"× {line.packs} {line.pack_unit}".rstrip()


def _medicine(line: SignedLine, body: Body, tests: Mapping[str, str], waiting: Collection[str]) -> PrintedLine:
    remarks = [_hint(body, line.number), tests.get(line.drug_id, "")]
    return PrintedLine(
        number=line.number,
        name=line.name,
        spec=line.spec,
        quantity=quantity(line),
        usage=usage(line),
        remarks=[remark for remark in remarks if remark],
        waits=line.drug_id in waiting,
    )


def _herb(line: SignedLine, body: Body) -> PrintedLine:
    way = line.route if line.route in ROUTES and line.route != "decocted" else ""
    remarks = [_hint(body, line.number), translate(ROUTES[way], CHINESE) if way else ""]
    return PrintedLine(
        number=line.number,
        name=line.name,
        spec="",
        quantity=f"{line.dose} {line.unit}",
        usage="",
        remarks=[remark for remark in remarks if remark],
    )


def _hint(body: Body, number: int) -> str:
    return body.lines[number - 1].hint


def how_taken(body: Body) -> str:
    """How many doses there are, and how they are taken."""
    said = [f"共 {body.doses} 剂", f"每日 {body.doses_a_day or 1} 剂"]
    return "，".join([*said, body.decoction] if body.decoction else said) + "。"


def _validity(version: Version, signed: date) -> str:
    if version.valid_until == signed.isoformat():
        return "当日有效"
    reason = f"（延长理由：{version.body.until_reason}）" if version.body.until_reason else ""
    return f"有效至 {version.valid_until}{reason}"


def _amended(version: Version) -> list[str]:
    """Why it was changed: in the body, where long words go to a second sheet; the foot has no room for them."""
    return [f"修改理由：{version.reason}。"] if version.n > 1 and version.reason else []


def _reasons(version: Version) -> list[str]:
    """What the doctor gave as reasons, with the lines that they speak of."""
    found = []
    for key, reason in version.body.reasons.items():
        numbers = key.split(":")[1] if ":" in key else ""
        lines = f"第 {numbers.replace(',', '、')} 行　" if numbers.replace(",", "").isdigit() else ""
        if reason.strip():
            found.append(f"医师注明：{lines}{reason}（再次签名：{version.author_name}）")
    return found
