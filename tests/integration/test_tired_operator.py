"""Mistakes that a tired person makes with the copies' commands: each is told what to type instead."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import pyrage
import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import EdgeError, ExitCode, ReplicaError
from edge_node.base.files import StatusFile
from edge_node.cli.main import Where, cli, main
from edge_node.replication.epoch import Epoch, make_epoch
from edge_node.replication.restore import restore
from edge_node.replication.source import LocalSource
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.waiting import until

# Of a terminal as wide as it always was; a summary that does not fit it is cut off by click.
COLUMNS = 80
# A number that no user of this machine has.
STRANGER = 47110


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """Two epochs, a row in each; the services have stopped."""
    clinic, chance = make_replicated(tmp_path_factory.mktemp("tired") / "home"), random.Random(1)
    (clinic.home / "credentials" / "node-identity").write_text(f"{clinic.identity}\n")
    for number in (1, 2):
        make_epoch(clinic.home, clinic.config.replica.local, number, new=Epoch(number=number, nonce=f"n{number}"))
        with writing(clinic) as conn, replicating(clinic):
            captured = clinic.home / f"replica/e{number:04d}/his/ltx"
            _wait_until_captured(captured)
            write_row(conn, chance)
            _wait_until_confirmed(clinic, number)
    yield clinic


def _wait_until_captured(captured: Path) -> None:
    until(lambda: list(captured.glob("9/*.ltx")), within_s=60)


def _wait_until_confirmed(clinic: Replicated, epoch: int) -> None:
    def is_there() -> bool:
        state, cloud = clinic.state(), clinic.destination()
        ours = state.get("epoch") == epoch and cloud.get("state") == "current"
        return bool(ours and cloud.get("confirmed_txid") and cloud["confirmed_txid"] == state["txid"] >= 2)

    until(is_there, within_s=60)


@pytest.fixture
def clinic(shipped: Replicated, tmp_path: Path) -> Replicated:
    """A copy of it, to be spoilt."""
    home = tmp_path / "home"
    shutil.copytree(shipped.home, home)
    config = home / "edge-node.toml"
    config.write_text(config.read_text().replace(str(shipped.home), str(home)))
    return Replicated(home=home, identity=shipped.identity)


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["replica", *arguments], obj=Where(home=clinic.home))


def refused(result: Result) -> EdgeError:
    assert isinstance(result.exception, EdgeError), result.output
    return result.exception


@pytest.mark.parametrize(
    "origin, hint",
    [
        ("/mnt/nas/clinic", "--from file:///mnt/nas/clinic"),
        ("s3:/bucket/edge", "--from s3://BUCKET/PREFIX"),
        ("file://srv/copies", "file:///srv/copies"),
        ("s3://bucket/edge", "--credential FILE"),
        ("cluod", "give one of these"),
    ],
)
def test_a_place_that_is_mistyped(clinic: Replicated, origin: str, hint: str) -> None:
    error = refused(replica(clinic, "points", "--from", origin))
    assert hint in (error.hint or ""), error.render()


def test_a_place_that_is_not_there(clinic: Replicated, capsys: pytest.CaptureFixture[str]) -> None:
    """The advice is for who typed it: the service that waits for the same place gives none."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["edge-node", "replica", "points", "--from", f"file://{clinic.home}/clouds"])
        main()
    assert ended.value.code == ExitCode.REPLICA
    assert "hint: is the address right" in capsys.readouterr().err


def test_a_time_that_is_none_or_has_no_zone(clinic: Replicated, tmp_path: Path) -> None:
    to = ("--to", str(tmp_path / "his.db"))
    assert "such as --at 20" in (refused(replica(clinic, "restore", *to, "--at", "yesterday")).hint or "")
    bare = datetime(2026, 11, 22, 9, 30)
    hint = refused(replica(clinic, "restore", *to, "--at", str(bare))).hint or ""
    told = datetime.fromisoformat(hint.rpartition("--at ")[2])
    assert told == bare.astimezone(), "what it proposes is that time in the zone of the machine"


def test_another_clinics_identity_is_named_and_not_the_objects(clinic: Replicated, tmp_path: Path) -> None:
    foreign = tmp_path / "identity.txt"
    foreign.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    result = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "his.db"), "--identity", str(foreign))
    error = refused(result)
    assert error.code == "identity-foreign" and "opens with this identity" in error.message
    assert "damaged" not in error.render() and "restore_goes_around" not in result.output


