"""`edge-node doctor`: each fault is a finding with its remedy, and one fault hides no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.cli.main import Where, cli


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node"
    made = CliRunner().invoke(cli, ["init", "--training", "--home", str(home)], obj=Where())
    assert made.exit_code == 0, made.output
    return home


def doctor(home: Path) -> Result:
    return CliRunner().invoke(cli, ["doctor", "--home", str(home)], obj=Where())


def lines(result: Result, level: str) -> list[str]:
    return [line.removeprefix(level).strip() for line in result.output.splitlines() if line.startswith(level)]


def test_a_new_node_has_nothing_wrong(home: Path) -> None:
    result = doctor(home)
    assert result.exit_code == 0, result.output
    assert lines(result, "fail") == []
    assert any(line.startswith("his.db is sound") for line in lines(result, "ok"))


def open_credential(home: Path) -> None:
    (home / "credentials/data-key").chmod(0o644)


def lose_credential(home: Path) -> None:
    (home / "credentials/his-secret").unlink()


def garble_database(home: Path) -> None:
    path = home / "data/his.db"
    content = bytearray(path.read_bytes())
    content[100:8000] = b"\xff" * 7900
    path.write_bytes(content)


def lose_database(home: Path) -> None:
    (home / "data/node.db").unlink()


def tear_replica(home: Path) -> None:
    for level, name in ((9, "0000000000000001-0000000000000002"), (0, "0000000000000005-0000000000000005")):
        folder = home / f"replica/e0001/his/ltx/{level}"
        folder.mkdir(parents=True)
        (folder / f"{name}.ltx").write_bytes(b"LTX1")


def lose_interface(home: Path) -> None:
    config = home / "edge-node.toml"
    config.write_text(config.read_text() + '\n[[line]]\nname = "telecom"\npreferred = 2\ninterface = "absent0"\n')


def garble_orders(home: Path) -> None:
    (home / "orders/links.json").write_text("{")


FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "credential-open": (open_credential, "credential data-key can be read by others", "chmod 600 "),
    "credential-lost": (lose_credential, "credential his-secret is missing", "put it into "),
    "database-garbled": (garble_database, "db-corrupt: ", "edge-node "),
    "database-lost": (lose_database, "db-missing: ", "edge-node db ensure"),
    "interface-absent": (lose_interface, "line telecom: there is no interface absent0", "line.interface names one of"),
    "orders-garbled": (garble_orders, "", "edge-node order list"),
    "replica-torn": (tear_replica, "local replica e0001/his restores to TXID 2 only, of 5", "edge-node replica verify"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_remedy(home: Path, fault: str) -> None:
    do, what, remedy = FAULTS[fault]
    do(home)
    result = doctor(home)
    assert result.exit_code == 4
    (found,) = lines(result, "fail")
    assert found.startswith(what)
    assert remedy in result.output


def test_all_faults_at_once_are_all_named(home: Path) -> None:
    for do, _, _ in FAULTS.values():
        do(home)
    assert len(lines(doctor(home), "fail")) == len(FAULTS)
