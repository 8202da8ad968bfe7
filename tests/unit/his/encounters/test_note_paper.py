"""Words in the rows of a sheet: none is lost, and no word of letters is cut that has room elsewhere."""

from __future__ import annotations

import random
from datetime import date, datetime
from typing import Any

import pytest

from edge_node.his.encounters.note import Note
from edge_node.his.encounters.note_paper import PrintedNote, in_rows, printed_note
from edge_node.his.encounters.versions import Version
from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Patient
from edge_node.his.prescriptions.layout import width
from edge_node.his.reception.rules import Kind


@pytest.mark.parametrize(
    "words, first, rows",
    [
        pytest.param("咳嗽五天", 10.0, ["咳嗽五天"], id="fits"),
        pytest.param("咳嗽五天发热", 3.0, ["咳嗽五", "天发热"], id="the-first-row-is-narrower"),
        pytest.param("用 amoxicillin 口服", 4.0, ["用 ", "amoxicillin 口", "服"], id="a-word-goes-to-the-next-row"),
        pytest.param("x" * 30, 4.0, ["x" * 6, "x" * 13, "x" * 11], id="a-word-wider-than-a-row-is-cut"),
        pytest.param("咳嗽五天，发热", 4.0, ["咳嗽五", "天，发热"], id="no-row-begins-with-a-stop"),
        pytest.param("", 4.0, [""], id="nothing"),
    ],
)
def test_rows(words: str, first: float, rows: list[str]) -> None:
    assert in_rows(words, 8.0, first=first) == rows


@pytest.mark.parametrize("seed", range(20))
def test_put_together_again_they_are_what_they_were_and_none_is_too_wide(seed: int) -> None:
    dice = random.Random(seed)
    words = "".join(dice.choice("咳嗽，。 ab1.\n") * dice.choice((1, 1, 1, 40)) for _ in range(300))
    rows = in_rows(words, 33.0, first=dice.uniform(1, 33))
    assert "".join(rows) == words
    assert max(map(width, rows)) <= 33.0 + 1e-6


CHILD = Patient(
    id="p", mrn="XC42A-2600000018", name="李梓涵", sex=Sex.MALE, birth_date=date(2020, 5, 6), phone="",
    id_type=IdType.NONE, id_number_masked="", address="", version=1, guardian_name="李建平", guardian_relation="父",
)  # fmt: skip


def a_paper(note: Note, *, mode: str = "online", **changes: Any) -> PrintedNote:
    version = Version(
        n=1, revision=1, note=note, author_id="s", author_name="沈立群", signed_at=0, clock_state="synced", reason="",
        mode=mode, hash=bytes(range(32)),
    )  # fmt: skip
    given: dict[str, Any] = {
        "clinic_name": "西城门诊部", "visit_no": "0042A-V2600000017", "patient": CHILD, "department": "儿科",
        "kind": Kind.FIRST, "began": datetime(2026, 11, 20, 9, 19), "allergies": "未记录", "treatment": (), **changes,
    }  # fmt: skip
    return printed_note(version, **given)


def test_what_stands_in_the_head_of_a_childs_note() -> None:
    paper = a_paper(Note(complaint="发热 1 天"))
    assert paper.facts == [
        ("姓名", "李梓涵"), ("性别", "男"), ("年龄", "6 岁"), ("科别", "儿科"), ("初复诊", "初诊"),
        ("出生日期", "2020-05-06"), ("就诊时间", "2026-11-20 09:19"), ("门诊病历号", "XC42A-2600000018"),
        ("监护人", "李建平（父）"),
    ]  # fmt: skip
    assert paper.check == "1c1d1e1f"


def test_what_is_prescribed_stands_whole_on_one_sheet() -> None:
    drugs = [f"{n} 头孢克洛胶囊　0.25 g × 6 粒　× 7 盒　每次 0.25 g　口服　每日 3 次　14 日" for n in range(60)]
    paper = a_paper(Note(complaint="发热 1 天"), treatment=drugs)
    said = [paragraph.words for page in paper.pages for paragraph in page.paragraphs]
    assert len(paper.pages) > 3 and [words for words in said if "头孢" in words] == drugs
    labels = [paragraph.label for page in paper.pages for paragraph in page.paragraphs]
    assert labels.count("处理") == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"clinic_name": "西城门诊部（训练）社区服务站"}, id="a-long-name-of-the-clinic"),
        pytest.param({"department": "呼吸与危重症医学科门诊"}, id="a-long-name-of-a-department"),
        pytest.param({"mode": "offline"}, id="an-outage-has-more-small-print"),
    ],
)
def test_a_higher_head_or_foot_leaves_less_room(changes: dict[str, Any]) -> None:
    note = Note(complaint="发热", history="\n".join(f"{n} 无" for n in range(200)))
    plain, longer = a_paper(note), a_paper(note, **changes)
    assert len(longer.pages[0].paragraphs) < len(plain.pages[0].paragraphs)
    for paper in (plain, longer):
        said = [paragraph.words for page in paper.pages for paragraph in page.paragraphs]
        assert [words for words in said if words.endswith(" 无")] == note.history.split("\n")
