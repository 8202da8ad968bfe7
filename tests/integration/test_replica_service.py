"""The replicator whole: real Litestream, a folder as destination, encryption, kills, and restores that prove it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import parse_utc
from edge_node.base.errors import EdgeError, ExitCode, ReplicaError, StoreError
from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from edge_node.replication.litestream import binary
from edge_node.replication.restore import restore
from edge_node.replication.source import LocalSource
from edge_node.services.replica import run
from tests.support.replicated import (
    Replicated,
    end,
    make_replicated,
    replicating,
    rows,
    start_replicator,
    write_row,
    writing,
)
from tests.support.waiting import until


@pytest.fixture
def clinic(tmp_path: Path) -> Replicated:
    return make_replicated(tmp_path / "home")


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


def shipped(clinic: Replicated, *, rows_written: int = 20) -> None:
    """A clinic whose rows have all been shipped, and whose services have stopped."""
    head = clinic.local_head()
    with writing(clinic) as conn, replicating(clinic) as process:
        for _ in range(rows_written):
            write_row(conn, random.Random(1))
        clinic.wait_until_captured(beyond=head)
        clinic.wait_until_shipped()
        assert end(process) == 0


def test_what_is_shipped_restores_row_for_row(clinic: Replicated, tmp_path: Path) -> None:
    shipped(clinic)
    identity = str(clinic.identity_file())
    done = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "back.db"), "--identity", identity)
    assert done.exit_code == 0, done.output
    assert "integrity checked" in done.stdout
    assert rows(tmp_path / "back.db") == rows(clinic.his)
    assert len(rows(clinic.his)) == 20

    by_address = (f"file://{clinic.cloud}", "--to", str(tmp_path / "new-machine.db"), "--identity", identity)
    bare = CliRunner().invoke(replica_group, ["restore", "--from", *by_address], obj=Where(home=tmp_path / "nothing"))
    assert bare.exit_code == 0, bare.output
    assert rows(tmp_path / "new-machine.db") == rows(clinic.his)
    assert sorted(path.name for path in tmp_path.glob("*[!lm]")) == ["back.db", "home", "new-machine.db"]  # no scratch


def test_restore_with_nothing_of_ours(clinic: Replicated, tmp_path: Path) -> None:
    """As the README shows: copy, decrypt, rename the levels, keep the file times, `litestream restore`."""
    shipped(clinic)
    assert clinic.identity is not None
    identity = pyrage.x25519.Identity.from_str(clinic.identity)
    for sealed in clinic.prefix.glob("*/*.ltx.age"):
        plain = tmp_path / "bare" / "ltx" / str(int(sealed.parent.name, 16)) / sealed.stem
        plain.parent.mkdir(parents=True, exist_ok=True)
        plain.write_bytes(pyrage.decrypt(sealed.read_bytes(), [identity]))
        shutil.copystat(sealed, plain)
    back = tmp_path / "back.db"
    subprocess.run(
        (binary(), "restore", "-integrity-check", "full", "-o", back, f"file://{tmp_path / 'bare'}"),
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert rows(back) == rows(clinic.his)


def test_a_past_instant(clinic: Replicated, tmp_path: Path) -> None:
    with writing(clinic) as conn, replicating(clinic):
        begun = clinic.local_head()
        write_row(conn, random.Random(1), at=1)
        clinic.wait_until_captured(beyond=begun)
        head = clinic.wait_until_shipped()
        captured_at = until(lambda: (state := clinic.state())["txid"] == head and state["captured_at"])
        time.sleep(max(0.0, parse_utc(captured_at) / 1000 + 0.05 - time.time()))
        before = len(rows(clinic.his))
        write_row(conn, random.Random(2), at=2)
        clinic.wait_until_captured(beyond=head)
        clinic.wait_until_shipped()
        # A snapshot may have been the cheapest way to that TXID; then the capture itself follows as history.
        until(lambda: (clinic.prefix / "0000" / f"{head:016x}-{head:016x}.ltx.age").exists(), within_s=20)
    identity = str(clinic.identity_file())
    for origin in ("cloud", "local"):
        to = tmp_path / f"{origin}.db"
        done = replica(
            clinic, "restore", "--from", origin, "--to", str(to), "--identity", identity, "--at", captured_at, "--json"
        )
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["txid"] == head
        assert len(rows(to)) == before == 1
    listed = json.loads(replica(clinic, "points", "--from", "cloud", "--json").stdout)
    assert any(stretch["level"] == 0 and stretch["min_txid"] <= head <= stretch["max_txid"] for stretch in listed)


@pytest.mark.parametrize("kills", [6, pytest.param(30, marks=[pytest.mark.long, pytest.mark.timeout(400)])])
def test_kills_under_load(clinic: Replicated, tmp_path: Path, kills: int) -> None:
    """SIGKILL of replicator or Litestream at random instants: the copy restores each time, and never goes back."""
    chance = random.Random(os.urandom(8))
    confirmed = 0
    with writing(clinic) as conn:
        process = start_replicator(clinic)
        try:
            for kill in range(kills):
                stop_at = time.monotonic() + chance.uniform(0.3, 2.0)
                while time.monotonic() < stop_at:
                    write_row(conn, chance, size_bytes=chance.choice((50, 500, 20_000)))
                    time.sleep(0.01)
                if kill % 2 and (pids := _children(process.pid)):
                    os.kill(pids[0], signal.SIGKILL)
                    continue
                process.kill()
                process.wait()
                until(lambda: not _replicators(clinic.run_dir), within_s=10)
                confirmed = max(confirmed, _restored(clinic, tmp_path / f"cut-{kill}.db", at_least=confirmed))
                process = start_replicator(clinic)
            last = write_row(conn, chance)
            until(lambda: clinic.state().get("litestream") == "running", within_s=30)
            until(lambda: end_of_shipping(clinic), within_s=30)
        finally:
            assert end(process) == 0
        assert [row[0] for row in rows(clinic.his)][-1] == last
        to = tmp_path / "last.db"
        done = replica(clinic, "restore", "--from", "cloud", "--to", str(to), "--identity", str(clinic.identity_file()))
        assert done.exit_code == 0, done.output
        assert rows(to) == rows(clinic.his)


def end_of_shipping(clinic: Replicated) -> bool:
    """Everything written has been captured and confirmed: nothing changes over two captures."""
    head = clinic.wait_until_shipped(within_s=30)
    time.sleep(1.2)
    return clinic.wait_until_shipped(within_s=30) == head


def _restored(clinic: Replicated, to: Path, *, at_least: int) -> int:
    if not list(clinic.cloud.glob("*/e0001/his/*/*.age")):
        return 0
    identity = str(clinic.identity_file())
    done = replica(clinic, "restore", "--from", "cloud", "--to", str(to), "--identity", identity, "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["hole"] is None
    assert made["txid"] >= at_least
    ids = [row[0] for row in rows(to)]
    assert ids == list(range(1, len(ids) + 1))
    return int(made["txid"])


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _replicators(folder: Path) -> list[str]:
    """The processes that work in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_an_outage_of_the_destination_shows_and_heals(clinic: Replicated) -> None:
    with writing(clinic) as conn, replicating(clinic) as process:
        write_row(conn, random.Random(1))
        clinic.wait_until_shipped()
        clinic.cloud.rename(clinic.home / "unplugged")
        write_row(conn, random.Random(2))
        until(lambda: clinic.destination()["state"] == "unreachable", within_s=10)
        until(lambda: clinic.destination()["rpo_s"] > 0, within_s=10)
        assert not clinic.cloud.exists(), "an unmounted disk must not be made anew"
        (clinic.home / "unplugged").rename(clinic.cloud)
        until(lambda: clinic.destination()["state"] == "current" and clinic.destination()["rpo_s"] == 0, within_s=10)
        began = time.monotonic()
        assert end(process) == 0
        assert time.monotonic() - began < 8
    assert _replicators(clinic.run_dir) == []


