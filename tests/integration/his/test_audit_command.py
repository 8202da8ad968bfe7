"""`edge-node audit verify`: a whole log, and the first row that is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import ConfigError, ExitCode, StoreError
from edge_node.cli.main import Where, cli
from edge_node.his.audit import NO_HASH
from edge_node.his.staff.model import Role
from tests.support.his import His, a_his


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    folder = tmp_path / "node/data"
    folder.mkdir(parents=True)
    (tmp_path / "node/edge-node.toml").write_text('[node]\nid = "clinic-0042"\n[replica]\nplain = true\n')
    with a_his(folder) as his:
        his.add_staff("gu", Role.ADMIN)
        for _ in range(4):
            his.sign_in("gu")
        yield his


def verify(his: His, *arguments: str) -> Result:
    home = his.context.db_path.parents[1]
    return CliRunner().invoke(cli, ["audit", "verify", *arguments, "--home", str(home)], obj=Where())


def tamper(his: His, statement: str) -> None:
    def work(conn: object) -> None:
        for trigger in ("audit_log_kept", "audit_log_kept_too"):
            conn.execute(f"DROP TRIGGER {trigger}")  # type: ignore[attr-defined]
        conn.execute(statement)  # type: ignore[attr-defined]

    his.write(work)


def test_a_whole_log_is_said_with_its_head(his: His) -> None:
    (head,) = his.conn.execute("SELECT hash FROM audit_log WHERE seq = 4").fetchone()
    result = verify(his)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"the audit log is whole: 4 rows, head {bytes(head).hex()}\n"
    assert json.loads(verify(his, "--json").stdout) == {
        "schema": 1, "whole": True, "rows": 4, "head": {"seq": 4, "hash": bytes(head).hex()}, "broken": None,
    }  # fmt: skip


def test_an_empty_log_is_whole(his: His) -> None:
    tamper(his, "DELETE FROM audit_log")
    his.write(lambda conn: conn.execute("DELETE FROM sqlite_sequence WHERE name = 'audit_log'"))
    assert json.loads(verify(his, "--json").stdout)["head"] == {"seq": 0, "hash": NO_HASH.hex()}


@pytest.mark.parametrize(
    "statement, seq, damage, said",
    [
        ("UPDATE audit_log SET staff_id = 'x' WHERE seq = 2", 2, "changed", "row 2 is not as it was written"),
        ("DELETE FROM audit_log WHERE seq = 3", 3, "missing", "row 3 is missing"),
        ("DELETE FROM audit_log WHERE seq > 2", 3, "tail-missing", "the log ends before row 3"),
    ],
)
def test_the_first_broken_row_is_named_and_the_exit_code_is_that_of_data(
    his: His, statement: str, seq: int, damage: str, said: str
) -> None:
    tamper(his, statement)
    result = verify(his)
    assert isinstance(result.exception, StoreError), result.output
    assert (result.exception.code, result.exception.exit_code) == ("audit-broken", ExitCode.DATA)
    assert said in result.exception.render() and "signed_in" in result.exception.render()
    as_json = verify(his, "--json")
    assert json.loads(as_json.stdout)["broken"] == {"seq": seq, "damage": damage}
    assert isinstance(as_json.exception, StoreError)


def test_without_a_node_it_says_what_is_missing(tmp_path: Path, his: His) -> None:
    result = CliRunner().invoke(cli, ["audit", "verify", "--home", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
