"""A signed note as it is printed for its patient; Chinese in every language. Pure.

病历书写基本规范 articles 12 and 13: time, department, first visit or return, complaint, history, allergies, findings,
diagnosis, what was done, the doctor's signature. What is long goes on on the next sheet, and nothing is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from edge_node.base.clock import ClockState
from edge_node.his.encounters import rules
from edge_node.his.encounters.note import Diagnosis, Note
from edge_node.his.encounters.versions import Version
from edge_node.his.patients.queries import Patient
from edge_node.his.patients.rules import SEX_WORDS
from edge_node.his.prescriptions.bars import Bars, bars
from edge_node.his.prescriptions.layout import FOOT_ROW, NOTE_GAP, PAGE_EM, paged, rows, width
from edge_node.his.prescriptions.printed import CLOCKS, FACTS_IN_CELLS, age, coded, in_a_row, is_tcm, with_syndrome
from edge_node.his.prescriptions.sheet_rules import CHILD_MONTHS, age_months
from edge_node.his.reception.rules import KIND_NAMES, Kind
from edge_node.i18n import CHINESE, translate

# Between a head of one row for the clinic's name and three for facts, and a foot with one row of small print.
ROWS = 23.0
# What a further row of the name takes, how much of it is in one, and how much in a cell of the head.
TITLE_ROW, TITLE_EM, CELL_EM = 1.35, 7.0, 10.9
# A row of prose, which is Chinese for the most part: 34.5 such characters fit.
PROSE_EM = 34.0
# A drug with how it is taken, or a few words, stands on one sheet.
UNCUT = 3
# As much of the version's hash as two people read to each other on the telephone.
CHECK_SIGNS = 8
_MEASURES = (("temperature", "T", "℃"), ("pulse", "P", "次/分"), ("respiration", "R", "次/分"),
             ("blood_pressure", "BP", "mmHg"))  # fmt: skip
# A row ends between two of these: a word of letters and figures, or any other sign, with the stop that closes it.
_WORD = re.compile(r"(?:[!-~]+|.)[，。；：、！？）》」』”’]*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """`label` is empty where it goes on with what stands above it, or on the sheet before."""

    label: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotePage:
    """One sheet of A5."""

    number: int
    paragraphs: Sequence[Paragraph]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedNote:
    """Everything that stands on the paper, as ready words. `check` is the end of the version's hash."""

    number: str
    bars: Bars
    facts: Sequence[tuple[str, str]]
    pages: Sequence[NotePage]
    check: str
    clock: str
    is_offline: bool


def printed_note(
    version: Version,
    *,
    clinic_name: str,
    visit_no: str,
    patient: Patient,
    department: str,
    kind: Kind,
    began: datetime,
    allergies: str,
    treatment: Sequence[str],
) -> PrintedNote:
    """The paper of one signed version. `began` is local time; `treatment` has a row for each thing prescribed or
    ordered."""
    facts = _facts(patient, department, kind, began)
    said = [*_said(version.note, allergies), *_listed("处理", treatment), *_amended(version)]
    is_plain = version.mode != "offline" and ClockState(version.clock_state) is ClockState.SYNCED
    return PrintedNote(
        number=visit_no,
        bars=bars(visit_no),
        facts=facts,
        pages=_pages(said, room=ROWS - _more_of_the_head(clinic_name, facts) - (0 if is_plain else FOOT_ROW)),
        check=version.hash.hex()[-CHECK_SIGNS:],
        clock=CLOCKS[ClockState(version.clock_state)],
        is_offline=version.mode == "offline",
    )


def _facts(patient: Patient, department: str, kind: Kind, began: datetime) -> list[tuple[str, str]]:
    """Label and words: six in two rows of three, the others in a row after them."""
    found = [
        ("姓名", patient.name),
        ("性别", translate(SEX_WORDS[patient.sex], CHINESE)),
        ("年龄", age(patient.birth_date, began.date())),
        ("科别", department),
        ("初复诊", translate(KIND_NAMES[kind], CHINESE)),
        ("出生日期", patient.birth_date.isoformat()),
        ("就诊时间", f"{began:%Y-%m-%d %H:%M}"),
        ("门诊病历号", patient.mrn),
    ]
    if patient.occupation:
        found.append(("职业", patient.occupation))
    if age_months(patient.birth_date, began.date()) < CHILD_MONTHS and patient.guardian_name:
        what = f"（{patient.guardian_relation}）" if patient.guardian_relation else ""
        found.append(("监护人", patient.guardian_name + what))
    return found