def test_what_is_written_just_before_the_stop_is_shipped(clinic: Replicated, tmp_path: Path) -> None:
    with writing(clinic) as conn, replicating(clinic) as process:
        clinic.wait_until_shipped()
        for _ in range(5):
            write_row(conn, random.Random(3))
        assert end(process) == 0
    to = tmp_path / "back.db"
    done = replica(clinic, "restore", "--from", "cloud", "--to", str(to), "--identity", str(clinic.identity_file()))
    assert done.exit_code == 0, done.output
    assert len(rows(to)) == 5


def test_a_machine_set_back_to_an_older_image_ships_nothing(clinic: Replicated) -> None:
    """Litestream then gives old TXIDs to new content, without a word; the destination must keep the true history."""
    parts = ("data", "replica", "litestream", "shipping")
    shipped(clinic, rows_written=3)
    for part in parts:
        shutil.copytree(clinic.home / part, clinic.home / "image" / part)
    for _ in range(2):
        shipped(clinic, rows_written=3)
    held = {path: path.read_bytes() for path in clinic.cloud.rglob("*") if path.is_file()}
    confirmed = clinic.destination()["confirmed_txid"]
    for part in parts:
        shutil.rmtree(clinic.home / part)
        (clinic.home / "image" / part).rename(clinic.home / part)
    with writing(clinic) as conn, replicating(clinic):
        until(lambda: "replica-set-back" in [problem["code"] for problem in clinic.state()["problems"]], within_s=20)
        while clinic.local_head() <= confirmed:
            head = clinic.local_head()
            write_row(conn, random.Random(9))
            clinic.wait_until_captured(beyond=head)
        assert clinic.destination()["state"] == "paused"
        assert clinic.destination()["confirmed_txid"] == confirmed
    assert {path: path.read_bytes() for path in clinic.cloud.rglob("*") if path.is_file()} == held


