"""Spreadsheets as people save them, and everything that can be wrong with one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import Workbook

from edge_node.base.errors import ServiceError
from edge_node.his.catalogues import drugs, icd, prices
from edge_node.his.catalogues.columns import Problem, read_rows
from edge_node.his.catalogues.sheets import read_sheet
from edge_node.his.catalogues.training import common_diagnoses, note_templates, training_drugs, training_prices
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.model import Antibacterial, Control
from edge_node.i18n import translate

PRICES = "编码,名称,单位,单价,类别\nG001,挂号费,次,12.00,挂号\n\nG002,专家挂号费,次,25,挂号\n"


def saved(tmp_path: Path, content: bytes, name: str = "list.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_encodings_that_spreadsheets_save(tmp_path: Path, encoding: str) -> None:
    sheet = read_sheet(saved(tmp_path, PRICES.encode(encoding)))
    read = read_rows(sheet, prices.COLUMNS)
    assert read.problems == ()
    assert [(number, values["code"], values["price_fen"]) for number, values in read.rows] == [
        (2, "G001", 1200),
        (4, "G002", 2500),
    ]


def test_tabs_and_windows_line_ends(tmp_path: Path) -> None:
    sheet = read_sheet(saved(tmp_path, PRICES.replace(",", "\t").replace("\n", "\r\n").encode()))
    assert [values["编码"] for _, values in sheet.rows] == ["G001", "G002"]


def test_xlsx_with_numbers_as_numbers(tmp_path: Path) -> None:
    book = Workbook()
    page = book.active
    assert page is not None
    page.append(["编码", "名称", "单位", "单价", "类别"])
    page.append([1001, "挂号费", "次", 12.5, "挂号"])
    book.save(tmp_path / "list.xlsx")
    (row,) = read_rows(read_sheet(tmp_path / "list.xlsx"), prices.COLUMNS).rows
    assert (row[1]["code"], row[1]["price_fen"]) == ("1001", 1250)


@pytest.mark.parametrize(
    "content, why",
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"\n\n,,\n", "empty", id="only-commas"),
        pytest.param(b"PK\x03\x04nonsense", "no xlsx", id="half-a-zip"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", "binary|neither", id="a-picture"),
        pytest.param("编码,编码\n1,2\n".encode(), "twice", id="one-heading-twice"),
        pytest.param('编码,名称\n"1,2\n'.encode(), "line", id="an-open-quote"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_sheet(saved(tmp_path, content))
    assert caught.value.code == "sheet-unreadable"
    assert any(part in str(caught.value.context) for part in why.split("|"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be read"):
        read_sheet(tmp_path / "nowhere.csv")


def told(problems: tuple[Problem, ...]) -> list[tuple[int, str, str]]:
    return [(problem.row, problem.column, translate(problem.text, "en")) for problem in problems]


def test_every_problem_of_a_file_at_once(tmp_path: Path) -> None:
    content = """编码,名称,单位,单价,类别
G001,,次,12.005,挂号
G002,x,次,-1,吃饭
G003,y,次,1,挂号
G003,z,次,1,挂号
坏 码,a,次,1,挂号
"""
    read = read_rows(read_sheet(saved(tmp_path, content.encode())), prices.COLUMNS)
    kinds = "one of: 挂号、检查、治疗、注射、皮试、检验、材料、其他"
    assert told(read.problems) == [
        (2, "名称", "is missing"),
        (2, "单价", "a price in yuan, such as 12.80"),
        (3, "单价", "a price in yuan, such as 12.80"),
        (3, "类别", kinds),
        (5, "编码", "stands in row 4 already"),
        (6, "编码", "letters, digits, dots and dashes, at most 40"),
    ]
    assert [values["code"] for _, values in read.rows] == ["G003"]


def test_headings_that_are_missing_or_unknown(tmp_path: Path) -> None:
    read = read_rows(read_sheet(saved(tmp_path, "编码,名称,单位,价钱\nG001,a,次,1\n".encode())), prices.COLUMNS)
    assert told(read.problems) == [
        (0, "单价", "this column is missing"),
        (0, "类别", "this column is missing"),
        (0, "价钱", "no column of ours; those are: 编码、名称、单位、单价、类别、医保编码"),
    ]
    assert read.rows == ()


def test_headings_in_english(tmp_path: Path) -> None:
    read = read_rows(
        read_sheet(
            saved(tmp_path, "Code,Name,English name,Insurance code\nJ20.900,急性支气管炎,Acute,J20.900\n".encode())
        ),
        icd.COLUMNS,
    )
    assert read.problems == ()
    assert read.rows[0][1]["insurance_code"] == "J20.900"


@pytest.mark.parametrize(
    "cell, said",
    [
        pytest.param("阿莫西林", "names with milligrams", id="no-milligrams"),
        pytest.param("阿莫西林 x", "a number above zero", id="no-number"),
        pytest.param("甲 1；甲 2", "names with milligrams", id="twice"),
        pytest.param("甲 0", "a number above zero", id="zero"),
        pytest.param("甲 1e400", "a number above zero", id="beyond-everything"),
    ],
)
def test_ingredients_that_cannot_be_read(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.split("%", maxsplit=1)[0]):
        drugs.ingredients(cell)


def test_the_training_drugs_are_whole() -> None:
    catalogue = training_drugs()
    assert len(catalogue) >= 150
    for entry in catalogue:
        drug = entry.drug
        assert drug.routes and entry.usual_route in drug.routes, drug.name
        if not drug.herbal:
            assert entry.usual_frequency in FREQUENCIES and entry.usual_dose and entry.usual_days, drug.name
        usual, single = entry.usual_dose, drug.max_single
        assert usual is None or single is None or usual <= single, drug.name
        if usual and drug.max_daily is not None:
            a_day = FREQUENCIES[entry.usual_frequency].a_day if entry.usual_frequency else Decimal(1)
            assert usual * a_day <= drug.max_daily, drug.name
    assert {entry.drug.control for entry in catalogue} >= {Control.PSYCHOTROPIC_2, Control.TOXIC}
    assert {entry.drug.antibacterial for entry in catalogue} == set(Antibacterial)
    assert sum(entry.drug.herbal for entry in catalogue) >= 25


def test_the_other_training_lists() -> None:
    assert len(training_prices()) >= 60
    assert len(common_diagnoses()) >= 200
    assert {entry.kind for entry in common_diagnoses()} == set(icd.DiagnosisKind)
    assert len(note_templates()) >= 8
