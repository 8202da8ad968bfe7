"""`edge-node init`: keys, configuration, databases and the first administrator out of nothing, once."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import EdgeError, ExitCode
from edge_node.cli.init import default_route_interface
from edge_node.cli.main import Where, cli
from edge_node.config.load import load
from edge_node.his.staff.passwords import verify_password
from edge_node.store.connection import connect_reader
from tests.support.node import free_port

REAL = ("--id", "clinic-0042", "--name", "西城门诊部")


def init(home: Path, *options: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["init", "--home", str(home), *options], input=typed, obj=Where())


def up(home: Path) -> Result:
    return CliRunner().invoke(cli, ["up", "--home", str(home), "--port", str(free_port())], obj=Where())


def identity_in(output: str) -> str:
    found = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", output)
    assert found, output
    return found[0]


def read_back(home: Path, *, wrong_first: bool = False) -> Result:
    """A real init by a person who reads the identity from the screen: typed in as it was printed."""
    runner = CliRunner()
    identities: list[str] = []
    original = pyrage.x25519.Identity.generate

    class Shown:
        @staticmethod
        def generate() -> pyrage.x25519.Identity:
            identities.append(str(made := original()))
            return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyrage.x25519, "Identity", Shown)
        answers = iter(["XXXXXXXX"] if wrong_first else [])
        patch.setattr("click.prompt", lambda *_, **__: next(answers, identities[0][-8:].lower()))
        return runner.invoke(cli, ["init", "--home", str(home), *REAL], obj=Where())


def test_a_real_clinic_has_one_administrator_who_must_choose_a_password(tmp_path: Path) -> None:
    result = read_back(tmp_path / "node", wrong_first=True)
    assert result.exit_code == 0, result.output
    found = re.search(r"^  admin +(\S+)", result.output, flags=re.MULTILINE)
    assert found
    authority = tmp_path / "node/credentials/ca-key"
    assert stat.S_IMODE(authority.stat().st_mode) == 0o600, "made now, though the pages are this machine's alone yet"
    conn = connect_reader(tmp_path / "node/data/his.db")
    try:
        (row,) = conn.execute("SELECT code, password_hash, must_change FROM staff").fetchall()
        assert (row["code"], row["must_change"]) == ("admin", 1)
        assert verify_password(row["password_hash"], found[1])
        assert conn.execute("SELECT count(*) FROM department").fetchone()[0] >= 5
    finally:
        conn.close()


def test_the_copies_are_sealed_to_the_printed_identity_and_the_nodes_own(tmp_path: Path) -> None:
    home = tmp_path / "node"
    result = init(home, "--training")
    assert result.exit_code == 0, result.output
    config = load(home / "edge-node.toml", home=home)
    identity = pyrage.x25519.Identity.from_str(identity_in(result.output))
    own = pyrage.x25519.Identity.from_str((home / "credentials/node-identity").read_text().strip())
    assert set(config.replica.encrypt_to) == {str(identity.to_public()), str(own.to_public())}
    kept = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    assert str(identity) not in kept, "the recovery identity is stored nowhere"


def test_secrets_are_the_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "node"
    assert init(home, "--training").exit_code == 0
    credentials = list((home / "credentials").iterdir())
    assert {path.name for path in credentials} == {"data-key", "his-secret", "node-identity"}
    for path in credentials:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (home / "data", home / "credentials"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_is_made_when_the_identity_is_not_read_back(tmp_path: Path) -> None:
    home = tmp_path / "node"
    result = init(home, *REAL, typed="no\nnever\nnot\n")
    assert isinstance(result.exception, EdgeError)
    assert result.exception.code == "recovery-identity-not-kept"
    assert not list(home.rglob("*.db"))
    assert not (home / "edge-node.toml").exists()
    assert read_back(home).exit_code == 0, "and it can simply be run again"


def test_a_second_init_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "node"
    assert init(home, "--training").exit_code == 0
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    result = init(home, "--training")
    assert isinstance(result.exception, EdgeError)
    assert (result.exception.code, int(result.exception.exit_code)) == ("already-initialised", 4)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def elsewhere(home: Path) -> Path:
    """Its replica lies on another disk."""
    local = home.parent / "disk2"
    config = home / "edge-node.toml"
    config.write_text(config.read_text().replace("[replica]", f'[replica]\nlocal = "{local}"', 1))
    return local / "e0001/his/ltx/9/0000000000000001-0000000000000001.ltx"


TRACES: Mapping[str, Callable[[Path], Path]] = {
    "replica": lambda home: home / "replica/e0001/his/ltx/9/0000000000000001-0000000000000001.ltx",
    "replica-elsewhere": elsewhere,
    "captured": lambda home: home / "litestream/e0001/epoch.json",
    "shipped": lambda home: home / "shipping/cloud.json",
}


@pytest.mark.parametrize("lost", [("his.db",), ("his.db", "node.db")], ids=["the-clinic", "both"])
@pytest.mark.parametrize("trace", TRACES)
def test_an_empty_clinic_never_takes_the_place_of_one_that_has_worked(
    tmp_path: Path, trace: str, lost: tuple[str, ...]
) -> None:
    home = tmp_path / "node"
    assert init(home, "--training").exit_code == 0
    for name in lost:
        (home / "data" / name).unlink()
    left = TRACES[trace](home)
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"{}")
    refused = init(home, "--training")
    assert isinstance(refused.exception, EdgeError), refused.output
    assert "an empty clinic must not take their place" in refused.exception.message
    assert "edge-node db ensure" in (refused.exception.hint or "")
    # `up` sees to a lost database as the units do: what cannot be had is tried again, and never made.
    assert up(home).exit_code == ExitCode.BUSY
    assert "his.db" not in [path.name for path in (home / "data").iterdir()]


def test_a_node_without_its_configuration_is_not_begun_anew(tmp_path: Path) -> None:
    home = tmp_path / "node"
    assert init(home, "--training").exit_code == 0
    (home / "edge-node.toml").unlink()
    for result in (init(home, "--training"), up(home)):
        assert isinstance(result.exception, EdgeError), result.output
        assert "its configuration is gone" in result.exception.message
        assert "recovery kit" in (result.exception.hint or "")
        assert not (home / "edge-node.toml").exists()


@pytest.mark.parametrize("gone", [("his.db",), ("his.db", "node.db")], ids=["the-last", "both"])
def test_an_interrupted_init_is_brought_to_its_end(tmp_path: Path, gone: tuple[str, ...]) -> None:
    """A kill after the configuration was written; what lies beside from a half-made database is in nobody's way."""
    home = tmp_path / "node"
    assert init(home, "--training").exit_code == 0
    before = (home / "edge-node.toml").read_bytes()
    for name in gone:
        (home / "data" / name).unlink()
    (home / "data/his.new.db").write_bytes(b"half")
    (home / "data/his.new.db-wal").write_bytes(b"half")
    result = init(home, "--training")
    assert result.exit_code == 0, result.output
    assert "first passwords" in result.output
    assert (home / "edge-node.toml").read_bytes() == before
    assert sorted(path.name for path in (home / "data").glob("*.db*")) == ["his.db", "node.db"]