@pytest.mark.parametrize("is_staged", [True, False], ids=["refilled", "begun-again"])
def test_a_replica_whose_folder_was_removed_restores_again(clinic: Replicated, tmp_path: Path, is_staged: bool) -> None:
    """By itself Litestream would go on for a day without anything from which that restores."""

    def local() -> tuple[str, int]:
        entry = clinic.destination("local")
        return entry["state"], entry["confirmed_txid"]

    with writing(clinic) as conn, replicating(clinic, faster=20):
        write_row(conn, random.Random(1))
        clinic.wait_until_shipped()
        until(lambda: local() == ("current", clinic.local_head()))
        restarts = clinic.state()["litestream_restarts"]
        shutil.rmtree(clinic.home / "replica" / "e0001" / "his")
        if not is_staged:
            for staged in sorted((clinic.home / "litestream/e0001/his/ltx/0").iterdir())[:-1]:
                staged.unlink()
        write_row(conn, random.Random(2))
        until(lambda: clinic.local_head() > 0 and local() == ("current", clinic.local_head()), within_s=40)
        until(lambda: "replica-broken" not in json.dumps(clinic.state()["problems"]))
        if is_staged:
            assert clinic.state()["litestream_restarts"] == restarts, "nothing was to be begun again"
        write_row(conn, random.Random(3))
        clinic.wait_until_shipped()
    asyncio.run(restore(LocalSource(clinic.home / "replica" / "e0001" / "his"), tmp_path / "back.db"))
    assert len(rows(tmp_path / "back.db")) == 3


def test_a_replica_whose_disk_is_out_stops_nothing_and_is_made_when_it_is_back(clinic: Replicated) -> None:
    disk = clinic.home / "disk"
    config = clinic.home / "edge-node.toml"
    config.write_text(config.read_text().replace("[replica]", f'[replica]\nlocal = "{disk}/replica"'))
    disk.touch()  # Nobody can make a folder below it.
    process = start_replicator(clinic)
    try:
        until(lambda: clinic.state().get("litestream") == "failing", within_s=30)
        assert str(disk) in clinic.state()["litestream_reason"]
        assert clinic.destination("local")["state"] == "behind"
        disk.unlink()
        disk.mkdir()
        until(lambda: clinic.destination("local")["state"] == "current", within_s=60)
        until(lambda: clinic.destination()["confirmed_txid"])
    finally:
        assert end(process) == 0


def test_a_status_file_that_cannot_be_written_stops_no_shipping(clinic: Replicated, tmp_path: Path) -> None:
    """As on a full disk, where the run folder lies on it; said once, not every second."""
    (clinic.run_dir / "status.json").mkdir(parents=True)
    with writing(clinic) as conn:
        process = start_replicator(clinic)
        try:
            until(lambda: list(clinic.prefix.glob("*/*.age")), within_s=20)
            write_row(conn, random.Random(1))
        finally:
            assert end(process) == 0
    to = tmp_path / "back.db"
    done = replica(clinic, "restore", "--from", "cloud", "--to", str(to), "--identity", str(clinic.identity_file()))
    assert done.exit_code == 0, done.output
    assert len(rows(to)) == 1
    talk = (clinic.home / "replica.log").read_text()
    assert 0 < talk.count("status_not_written") < 4


