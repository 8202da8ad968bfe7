"""The printed prescription: the words on it, and the bar code of its number."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.encounters.note import Diagnosis
from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Patient
from edge_node.his.prescriptions.bars import bars
from edge_node.his.prescriptions.body import Body, BodyLine
from edge_node.his.prescriptions.layout import paged
from edge_node.his.prescriptions.model import Form, Kind
from edge_node.his.prescriptions.printed import Printed, age, printed
from edge_node.his.prescriptions.prints import SignedLine
from edge_node.his.prescriptions.sheets import Version

DAY = date(2026, 11, 20)
SHAN = Patient(
    id="p", mrn="XC42A-2600000018", name="单雅琴", sex=Sex.FEMALE, birth_date=date(1980, 3, 14), phone="",
    id_type=IdType.NONE, id_number_masked="", address="", version=1, guardian_name="李建平", guardian_relation="父",
)  # fmt: skip
LINE = SignedLine(
    number=1, drug_id="d", name="盐酸氨溴索片", spec="30 mg × 20 片", dose="30", unit="mg", route="oral",
    frequency="tid", days=5, packs=1, pack_unit="盒",
)  # fmt: skip
HERB = replace(LINE, name="甘草", spec="", dose="6", unit="g", route="decocted", frequency="", days=7, packs=42)


def a_version(**changes: Any) -> Version:
    plain = Version(
        n=1, revision=1, rx_no="0042A-R2600000017", kind=Kind.ORDINARY, valid_until="2026-11-20", total_fen=1880,
        body=Body(lines=(BodyLine(drug_id="d"),)), author_id="s", author_name="沈立群", signed_at=0,
        clock_state="synced", reason="", mode="online",
    )  # fmt: skip
    return replace(plain, **changes)


def a_paper(version: Version | None = None, **changes: Any) -> Printed:
    given: dict[str, Any] = {
        "form": Form.MEDICINES, "lines": [LINE], "diagnoses": (), "patient": SHAN, "department": "内科",
        "signed": datetime(2026, 11, 20, 9, 19), "weight_kg": None, "tests": {}, **changes,
    }  # fmt: skip
    return printed(version or a_version(), **given)


@pytest.mark.parametrize(
    "born, words",
    [
        (date(2026, 11, 20), "0 天"),
        (date(2026, 11, 1), "19 天"),
        (date(2026, 10, 20), "1 个月"),
        (date(2023, 11, 21), "35 个月"),
        (date(2023, 11, 20), "3 岁"),
        (date(1980, 11, 21), "45 岁"),
        (date(2026, 12, 1), "0 天"),
    ],
)
def test_small_children_have_days_and_months(born: date, words: str) -> None:
    assert age(born, DAY) == words


def test_a_line_says_how_much_and_how_often() -> None:
    ((line,),) = [page.lines for page in a_paper().pages]
    assert (line.name, line.spec, line.quantity) == ("盐酸氨溴索片", "30 mg × 20 片", "× 1 盒")
    assert line.usage == "每次 30 mg　口服　每日 3 次　5 日"
    once = a_paper(lines=[replace(LINE, frequency="once", days=1)]).pages[0].lines[0]
    assert once.usage == "每次 30 mg　口服　一次"


def test_a_hint_and_the_skin_test_stand_beneath() -> None:
    body = Body(lines=(BodyLine(drug_id="d", hint="饭后"),))
    line = a_paper(a_version(body=body), tests={"d": "皮试结果：（－）"}).pages[0].lines[0]
    assert line.remarks == ["饭后", "皮试结果：（－）"]


@pytest.mark.parametrize(
    "form, line, count, pages",
    [
        (Form.MEDICINES, LINE, 5, [5]),
        (Form.MEDICINES, LINE, 6, [5, 1]),
        (Form.HERBAL, HERB, 30, [30]),
        (Form.HERBAL, HERB, 40, [30, 10]),
    ],
)
def test_five_medicines_are_a_page(form: Form, line: SignedLine, count: int, pages: list[int]) -> None:
    body = Body(lines=(BodyLine(drug_id="d"),) * count, doses="7")
    lines = [replace(line, number=n) for n in range(1, count + 1)]
    assert [len(page.lines) for page in a_paper(a_version(body=body), form=form, lines=lines).pages] == pages


def test_herbs_have_their_grams_their_word_on_boiling_and_the_doses() -> None:
    lines = (BodyLine(drug_id="d", hint="先煎"), BodyLine(drug_id="d"))
    body = Body(lines=lines, doses="7", decoction="水煎，分早晚两次温服")
    outside = replace(HERB, number=2, route="external")
    paper = a_paper(a_version(body=body), form=Form.HERBAL, lines=[HERB, outside])
    first, second = paper.pages[0].lines
    assert (first.name, first.quantity, first.remarks) == ("甘草", "6 g", ["先煎"])
    assert second.remarks == ["外用"]
    assert paper.pages[0].notes == ["共 7 剂，每日 1 剂，水煎，分早晚两次温服。"]


def test_both_kinds_of_diagnosis_have_their_codes() -> None:
    cough = Diagnosis(
        code="A04.01.01", name="咳嗽", kind=DiagnosisKind.TCM_DISEASE, syndrome_code="B02.02.04",
        syndrome_name="痰热郁肺证",
    )  # fmt: skip
    paper = a_paper(diagnoses=(Diagnosis(code="J20.900", name="急性支气管炎"), cough, Diagnosis(code="", name="乏力")))
    assert paper.diagnosis == "急性支气管炎（J20.900）；乏力"
    assert paper.tcm_diagnosis == "咳嗽（A04.01.01）　痰热郁肺证（B02.02.04）"


def test_a_child_has_a_weight_or_room_for_it_and_a_guardian() -> None:
    child = replace(SHAN, birth_date=date(2020, 1, 1))
    assert ("体重", "＿＿＿ kg") in a_paper(patient=child).facts
    facts = dict(a_paper(patient=child, weight_kg=Decimal("21.50")).facts)
    assert (facts["体重"], facts["监护人"], facts["年龄"]) == ("21.5 kg", "李建平（父）", "6 岁")
    assert "监护人" not in dict(a_paper().facts)


@pytest.mark.parametrize(
    "until, reason, words",
    [
        ("2026-11-20", "", "当日有效"),
        ("2026-11-22", "周末药房缺货", "有效至 2026-11-22（延长理由：周末药房缺货）"),
    ],
)
def test_how_long_it_holds(until: str, reason: str, words: str) -> None:
    assert (
        a_paper(a_version(valid_until=until, body=Body(until_reason=reason, lines=(BodyLine(drug_id="d"),)))).validity
        == words
    )


def test_reasons_name_their_lines() -> None:
    body = Body(
        lines=(BodyLine(drug_id="d"),),
        reasons={
            "supply-too-long:1": "血压平稳",
            "same-ingredient:1,2:对乙酰氨基酚": "短期",
            "weight-missing": "哭闹",
            "x": " ",
        },
    )
    assert a_paper(a_version(body=body)).pages[0].notes == [
        f"医师注明：{said}（再次签名：沈立群）" for said in ("第 1 行　血压平稳", "第 1、2 行　短期", "哭闹")
    ]


def test_what_does_not_fit_goes_to_another_sheet_in_its_order() -> None:
    lines = tuple(BodyLine(drug_id="d", hint="饭后半小时，用温水送服。" * 8) for _ in range(5))
    body = Body(lines=lines, reasons={f"supply-too-long:{n}": "路远，病情平稳，" * 20 for n in range(1, 6)})
    paper = a_paper(a_version(body=body), lines=[replace(LINE, number=n) for n in range(1, 6)])
    assert len(paper.pages) > 2
    assert [line.number for page in paper.pages for line in page.lines] == [1, 2, 3, 4, 5]
    notes = [note for page in paper.pages for note in page.notes]
    assert [re.findall(r"第 (\d) 行", note) for note in notes] == [["1"], ["2"], ["3"], ["4"], ["5"]]


@pytest.mark.parametrize(
    "heights, pages",
    [
        pytest.param([], [0], id="nothing"),
        pytest.param([2, 2, 2], [3], id="room-for-all"),
        pytest.param([2] * 6, [5, 1], id="five-are-enough"),
        pytest.param([1] * 5 + [1] * 3, [8], id="what-is-not-counted-joins-five"),
        pytest.param([4, 4, 4], [2, 1], id="no-room-for-the-third"),
        pytest.param([30, 1], [1, 1], id="higher-than-a-page"),
    ],
)
def test_pages(heights: list[float], pages: list[int]) -> None:
    counted = 5 if len(heights) == 8 else len(heights)
    assert paged(heights, room=10, most=5, counted=counted) == pages


@pytest.mark.parametrize(
    "kind, label, asks",
    [
        (Kind.ORDINARY, "普通", False),
        (Kind.EMERGENCY, "急诊", False),
        (Kind.CHILD, "儿科", False),
        (Kind.PSYCHOTROPIC_2, "精二", False),
        (Kind.NARCOTIC, "麻、精一", True),
    ],
)
def test_label_of_each_kind(kind: Kind, label: str, asks: bool) -> None:
    paper = a_paper(a_version(kind=kind))
    assert (paper.label, paper.asks_identity) == (label, asks)


def test_a_sheet_of_an_offline_node_says_so_with_its_clock() -> None:
    paper = a_paper(a_version(mode="offline", clock_state="holdover"))
    assert (paper.is_offline, paper.clock) == (True, "守时")


@pytest.mark.parametrize(
    "number, width, digest",
    [
        ("0042A-R2600000017", 167, "f60ae644b491db5c"),
        ("XC42A-R2600000017", 178, "d9cf2ed94ecdf906"),
        ("7", 46, "2890389f565bdb77"),
    ],
)
def test_a_number_as_bars(number: str, width: int, digest: str) -> None:
    """As they were when a scanner's library (ZXing) had read them; 41 mm of 167 are a quarter of a millimetre each."""
    code = bars(number)
    assert (code.width, hashlib.sha256(code.path.encode()).hexdigest()[:16]) == (width, digest)


@pytest.mark.parametrize("number", ["", "编号", "a\n"])
def test_what_has_no_bars(number: str) -> None:
    with pytest.raises(ValueError):
        bars(number)


def test_a_foot_with_many_words_leaves_less_room_above_it() -> None:
    reasons = {f"weight-missing:{n}": "哭闹" for n in range(1, 4)}
    body = Body(lines=(BodyLine(drug_id="d"),) * 5, reasons=reasons)
    lines = [replace(LINE, number=n) for n in range(1, 6)]
    assert len(a_paper(a_version(body=body), lines=lines).pages) == 1
    long = replace(body, until_reason="路途遥远" * 50)
    paper = a_paper(a_version(body=long, valid_until="2026-11-22"), lines=lines)
    assert [(len(page.lines), len(page.notes)) for page in paper.pages] == [(5, 0), (0, 3)]


def test_why_it_was_changed_stands_among_the_notes() -> None:
    assert a_paper(a_version(reason="减量")).pages[0].notes == []
    assert a_paper(a_version(n=2, reason="减量")).pages[0].notes == ["修改理由：减量。"]
