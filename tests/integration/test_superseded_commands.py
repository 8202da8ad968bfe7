"""On a machine that was replaced no command writes: each says who replaced it, when, why, and what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_node.base.errors import EdgeError, ExitCode
from edge_node.cli import db, outbox, replica, user
from edge_node.cli.main import Where
from edge_node.status.superseded import Superseded, write_superseded
from tests.support.owners import made_clinic

CLI = Path(db.__file__).parent
COMMANDS = (
    (user.user_group, ("add", "lin", "--name", "林", "--role", "nurse")),
    (user.user_group, ("reset", "admin")),
    (outbox.outbox_group, ("revive", "--all", "--reason", "x")),
    (outbox.outbox_group, ("bury", "--all", "--reason", "x")),
    (db.db_group, ("migrate",)),
    (db.db_group, ("migrate", "--dry-run")),
    (replica.replica_group, ("expire", "--from", "cloud")),
)
# What connects to a database to write, and is not for a machine that is at work: it makes one, or brings one back.
MAKERS = {"init.py", "ensure.py", "promotion.py"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("replaced") / "a"
    made_clinic(home)
    owner = Superseded(
        by="new-pc", epoch=2, own_epoch=1, claimed_at="2026-11-20T08:00:00.000Z", found_at=None, destination="cloud",
        why="the machine burnt", taken_epoch=1, taken_txid=7,
    )  # fmt: skip
    write_superseded(home, owner)
    yield home


@pytest.mark.parametrize("group, arguments", COMMANDS, ids=[" ".join(arguments[:2]) for _, arguments in COMMANDS])
def test_a_writing_command_is_refused_with_who_when_and_why(
    home: Path, group: object, arguments: tuple[str, ...]
) -> None:
    before = {path: path.read_bytes() for path in (home / "data").glob("*.db")}
    done = CliRunner().invoke(group, arguments, obj=Where(home=home))  # type: ignore[arg-type]
    error = done.exception
    assert isinstance(error, EdgeError), (done.output, error)
    assert (error.code, error.exit_code) == ("superseded", ExitCode.DATA)
    for said in ("new-pc", "2026-11-20T08:00:00.000Z", "epoch 2", "the machine burnt", "edge-node replica promote"):
        assert said in error.render()
    assert {path: path.read_bytes() for path in (home / "data").glob("*.db")} == before


def test_reading_goes_on(home: Path) -> None:
    done = CliRunner().invoke(user.user_group, ("list",), obj=Where(home=home))
    assert done.exit_code == 0, done.exception
    assert "admin" in done.stdout


def test_no_command_opens_a_database_to_write_without_asking() -> None:
    """`connect` and `writing` write; who imports one of them takes the database from `database(…, writes=True)`."""
    writers = {"edge_node.store.connection": "connect", "edge_node.cli.his_file": "writing"}
    found = {}
    for path in CLI.glob("*.py"):
        imports = [
            (node.module or "", alias.name)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        # Where `writing` itself stands, whoever calls it has asked.
        if path.name != "his_file.py" and any(writers.get(module) == name for module, name in imports):
            found[path.name] = "writes=True" in path.read_text(encoding="utf-8")
    assert found.keys() >= MAKERS
    assert [name for name, asks in found.items() if not asks and name not in MAKERS] == []
