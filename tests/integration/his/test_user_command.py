"""`edge-node user`: accounts made and reset while the HIS may be running, with a trace of who did it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import ConfigError, StoreError, UsageError
from edge_node.cli.main import Where, cli
from edge_node.his import audit
from edge_node.his.staff import queries
from edge_node.his.staff.model import Role
from edge_node.his.staff.rules import password_problem
from tests.support.his import His, a_his


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    """A running HIS whose database lies where the command looks for it."""
    folder = tmp_path / "node/data"
    folder.mkdir(parents=True)
    (tmp_path / "node/edge-node.toml").write_text('[node]\nid = "clinic-0042"\n[replica]\nplain = true\n')
    with a_his(folder) as his:
        yield his


def user(his: His, *arguments: str) -> Result:
    home = his.context.db_path.parents[1]
    return CliRunner().invoke(cli, ["user", *arguments, "--home", str(home)], obj=Where())


def test_a_new_member_of_staff_signs_in_with_the_printed_password_and_must_change_it(his: His) -> None:
    result = user(
        his, "add", "ZhouMin", "--name", "周敏", "--role", "registrar", "--role", "cashier", "--reason", "new"
    )
    assert result.exit_code == 0, result.output
    password = result.stdout.strip()
    assert password_problem(password, code="zhoumin") is None
    his.sign_in("zhoumin", password=password)
    assert his.last.location == "/password"
    found = queries.find_by_code(his.conn, "zhoumin")
    assert found is not None and found.roles == {Role.REGISTRAR, Role.CASHIER} and found.name == "周敏"
    row = his.conn.execute("SELECT * FROM audit_log WHERE action = 'staff_added'").fetchone()
    assert json.loads(row["detail"]) == {"code": "zhoumin", "reason": "new", "roles": ["cashier", "registrar"]}
    assert row["object"] == f"staff:{found.id}" and row["station"] == "edge-node user"
    assert password not in "".join(map(str, row)) and audit.verify(his.conn) is None


def test_a_reset_signs_out_everywhere_and_lifts_the_lock(his: His) -> None:
    his.add_staff("zhou", Role.REGISTRAR)
    his.sign_in("zhou")
    for _ in range(5):
        his.sign_in("zhou", client=his.browser(), password="wrong password")
    result = user(his, "reset", "zhou")
    assert result.exit_code == 0, result.output
    assert his.client.get("/password").status_code == 302
    his.sign_in("zhou", client=his.browser(), password=result.stdout.strip())
    assert (his.last.status_code, his.last.location) == (302, "/password")


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        pytest.param(["add", "zhou", "--name", "x", "--role", "nurse"], "staff-code-taken", "zhou", id="code-taken"),
        pytest.param(["add", "ZHOU", "--name", "x", "--role", "nurse"], "staff-code-taken", "zhou", id="in-capitals"),
        pytest.param(["add", "a b", "--name", "x", "--role", "nurse"], "usage", "staff code", id="blank-in-the-code"),
        pytest.param(["add", "周敏", "--name", "x", "--role", "nurse"], "usage", "staff code", id="chinese-code"),
        pytest.param(["add", "li", "--name", " ", "--role", "nurse"], "usage", "a name", id="no-name"),
        pytest.param(
            ["add", "li", "--name", "x", "--role", "nurse", "--department", "moon"],
            "department-unknown",
            "moon",
            id="no-such-department",
        ),
        pytest.param(["reset", "nobody"], "staff-unknown", "nobody", id="reset-of-nobody"),
        pytest.param(["reset", "\udcff"], "staff-unknown", "udcff", id="reset-of-half-a-character"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(his: His, arguments: list[str], code: str, said: str) -> None:
    his.add_staff("zhou", Role.REGISTRAR)
    result = user(his, *arguments)
    assert isinstance(result.exception, UsageError), result.output
    assert result.exception.code == code and said in result.exception.render()
    assert his.conn.execute("SELECT count(*) FROM staff").fetchone()[0] == 1
    assert his.conn.execute("SELECT count(*) FROM audit_log").fetchone()[0] == 0


@pytest.mark.parametrize("arguments", [["add", "li", "--name", "李", "--role", "nurse"], ["reset", "zhou"]])
def test_a_dry_run_says_what_it_would_do_and_does_not(his: His, arguments: list[str]) -> None:
    his.add_staff("zhou", Role.REGISTRAR)
    before = his.conn.execute("SELECT group_concat(password_hash) FROM staff").fetchone()[0]
    result = user(his, *arguments, "--dry-run")
    assert result.exit_code == 0 and "would" in result.stderr and result.stdout == ""
    assert his.conn.execute("SELECT group_concat(password_hash) FROM staff").fetchone()[0] == before


def test_the_list_and_its_document_say_the_same(his: His) -> None:
    his.write(
        lambda conn: conn.execute(
            "INSERT INTO department (id, code, mark, name, name_en, rank) "
            "VALUES ('d', 'internal', '内', '内科', 'Internal', 1)"
        )
    )
    his.add_staff("shen", Role.DOCTOR, name="沈立群", title="主治医师", department_id="d")
    his.add_staff("new", Role.NURSE, must_change=True)
    table = user(his, "list").stdout.splitlines()
    assert table[0].split() == ["CODE", "NAME", "ROLES", "TITLE", "DEPARTMENT", "STATE"]
    assert table[2].split() == ["shen", "沈立群", "doctor", "主治医师", "internal", "active"]
    users = json.loads(user(his, "list", "--json").stdout)["users"]
    assert [(u["code"], u["department"], u["must_change"]) for u in users] == [
        ("new", None, True),
        ("shen", "internal", False),
    ]
    assert "hash" not in json.dumps(users)


def test_without_a_node_it_says_what_is_missing(tmp_path: Path, his: His) -> None:
    assert isinstance(CliRunner().invoke(cli, ["user", "list", "--home", str(tmp_path)]).exception, ConfigError)
    other = tmp_path / "other"
    other.mkdir()
    (other / "edge-node.toml").write_text('[node]\nid = "clinic-0043"\n[replica]\nplain = true\n')
    failed = CliRunner().invoke(cli, ["user", "list", "--home", str(other)]).exception
    assert isinstance(failed, StoreError) and failed.code == "db-missing"
