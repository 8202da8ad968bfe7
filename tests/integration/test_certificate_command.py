"""`edge-node certificate`, and what `init` makes for a clinic whose pages other computers reach."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import EdgeError, ExitCode
from edge_node.cli.main import Where, cli
from edge_node.config.load import load
from tests.support.node import free_port


def command(*arguments: str, home: Path, typed: str = "") -> Result:
    return CliRunner().invoke(cli, [*arguments, "--home", str(home)], input=typed, obj=Where())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node"
    listen = f"0.0.0.0:{free_port()}"
    made = command("init", "--training", "--listen", listen, "--contact", "王工 138 0000 0000", home=home)
    assert made.exit_code == 0, made.output
    return home


def certificate(path: Path, *about: str) -> str:
    argv = ["openssl", "x509", "-in", str(path), "-noout", *about]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_node_that_other_computers_reach_begins_with_tls_and_an_authority(home: Path) -> None:
    config = load(home / "edge-node.toml", home=home)
    assert config.his.tls is not None and config.his.tls.issue
    assert config.node.contact == "王工 138 0000 0000"
    assert stat.S_IMODE((home / "credentials/ca-key").stat().st_mode) == 0o600
    said = certificate(home / "credentials/ca-cert", "-text")
    assert "CA:TRUE, pathlen:0" in said and "X509v3 Name Constraints: critical" in said
    assert "CN = Edge node training-0001" in said


@pytest.mark.parametrize("listen", ["", "nonsense", "0.0.0.0", "0.0.0.0:99999"])
def test_an_address_that_is_none_is_refused_before_anything_is_made(tmp_path: Path, listen: str) -> None:
    refused = command("init", "--training", "--listen", listen or "-", home=tmp_path / "node")
    assert isinstance(refused.exception, EdgeError)
    assert refused.exception.exit_code is ExitCode.USAGE
    assert not (tmp_path / "node").exists()


def test_the_list_says_what_will_be_issued_and_until_when_the_authority_is_good(home: Path) -> None:
    (authority,) = json.loads(command("certificate", "list", "--json", home=home).stdout)
    assert authority["name"] == "ca-cert" and authority["problems"] == []
    fingerprint = certificate(home / "credentials/ca-cert", "-fingerprint", "-sha256").strip().partition("=")[2]
    assert authority["sha256"] == fingerprint
    assert fingerprint in command("certificate", "list", home=home).stdout


def test_an_authority_is_only_replaced_when_that_is_said_and_the_former_is_kept(home: Path) -> None:
    place = home / "credentials"
    before = (place / "ca-cert").read_bytes(), (place / "ca-key").read_bytes()
    refused = command("certificate", "make-authority", home=home)
    assert isinstance(refused.exception, EdgeError) and refused.exception.code == "authority-exists"
    assert command("certificate", "make-authority", "--replace", "--dry-run", home=home).exit_code == 0
    assert ((place / "ca-cert").read_bytes(), (place / "ca-key").read_bytes()) == before
    done = command("certificate", "make-authority", "--replace", "--reason", "its key was seen", home=home)
    assert done.exit_code == 0, done.output
    assert (place / "ca-cert").read_bytes() != before[0]
    kept = {path.read_bytes() for path in place.glob("ca-*.2*")}
    assert kept == set(before), "nothing is lost"
    assert stat.S_IMODE((place / "ca-key").stat().st_mode) == 0o600


def test_a_node_without_tls_says_so(tmp_path: Path) -> None:
    home = tmp_path / "node"
    assert command("init", "--training", home=home).exit_code == 0
    assert not (home / "credentials/ca-key").exists(), "a training clinic on one machine needs none"
    done = command("certificate", "list", home=home)
    assert (done.exit_code, done.stdout) == (0, "") and "without TLS" in done.output