def test_a_folder_that_is_not_there_and_the_place_of_the_database_itself(clinic: Replicated, tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "his.db"
    assert f"mkdir -p {absent.parent}" in (refused(replica(clinic, "restore", "--to", str(absent))).hint or "")
    clinic.his.unlink()
    error = refused(replica(clinic, "restore", "--to", str(clinic.his)))
    assert error.exit_code == ExitCode.USAGE and "edge-node db ensure" in (error.hint or "")
    assert not clinic.his.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root: it becomes another user")
def test_a_folder_that_is_roots_alone_is_no_bug(clinic: Replicated, tmp_path: Path) -> None:
    """Root's commands run as the owner of the node's data, who may not write where root would."""
    closed = tmp_path / "roots"
    closed.mkdir(mode=0o700)
    os.seteuid(STRANGER)
    try:
        with pytest.raises(ReplicaError) as refusal:
            asyncio.run(restore(LocalSource(clinic.home / "replica/e0001/his"), closed / "his.db"))
    finally:
        os.seteuid(0)
    assert (refusal.value.code, refusal.value.context) == ("restore-failed", f"Permission denied (as user {STRANGER})")


@pytest.mark.parametrize("origin", ["local", "cloud"])
def test_yesterday_is_in_the_epoch_of_yesterday(clinic: Replicated, tmp_path: Path, origin: str) -> None:
    at = {number: _begins(clinic, origin, number) for number in (1, 2)}
    for name, time_ms, expected in (("before", at[2] - 1, 1), ("after", time.time_ns() // 1_000_000, 2)):
        to = tmp_path / f"{name}.db"
        done = replica(clinic, "restore", "--from", origin, "--to", str(to), "--at", utc_text(time_ms))
        assert done.exit_code == 0, done.output
        assert f"e{expected:04d}" in done.stdout and len(rows(to)) == expected
    told = replica(clinic, "points", "--from", origin)
    assert "what lies before is in epoch 1: --epoch 1" in told.stderr
    assert "what lies before" not in replica(clinic, "points", "--from", origin, "--epoch", "1").stderr
    too_early = replica(clinic, "restore", "--to", str(tmp_path / "none.db"), "--at", utc_text(at[1] - 1))
    assert "holds nothing to restore from as of" in refused(too_early).message


def _begins(clinic: Replicated, origin: str, epoch: int) -> int:
    listed = json.loads(replica(clinic, "points", "--from", origin, "--epoch", str(epoch), "--json").stdout)
    return min(int(stretch["from_ms"]) for stretch in listed if stretch["from_ms"] is not None)


def test_what_verify_found_is_said_once_with_the_command_that_mends_it(clinic: Replicated) -> None:
    victim = max((clinic.cloud / "clinic-0042/e0002/his/0000").iterdir())
    victim.unlink()
    error = refused(looked := replica(clinic, "verify", "--from", "cloud", "--database", "his", "--dry-run"))
    assert error.hint == "edge-node replica verify --from cloud ships again what the local replica still has"
    assert "(clinic-0042/e0002/his)" in error.message
    assert victim.name.removesuffix(".age") not in looked.stdout, "the error names it"
    assert replica(clinic, "verify", "--from", "cloud", "--database", "his").exit_code == 0


def test_a_copy_that_is_away_keeps_nobody_from_looking_at_the_others(clinic: Replicated) -> None:
    config = clinic.home / "edge-node.toml"
    nas = f'[[replica.destination]]\nname = "nas"\nurl = "file://{clinic.home}/absent"\n\n'
    config.write_text(config.read_text().replace("[[replica.destination]]", f"{nas}[[replica.destination]]", 1))
    looked = replica(clinic, "verify")
    assert refused(looked).message == "nas cannot be reached"
    assert "cloud (clinic-0042/e0002/his)" in looked.stdout and "cloud (clinic-0042/e0002/node)" in looked.stdout
    record = json.loads((clinic.home / "reports/proofs.json").read_bytes())["destinations"]
    assert record["cloud"]["verify_his"]["ok"] and "nas" not in record


def test_no_summary_of_a_command_is_cut_off() -> None:
    def groups(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(command, click.Group):
            yield path
            context = click.Context(command)
            for name in command.list_commands(context):
                if (below := command.get_command(context, name)) is not None:
                    yield from groups(below, (*path, name))

    found = list(groups(cli, ()))
    assert ("replica",) in found and len(found) > 10
    for path in found:
        said = CliRunner().invoke(cli, [*path, "--help"], terminal_width=COLUMNS).stdout
        assert "Commands:" in said and "..." not in said.partition("Commands:")[2], said


def test_a_database_that_came_back_is_held_by_nobody_yet(clinic: Replicated) -> None:
    """Who runs still has the lost file open, and is to be started anew."""
    StatusFile(clinic.home / "run", "monitor", every_s=600.0).write({}, SystemClock())
    (clinic.home / "data/node.db").unlink()
    told = CliRunner().invoke(cli, ["db", "ensure", "--database", "node"], obj=Where(home=clinic.home))
    assert "database_restored" in told.output and "systemctl restart edge-monitor" in told.output, told.output
    again = CliRunner().invoke(cli, ["db", "ensure", "--database", "node"], obj=Where(home=clinic.home))
    assert "systemctl restart" not in again.output
