"""Catalogues from files: taken whole or not at all, told row by row, and in the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import ServiceError
from edge_node.cli.main import cli
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.staff import queries as staff
from edge_node.his.staff.model import Role
from edge_node.store.connection import connect_reader
from edge_node.store.databases import db_path

HEADINGS = "编码,名称,单位,单价,类别\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("import") / "node"
    result = CliRunner().invoke(cli, ["init", "--home", str(folder), "--training"], catch_exceptions=False)
    assert result.exit_code == 0
    return folder


def run(home: Path, *argv: str) -> Result:
    return CliRunner().invoke(cli, ["import", *argv, "--home", str(home)])


def counted(home: Path) -> dict[str, int]:
    conn = connect_reader(db_path(home, "his"))
    try:
        return dict(catalogues.counts(conn))
    finally:
        conn.close()


def saved(tmp_path: Path, content: str) -> str:
    path = tmp_path / "list.csv"
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_a_price_list_is_added_changed_and_left_alone(home: Path, tmp_path: Path) -> None:
    before = counted(home)["price_item"]
    first = run(home, "prices", saved(tmp_path, HEADINGS + "N001,新项目,次,8.50,治疗\nN002,另一项,次,9,治疗\n"))
    assert (first.exit_code, first.output.strip()) == (0, "prices: added 2, changed 0, 0 as they were")
    second = run(home, "prices", saved(tmp_path, HEADINGS + "N001,新项目,次,8.60,治疗\nN002,另一项,次,9,治疗\n"))
    assert second.output.strip() == "prices: added 0, changed 1, 1 as they were"
    assert counted(home)["price_item"] == before + 2
    conn = connect_reader(db_path(home, "his"))
    (found,) = catalogues.find_prices(conn, "xxm")
    assert (found.code, found.price_fen) == ("N001", 860)
    actions = conn.execute("SELECT detail FROM audit_log WHERE object = 'catalogue:prices'").fetchall()
    assert len(actions) == 2
    conn.close()


def test_a_dry_run_says_and_keeps_nothing(home: Path, tmp_path: Path) -> None:
    before = counted(home)
    result = run(home, "prices", "--dry-run", saved(tmp_path, HEADINGS + "D001,试,次,1,治疗\n"))
    assert result.output.strip() == "prices: would add 1, would change 0, 0 as they were"
    assert counted(home) == before


def test_one_bad_row_and_nothing_is_taken(home: Path, tmp_path: Path) -> None:
    before = counted(home)
    result = run(home, "prices", saved(tmp_path, HEADINGS + "B001,好,次,1,治疗\nB002,坏,次,x,治疗\n"))
    assert isinstance(result.exception, ServiceError)
    assert result.exception.code == "sheet-invalid"
    assert 'row 3, 单价: "x": a price in yuan' in str(result.exception.context)
    assert counted(home) == before


def test_staff_get_first_passwords_and_rights_once(home: Path, tmp_path: Path) -> None:
    content = (
        "工号,姓名,职称,岗位,科室,执业证号,处方权\nluojian,罗健,主治医师,医生；经理,internal,110,限制使用级抗菌药物\n"
    )
    first = run(home, "staff", saved(tmp_path, content))
    assert first.exit_code == 0
    assert "luojian" in first.output
    conn = connect_reader(db_path(home, "his"))
    person = staff.find_by_code(conn, "luojian")
    assert person is not None
    assert person.roles == {Role.DOCTOR, Role.MANAGER}
    assert [str(right) for right in staff.rights(conn, person.id)] == ["restricted"]
    conn.close()
    again = run(home, "staff", saved(tmp_path, content))
    assert "added 0" in again.output
    assert "PASSWORD" not in again.output


def test_drugs_are_found_by_what_is_typed(home: Path) -> None:
    conn = connect_reader(db_path(home, "his"))
    found = {
        typed: [entry.drug.name for entry in catalogues.find_drugs(conn, typed, herbal=False)]
        for typed in ("amxl", "布洛芬", "W026")
    }
    assert found["amxl"][0] == "阿莫西林胶囊"
    assert found["布洛芬"][:2] == ["布洛芬混悬液", "布洛芬缓释胶囊"]
    assert found["W026"] == ["对乙酰氨基酚片"]
    (herb,) = catalogues.find_drugs(conn, "甘草", herbal=True)
    assert herb.drug.herbal and catalogues.drug(conn, herb.id) == herb
    conn.close()