def _more_of_the_head(clinic_name: str, facts: Sequence[tuple[str, str]]) -> float:
    """The rows that a long name or long facts take from the words beneath."""
    cells = [rows(f"{label}：{words}", CELL_EM) for label, words in facts[:FACTS_IN_CELLS]]
    highest = sum(max(cells[place : place + 3]) for place in range(0, FACTS_IN_CELLS, 3))
    beneath = rows(in_a_row(facts[FACTS_IN_CELLS:]), PAGE_EM)
    return TITLE_ROW * (rows(clinic_name, TITLE_EM) - 1) + (highest - 2) + (beneath - 1)


def _said(note: Note, allergies: str) -> Iterator[Paragraph]:
    """What the doctor wrote, in the order of the regulation; what was left empty is left out."""
    measured = "　".join(f"{sign} {value} {unit}" for name, sign, unit in _MEASURES if (value := getattr(note, name)))
    for name, words in (
        ("complaint", note.complaint), ("onset_date", note.onset_date), ("history", note.history), ("", allergies),
        ("examination", "\n".join(filter(None, (measured, note.examination)))),
    ):  # fmt: skip
        label = translate(rules.FIELD_NAMES[name], CHINESE) if name else "过敏史"
        yield from _listed(label, [row for row in words.split("\n") if row.strip()])
    diagnoses = [_diagnosis(one) for one in note.diagnoses]
    numbered = [f"{n}. {words}" for n, words in enumerate(diagnoses, start=1)] if len(diagnoses) > 1 else diagnoses
    yield from _listed("诊断", numbered)


def _listed(label: str, said: Sequence[str]) -> Iterator[Paragraph]:
    for place, words in enumerate(said):
        yield Paragraph(label="" if place else label, words=words)


def _diagnosis(diagnosis: Diagnosis) -> str:
    said = with_syndrome(diagnosis) if is_tcm(diagnosis) else coded(diagnosis.name, diagnosis.code)
    other = diagnosis.insurance_code
    return f"{said}　医保编码 {other}" if other and other != diagnosis.code else said


def _amended(version: Version) -> Iterator[Paragraph]:
    if version.n > 1:
        reason = f"，修改理由：{version.reason}" if version.reason else ""
        yield from _listed("修改", [f"本病历为第 {version.n} 版{reason}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One row of a paragraph, or all of a short one."""

    place: int
    paragraph: Paragraph
    height: float


def _pages(paragraphs: Sequence[Paragraph], *, room: float) -> list[NotePage]:
    """On as many sheets as they need, a long one cut between two rows; `room` is in rows."""
    found = [piece for place, paragraph in enumerate(paragraphs) for piece in _pieces(place, paragraph)]
    pages, begin = list[NotePage](), 0
    for count in paged([piece.height for piece in found], room=room, most=0, counted=0):
        together = groupby(found[begin : begin + count], key=lambda piece: piece.place)
        pages.append(NotePage(number=len(pages) + 1, paragraphs=[_joined(list(part)) for _, part in together]))
        begin += count
    return pages


def _pieces(place: int, paragraph: Paragraph) -> Iterator[_Piece]:
    label = width(f"{paragraph.label}：") if paragraph.label else 0.0
    gap = NOTE_GAP if paragraph.label else 0.0
    found = in_rows(paragraph.words, PROSE_EM, first=PROSE_EM - label)
    if len(found) <= UNCUT:
        yield _Piece(place=place, paragraph=paragraph, height=len(found) + gap)
        return
    for number, words in enumerate(found):
        part = Paragraph(label="" if number else paragraph.label, words=words)
        yield _Piece(place=place, paragraph=part, height=1 + (0.0 if number else gap))


def _joined(parts: Sequence[_Piece]) -> Paragraph:
    return replace(parts[0].paragraph, words="".join(part.paragraph.words for part in parts))


def in_rows(words: str, em: float, *, first: float) -> list[str]:
    """Words in rows of this width, the first one narrower for its label. Put together again they are what they were; a
    word of letters is cut only where it is wider than a row."""
    found, row, used, room = list[str](), "", 0.0, first
    for part in _WORD.findall(words):
        if used + width(part) > room and row:
            found.append(row)
            row, used, room = "", 0.0, em
        for piece in part if width(part) > room else (part,):
            if used + width(piece) > room and row:
                found.append(row)
                row, used, room = "", 0.0, em
            row, used = row + piece, used + width(piece)
    return [*found, row]
