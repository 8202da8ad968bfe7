"""What a node refuses to start on, and how it says so: one sentence, the evidence, the next command, the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.store.connection import connect
from tests.support.node import edge_node, free_port, processes_of

FIVE_MISTAKES = """
[node]
id = "Clinic 42"

[his]
listen = "0.0.0.0:8080"
idle_lock = "15"

[replica]
plain = true
sync_evry = "1s"

[[replica.destination]]
name = "cloud"
url = "ftp://nas/copies"
"""
NAMED = ("node.id", "his.listen", "his.idle_lock", "replica.sync_evry", "replica.destination[0].url")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node"
    made = edge_node("init", "--training", home=home)
    assert made.returncode == 0, made.stderr
    return home


@pytest.mark.parametrize("command", [("run", "his"), ("up", "--port", str(free_port()))], ids=["run-his", "up"])
def test_a_database_newer_than_the_program_stops_it(home: Path, command: tuple[str, ...]) -> None:
    conn = connect(home / "data/his.db")
    conn.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('his', 'm9999_later', '')")
    conn.execute("PRAGMA user_version=9999")
    conn.close()
    refused = edge_node(*command, home=home)
    assert refused.returncode == 4
    assert "error: db-newer-than-program: " in refused.stderr
    assert "hint: run the program that wrote it, or a newer one" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert processes_of(home) == {}


@pytest.mark.parametrize("command", [("run", "his"), ("run", "replica"), ("run", "monitor"), ("up",), ("status",)])
def test_every_mistake_of_a_configuration_is_named_by_every_command(home: Path, command: tuple[str, ...]) -> None:
    (home / "edge-node.toml").write_text(FIVE_MISTAKES)
    refused = edge_node(*command, home=home)
    assert refused.returncode == 3
    assert "config-invalid: 5 problems" in refused.stderr
    for path in NAMED:
        assert f"\n  {path} " in refused.stderr
    assert processes_of(home) == {}


def test_a_service_without_its_database_says_how_to_bring_it_back(home: Path) -> None:
    (home / "data/his.db").unlink()
    refused = edge_node("run", "his", home=home)
    assert refused.returncode == 4
    assert "error: db-missing: " in refused.stderr
    assert "edge-node db ensure" in refused.stderr
    assert not (home / "data/his.db").exists(), "a missing database is never made in passing"
