"""`edge-node config`: what a person types, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import ConfigError, UsageError
from edge_node.cli.config import config_group
from edge_node.cli.main import Where
from edge_node.config.load import load

SMALL = '[node]\nid = "clinic-0042"\nname = "西城门诊部"\n\n[replica]\nplain = true\n'


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(config_group, [str(each) for each in arguments], obj=Where())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "edge-node.toml").write_text(SMALL, encoding="utf-8")
    return tmp_path


def test_init_writes_a_file_that_loads(tmp_path: Path) -> None:
    home = tmp_path / "clinic"

    result = _run("init", "--home", home)

    assert result.exit_code == 0, result.output
    assert "config check" in result.stderr
    assert load(home / "edge-node.toml").node.state_dir == home


def test_init_to_standard_output_writes_nothing(tmp_path: Path) -> None:
    result = _run("init", "--stdout", "--config", tmp_path / "edge-node.toml")

    assert result.stdout.startswith("# Configuration of an edge node")
    assert list(tmp_path.iterdir()) == []


def test_init_replaces_nothing(home: Path) -> None:
    result = _run("init", "--home", home)

    assert isinstance(result.exception, UsageError)
    assert (home / "edge-node.toml").read_text(encoding="utf-8") == SMALL


def test_init_says_why_it_cannot_write(home: Path) -> None:
    result = _run("init", "--config", home / "edge-node.toml" / "below" / "edge-node.toml")

    assert isinstance(result.exception, UsageError)
    assert "NotADirectoryError" in str(result.exception.context)


def test_check_answers_ok_and_says_what_to_look_at(home: Path) -> None:
    result = _run("check", "--home", home)

    assert result.exit_code == 0
    assert result.stdout == f"{home / 'edge-node.toml'}: ok\n"
    assert "look again: replica: no destination" in result.stderr


def test_check_as_json(home: Path) -> None:
    answer = json.loads(_run("check", "--json", "--home", home).stdout)

    assert (answer["ok"], answer["problems"]) == (True, [])
    assert [note["path"] for note in answer["advice"]] == ["replica"]


def test_check_ends_as_a_service_would(home: Path) -> None:
    (home / "edge-node.toml").write_text(SMALL + 'locl = "/srv"\n', encoding="utf-8")

    result = _run("check", "--json", "--home", home)

    assert isinstance(result.exception, ConfigError)
    answer = json.loads(result.stdout)
    assert (answer["ok"], answer["code"]) == (False, "config-invalid")
    assert answer["problems"] == [{"path": "replica.locl", "text": 'unknown key; did you mean "local"?'}]


def test_check_without_a_file(tmp_path: Path) -> None:
    result = _run("check", "--home", tmp_path)

    assert isinstance(result.exception, ConfigError)
    assert result.exception.code == "config-missing"


def test_show_prints_values_and_where_they_are_from(home: Path) -> None:
    rows = [row.split() for row in _run("show", "--home", home).stdout.splitlines()]

    assert rows[0] == ["KEY", "FROM", "VALUE"]
    assert ["node.name", "file", '"西城门诊部"'] in rows
    assert ["his.idle_lock", "default", '"15min"'] in rows
    assert ["his.tls", "default", "-"] in rows


def test_show_as_json(home: Path) -> None:
    settings = json.loads(_run("show", "--json", "--home", home).stdout)

    assert {"path": "node.state_dir", "value": str(home), "origin": "default"} in settings
    assert {"path": "replica.plain", "value": True, "origin": "file"} in settings