def test_a_missing_database_is_not_made(clinic: Replicated) -> None:
    clinic.his.unlink()
    with pytest.raises(StoreError) as caught:
        run(clinic.config)
    assert caught.value.code == "db-missing"
    assert caught.value.exit_code == ExitCode.BUSY, "`db ensure` may bring it back at any moment"
    assert not clinic.his.exists()


@pytest.mark.parametrize(
    "content", [pytest.param(b"", id="of-no-bytes"), pytest.param(bytes(range(256)) * 64, id="of-garbage")]
)
def test_a_database_that_lost_its_content_is_not_replicated(clinic: Replicated, content: bytes) -> None:
    shipped(clinic, rows_written=3)
    before = {path: path.stat().st_size for path in clinic.cloud.rglob("*.age")}
    for sidecar in ("-wal", "-shm"):
        clinic.his.with_name(f"his.db{sidecar}").unlink(missing_ok=True)
    clinic.his.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        run(clinic.config)
    assert (caught.value.code, caught.value.exit_code) == ("db-corrupt", 4)
    assert "db ensure" in str(caught.value.hint)
    assert clinic.his.read_bytes() == content, "nothing was built up inside it"
    assert {path: path.stat().st_size for path in clinic.cloud.rglob("*.age")} == before


def test_restores_refuse(clinic: Replicated, tmp_path: Path) -> None:
    shipped(clinic, rows_written=3)
    source = LocalSource(clinic.home / "replica" / "e0001" / "his")
    taken = tmp_path / "taken.db"
    taken.write_bytes(b"precious")
    wal = tmp_path / "other.db-wal"
    wal.write_bytes(b"left behind")
    for to, name in ((taken, "taken.db exists"), (tmp_path / "other.db", "other.db-wal exists")):
        with pytest.raises(ReplicaError, match=name):
            asyncio.run(restore(source, to))
    assert taken.read_bytes() == b"precious"
    with pytest.raises(ReplicaError, match="holds nothing to restore from as of"):
        asyncio.run(restore(source, tmp_path / "early.db", at_ms=1_000))
    with pytest.raises(ReplicaError, match="there is no folder"):
        asyncio.run(restore(source, tmp_path / "no" / "folder.db"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "other.db-wal", "taken.db"]


def test_a_sealed_copy_needs_an_identity_that_opens_it(clinic: Replicated, tmp_path: Path) -> None:
    shipped(clinic, rows_written=3)
    arguments = ("restore", "--from", "cloud", "--to", str(tmp_path / "back.db"))
    assert _error(replica(clinic, *arguments)).code == "identity-missing"
    stranger = tmp_path / "stranger"
    stranger.write_text(str(pyrage.x25519.Identity.generate()))
    assert _error(replica(clinic, *arguments, "--identity", str(stranger))).code == "identity-foreign"
    stranger.write_text("hello")
    assert _error(replica(clinic, *arguments, "--identity", str(stranger))).code == "identity-unreadable"
    assert not (tmp_path / "back.db").exists()


def test_verify_finds_what_is_wrong(clinic: Replicated) -> None:
    shipped(clinic)
    identity = ("--identity", str(clinic.identity_file()))
    assert replica(clinic, "verify", "--from", "cloud", *identity).exit_code == 0
    assert replica(clinic, "verify", "--from", "local", "--deep").exit_code == 0
    assert replica(clinic, "verify", "--from", "cloud", "--deep", *identity).exit_code == 0
    sealed = _error(replica(clinic, "verify", "--from", "cloud"))
    assert "there is no identity here" in sealed.problems[0].text
    for path in clinic.prefix.glob("*/*.age"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    error = _error(replica(clinic, "verify", "--from", "cloud", "--dry-run", *identity))
    assert (error.code, error.exit_code) == ("replica-unsound", 5)
    assert "cannot be opened" in error.problems[0].text


def _error(result: Result) -> EdgeError:
    assert isinstance(result.exception, EdgeError), result.output
    return result.exception


def test_a_destination_that_this_version_cannot_use_shows_as_refused(clinic: Replicated) -> None:
    path = clinic.home / "edge-node.toml"
    path.write_text(path.read_text().replace(f"file://{clinic.cloud}", "gs://bucket/prefix"))
    with replicating(clinic):
        until(lambda: clinic.destination()["behind_txids"] > 0)
        entry = clinic.destination()
    assert (entry["state"], entry["confirmed_txid"]) == ("refused", 0)
    assert "ships to s3:// and file:// only" in replica(clinic, "status").stdout
