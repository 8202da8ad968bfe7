"""A new machine takes a clinic over: cut after every step and run again, refused in full, and a person asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.base.errors import ReplicaError
from edge_node.cli.promotion import look
from edge_node.config.load import load
from edge_node.his import audit
from edge_node.replication.destination import CopyState, Destination, DestinationFailed
from edge_node.replication.epoch import current_epoch, is_proven, make_epoch, parse_claim
from edge_node.replication.kit import AUTHORITY
from edge_node.replication.promotion import read_promotion
from edge_node.replication.sealing import Sealer, read_identity
from edge_node.services.replica_ownership import data_key
from edge_node.store.connection import connect_reader
from edge_node.store.inspect import LITESTREAM_TABLES, counts, quick_check
from tests.support.owners import (
    NODE,
    a_wish,
    another_cloud,
    audited,
    made_clinic,
    promote_argv,
    promote_command,
    promoted,
    shipping,
)
from tests.support.replicated import Replicated
from tests.support.s3 import s3_server

STEPS = (
    *("written-down", "restored-his", "restored-node", "finished-his", "claimed"),
    *("credentials", "configuration", "epoch", "placed-node", "placed-his"),
)


class Cut(BaseException):
    """The machine lost its power here."""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Replicated:
    """A clinic that has shipped, and whose machine is gone."""
    made = made_clinic(tmp_path_factory.mktemp("clinic") / "a")
    for name in AUTHORITY.values():
        authority = made.home / "credentials" / name
        if not authority.exists():
            authority.write_text(f"the clinic's {name}\n")
    with shipping(made):
        pass
    return made


@pytest.fixture
def cloud(clinic: Replicated, tmp_path: Path) -> str:
    return another_cloud(clinic, tmp_path / "cloud")


def check(clinic: Replicated, home: Path, cloud: str) -> None:
    """Everything that a promotion ends in, however it came there."""
    config = load(home / "edge-node.toml", home=home)
    epoch = make_epoch(home, config.replica.local, current_epoch(home))
    claim = parse_claim((Path(cloud.removeprefix("file://")) / NODE / "claims" / "e0002.json").read_bytes())
    assert (epoch.number, epoch.nonce) == (2, claim.nonce)
    assert (claim.from_epoch, claim.from_txid) == (epoch.from_epoch, epoch.from_txid)
    assert claim.from_epoch == 1
    key = data_key(home)
    assert key is not None
    assert key == data_key(clinic.home)
    assert is_proven(claim, key)
    with contextlib.closing(connect_reader(home / "data" / "his.db")) as conn:
        quick_check(conn)
        assert audit.verify(conn) is None
        found = counts(conn)
    with contextlib.closing(connect_reader(clinic.his)) as conn:
        before = counts(conn)
    assert len(audited(home / "data" / "his.db", "promoted")) == 1
    changed = {table for table in before if before[table] != found[table]}
    assert changed <= {"audit_log", "sequence_block", *LITESTREAM_TABLES}
    assert (found["audit_log"], found["sequence_block"]) == (before["audit_log"] + 1, before["sequence_block"] + 1)
    for name in AUTHORITY.values():
        here, there = (folder / "credentials" / name for folder in (home, clinic.home))
        assert here.read_bytes() == there.read_bytes(), "every computer of the clinic trusts it"
        assert here.stat().st_mode & 0o777 == 0o600
    names = {path.name.removesuffix("-shm").removesuffix("-wal") for path in (home / "data").iterdir()}
    assert names == {"his.db", "node.db"}
    assert read_promotion(home) is None
    own = str(read_identity(home / "credentials" / "node-identity").to_public())
    old = str(read_identity(clinic.home / "credentials" / "node-identity").to_public())
    assert own in config.replica.encrypt_to
    assert old not in config.replica.encrypt_to
    assert len(config.replica.encrypt_to) == 2


@pytest.mark.parametrize("step", STEPS)
def test_cut_after_a_step_and_run_again_it_ends_the_same(
    clinic: Replicated, cloud: str, tmp_path: Path, step: str
) -> None:
    home = tmp_path / "b"

    def cut(done: str) -> None:
        if done == step:
            raise Cut

    with pytest.raises(Cut):
        promoted(a_wish(clinic, home, cloud=cloud), tell=cut)
    promoted(a_wish(clinic, home, cloud=cloud))
    check(clinic, home, cloud)


def test_cut_after_each_step_in_turn_it_ends_the_same(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    home, seen = tmp_path / "b", set[str]()

    def cut(done: str) -> None:
        if done not in seen:
            seen.add(done)
            raise Cut

    for _ in STEPS[:-1]:
        with pytest.raises(Cut):
            promoted(a_wish(clinic, home, cloud=cloud), tell=cut)
    assert seen == set(STEPS[:-1])
    promoted(a_wish(clinic, home, cloud=cloud))
    check(clinic, home, cloud)


def test_after_the_claim_it_is_the_claimed_state_that_is_restored(
    clinic: Replicated, cloud: str, tmp_path: Path
) -> None:
    """Cut after the claim, and what was restored is gone: the claim says what must come back."""
    home = tmp_path / "b"

    def cut(done: str) -> None:
        if done == "claimed":
            raise Cut

    with pytest.raises(Cut):
        promoted(a_wish(clinic, home, cloud=cloud), tell=cut)
    for path in (home / "data").glob(".his.*"):
        path.unlink()
    promoted(a_wish(clinic, home, cloud=cloud))
    check(clinic, home, cloud)


def test_a_claim_whose_answer_was_lost_is_known_again(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    home = tmp_path / "b"

    class Silent(Destination):
        async def put_new(self, key: str, body: bytes, *, time_ms: int | None = None) -> bool:
            made = await super().put_new(key, body, time_ms=time_ms)
            if key.endswith("e0002.json"):
                raise DestinationFailed(CopyState.UNREACHABLE, "the answer was lost", context=None)
            return made

    with pytest.raises(DestinationFailed):
        promoted(replace(a_wish(clinic, home, cloud=cloud), origin=Silent(cloud, cloud, Sealer(()))))
    promoted(a_wish(clinic, home, cloud=cloud))
    check(clinic, home, cloud)


def test_a_machine_that_came_later_is_told_who_was_first(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    """Two promote at once: both found epoch 2 free, and one claims it first."""
    begun = tmp_path / "b"
    with pytest.raises(Cut):
        promoted(a_wish(clinic, begun, cloud=cloud), tell=lambda done: _cut_at(done, "finished-his"))
    promoted(a_wish(clinic, tmp_path / "c", cloud=cloud))
    with pytest.raises(ReplicaError) as caught:
        promoted(a_wish(clinic, begun, cloud=cloud))
    assert caught.value.code == "epoch-taken"
    assert not (begun / "data" / "his.db").exists()
    check(clinic, tmp_path / "c", cloud)


def _cut_at(done: str, step: str) -> None:
    if done == step:
        raise Cut


def test_a_killed_command_is_simply_run_again(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    home = tmp_path / "b"
    with subprocess.Popen(
        promote_argv(clinic, home, cloud=cloud), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "finished his" in line:
                process.send_signal(signal.SIGKILL)
                break
    done = promote_command(clinic, home, cloud=cloud)
    assert done.returncode == 0, done.stderr
    assert "this machine owns epoch 2 of training-0001, from TXID" in done.stdout
    assert "leave the old machine off" in done.stdout
    check(clinic, home, cloud)


def test_a_dry_run_changes_nothing_here_or_there(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    before = sorted((tmp_path / "cloud").rglob("*"))
    done = promote_command(clinic, tmp_path / "b", "--dry-run", cloud=cloud)
    assert done.returncode == 0, done.stderr
    assert "epoch 2" in done.stdout
    assert "nothing was changed" in done.stdout
    assert not (tmp_path / "b").exists()
    assert sorted((tmp_path / "cloud").rglob("*")) == before


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_changed(
    clinic: Replicated, cloud: str, tmp_path: Path
) -> None:
    home = tmp_path / "b"
    (home / "data").mkdir(parents=True)
    (home / "data" / "his.db").write_bytes(b"somebody's")
    (home / "edge-node.toml").write_text("# somebody's")
    (home / "superseded.json").write_text("{}")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    done = promote_command(clinic, home, "--credential", str(tmp_path / "none"), cloud=cloud)
    assert done.returncode == 5
    for said in ("his.db", "edge-node.toml", "superseded.json", str(tmp_path / "none")):
        assert said in done.stderr
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "cloud" / NODE / "claims" / "e0002.json").exists()


def damage(paths: Iterable[Path], *, content: bytes | None = None) -> None:
    for path in list(paths):
        path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(
    "break_it, code",
    [
        pytest.param(lambda clinic: damage(clinic.glob("kit/*")), "kit-missing", id="no-kit"),
        pytest.param(lambda clinic: damage(clinic.glob("kit/*"), content=b"x"), "kit-unreadable", id="a-damaged-kit"),
        pytest.param(lambda clinic: damage(clinic.glob("e0001/his/*/*")), "restore-failed", id="no-copy"),
    ],
)
def test_what_cannot_be_had_is_said_and_nothing_is_claimed(
    clinic: Replicated, cloud: str, tmp_path: Path, break_it: Callable[[Path], None], code: str
) -> None:
    break_it(tmp_path / "cloud" / NODE)
    with pytest.raises(ReplicaError) as caught:
        promoted(a_wish(clinic, tmp_path / "b", cloud=cloud))
    assert caught.value.code == code
    assert caught.value.hint
    assert not (tmp_path / "cloud" / NODE / "claims" / "e0002.json").exists()


def test_without_a_copy_of_node_db_the_clinic_still_opens(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    for path in (tmp_path / "cloud" / NODE / "e0001" / "node").rglob("*.age"):
        path.unlink()
    done = promoted(a_wish(clinic, tmp_path / "b", cloud=cloud))
    assert done.made_anew == ("node",)
    check(clinic, tmp_path / "b", cloud)


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_a_store_that_cannot_refuse_a_second_owner_is_not_believed_without_a_person(tmp_path: Path, kind: str) -> None:
    with s3_server(tmp_path / "server", kind) as server:
        clinic = made_clinic(tmp_path / "a", server)
        with shipping(clinic):
            pass
        wish = a_wish(clinic, tmp_path / "b", server=server)
        origin = (wish.origin.url, "--endpoint", server.endpoint, "--credential", str(wish.credential))
        argv = promote_argv(clinic, tmp_path / "b", *origin[1:], cloud=origin[0])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False)
        if kind == "rclone":
            assert done.returncode == 5, done.stdout
            assert "confirmation-missing" in done.stderr
            assert "--old-machine-is-off" in done.stderr
            assert not (tmp_path / "b").exists()
            done = subprocess.run(
                [*argv, "--old-machine-is-off"], capture_output=True, text=True, timeout=90, check=False
            )
        assert done.returncode == 0, done.stderr
        # The key that was given is this machine's for the destination that it names.
        assert (tmp_path / "b" / "credentials" / "cloud-key").read_bytes() == (wish.credential or Path()).read_bytes()
        assert json.loads((tmp_path / "b" / "litestream" / "e0002" / "epoch.json").read_bytes())["from_epoch"] == 1


def test_looking_names_the_clinic_where_several_lie(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    (tmp_path / "cloud" / "clinic-0043" / "kit").mkdir(parents=True)
    (tmp_path / "cloud" / "clinic-0043" / "kit" / "1.age").write_bytes(b"theirs")
    wish = a_wish(clinic, tmp_path / "b", cloud=cloud)
    with pytest.raises(ReplicaError) as caught:
        asyncio.run(look(wish, tries_conditions=False))
    assert "several clinics: clinic-0043, training-0001" in caught.value.message
    found = asyncio.run(look(replace(wish, node_id=NODE), tries_conditions=False))
    assert found.promotion.epoch == 2