@pytest.mark.parametrize(
    "options", [(), ("--id", "clinic-0042"), ("--name", "西城")], ids=["neither", "no-name", "no-id"]
)
def test_a_real_clinic_needs_an_id_and_a_name(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = init(tmp_path / "node", *options)
    assert isinstance(result.exception, EdgeError)
    assert result.exception.exit_code == 2
    assert "--id clinic-0042 --name" in (result.exception.hint or "")
    assert not (tmp_path / "node").exists()


ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
enp3s0\t00000000\t0101010A\t0003\t0\t0\t200\t00000000\t0\t0\t0
enp2s0\t00000000\t0101020A\t0003\t0\t0\t100\t00000000\t0\t0\t0
enp2s0\t0001020A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("content", "interface"),
    [
        pytest.param(ROUTES, "enp2s0", id="the-lowest-metric"),
        pytest.param("\n".join(ROUTES.splitlines()[:1]), None, id="no-route"),
        pytest.param("", None, id="empty"),
    ],
)
def test_the_interface_of_the_default_route_is_the_training_line(
    tmp_path: Path, content: str, interface: str | None
) -> None:
    table = tmp_path / "route"
    table.write_text(content)
    assert default_route_interface(table) == interface
    assert default_route_interface(tmp_path / "absent") is None


def test_a_training_clinic_watches_the_one_way_out_without_asking_anybody(tmp_path: Path) -> None:
    """Only a training clinic: a real one says itself which lines it has."""
    interface = default_route_interface()
    made = init(tmp_path / "node", "--training")
    assert made.exit_code == 0, made.output
    lines = load(tmp_path / "node/edge-node.toml", home=tmp_path / "node").line
    assert [line.interface for line in lines] == ([interface] if interface else [])
    assert all(line.target == () for line in lines)
