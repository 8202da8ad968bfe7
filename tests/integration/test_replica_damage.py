"""Damage at a destination, done behind its back: found, named, shipped again; and restores that go around it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import obstore
import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock
from edge_node.base.errors import EdgeError
from edge_node.cli.lost import restore_beside
from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from edge_node.replication.drill import Check, Outcome, Sentinel, drill
from edge_node.replication.source import LocalSource
from edge_node.store.connection import Connection
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.s3 import BUCKET, s3_server, write_key
from tests.support.s3_objects import keys_of, objects_of, refusing_deletes
from tests.support.waiting import until

PREFIX = "clinic-0042/e0001/his/0000/"
CAPTURES = 8


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


def fill(clinic: Replicated) -> None:
    """Captures of a row each, shipped; the services have stopped."""
    chance = random.Random(5)
    with writing(clinic) as conn, replicating(clinic):
        # What follows lies beyond the first snapshot: no other object holds the same.
        until(lambda: list((clinic.home / "replica/e0001/his/ltx/9").glob("*.ltx")), within_s=60, every_s=0.2)
        for _ in range(CAPTURES):
            before = clinic.local_head()
            write_row(conn, chance, size_bytes=900)
            clinic.wait_until_captured(beyond=before)
        clinic.wait_until_shipped()
        until(lambda: captures_there(clinic) >= captures_here(clinic) - 1, within_s=30, every_s=0.3)
    # On a slow machine a compaction may have come between: a cover would hide the damage that is to be done.
    for level in ("1", "2", "3"):
        shutil.rmtree(clinic.home / "replica/e0001/his/ltx" / level, ignore_errors=True)
    (clinic.home / "credentials" / "node-identity").write_text(f"{clinic.identity}\n")


def captures_here(clinic: Replicated) -> int:
    return len(list((clinic.home / "replica/e0001/his/ltx/0").glob("*.ltx")))


def captures_there(clinic: Replicated) -> int:
    listed = json.loads(replica(clinic, "points", "--from", "cloud", "--json").stdout)
    return sum(stretch["files"] for stretch in listed if stretch["level"] == 0)


class Bucket:
    """The captures at a destination, to be damaged: keys are their names, ascending."""

    def __init__(
        self,
        keys: Callable[[], list[str]],
        read: Callable[[str], bytes],
        put: Callable[[str, bytes], None],
        delete: Callable[[str], None],
    ) -> None:
        self.keys, self.read, self.put, self.delete = keys, read, put, delete


@pytest.fixture(params=["file", "s3"])
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Replicated, Bucket]]:
    """A clinic and its destination, a folder or a bucket."""
    if request.param == "file":
        clinic = make_replicated(tmp_path / "home")
        fill(clinic)
        folder = clinic.prefix / "0000"
        shutil.rmtree(clinic.prefix / "0001", ignore_errors=True)

        def put(name: str, content: bytes) -> None:
            stat = (folder / name).stat()
            (folder / name).write_bytes(content)
            os.utime(folder / name, ns=(stat.st_mtime_ns, stat.st_mtime_ns))

        yield (
            clinic,
            Bucket(
                lambda: sorted(path.name for path in folder.iterdir()),
                lambda name: (folder / name).read_bytes(),
                put,
                lambda name: (folder / name).unlink(),
            ),
        )
        return
    with s3_server(tmp_path / "server", "moto") as server:
        clinic = make_replicated(
            tmp_path / "home",
            f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\nendpoint = "{server.endpoint}"\n'
            'credential = "cloud-key"\n',
        )
        write_key(clinic.home / "credentials" / "cloud-key")
        fill(clinic)
        store = objects_of(server)
        for key in keys_of(store, "edge/clinic-0042/e0001/his/0001/"):
            obstore.delete(store, key)
        yield (
            clinic,
            Bucket(
                lambda: [key.rpartition("/")[2] for key in keys_of(store, f"edge/{PREFIX}")],
                lambda name: bytes(obstore.get(store, f"edge/{PREFIX}{name}").bytes()),
                lambda name, content: obstore.put(store, f"edge/{PREFIX}{name}", content) and None,
                lambda name: obstore.delete(store, f"edge/{PREFIX}{name}"),
            ),
        )


def test_found_named_and_shipped_again(damaged: tuple[Replicated, Bucket], tmp_path: Path) -> None:
    clinic, bucket = damaged
    gone, cut, garbage, flipped = bucket.keys()[-5:-1]
    original = {name: bucket.read(name) for name in (gone, cut, garbage, flipped)}
    bucket.delete(gone)
    bucket.put(cut, original[cut][: len(original[cut]) // 2])
    bucket.put(garbage, random.Random(1).randbytes(len(original[garbage])))
    bucket.put(flipped, original[flipped][:-1] + bytes([original[flipped][-1] ^ 1]))

    # Without looking inside, what is gone and what is cut shows; nothing is changed by a look alone.
    cheap = _error(replica(clinic, "verify", "--from", "cloud", "--database", "his", "--dry-run"))
    assert {gone, cut} <= {problem.path.rpartition("/")[2] + ".age" for problem in cheap.problems}
    seen = _error(replica(clinic, "verify", "--from", "cloud", "--database", "his", "--deep", "--dry-run"))
    told = {problem.path.rpartition("/")[2] + ".age": problem.text for problem in seen.problems}
    assert {gone, cut, garbage, flipped} <= set(told)
    assert all("the local replica still has it" in told[name] for name in (gone, cut, garbage, flipped))
    assert bucket.keys().count(gone) == 0

    mended = replica(clinic, "verify", "--from", "cloud", "--database", "his", "--deep", "--json")
    assert mended.exit_code == 0, mended.output
    document = json.loads(mended.stdout)[0]
    assert document["ok"]
    assert {finding["mended"] for finding in document["findings"] if finding["where"].startswith("0000/")} == {
        "shipped again"
    }
    again = replica(clinic, "verify", "--from", "cloud", "--database", "his", "--deep", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)[0]["findings"] == []
    back = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "back.db"))
    assert back.exit_code == 0, back.output
    assert rows(tmp_path / "back.db") == rows(clinic.his)


def test_a_restore_walks_back_to_the_last_sound_point_and_says_how_far(
    damaged: tuple[Replicated, Bucket], tmp_path: Path
) -> None:
    clinic, bucket = damaged
    newest = bucket.keys()[-1]
    txid = int(newest[:16], 16)
    bucket.put(newest, b"not what was put here" * 40)
    done = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "back.db"), "--json")
    error = _error(done)
    assert (error.code, error.exit_code) == ("restore-incomplete", 5)
    document = json.loads(done.stdout)
    assert (document["txid"], document["wanted_txid"], document["whole"]) == (txid - 1, txid, False)
    assert document["unsound"] == [f"0000/{newest.removesuffix('.age')}"]
    assert rows(tmp_path / "back.db") == rows(clinic.his)[: len(rows(tmp_path / "back.db"))]
    assert len(rows(tmp_path / "back.db")) >= CAPTURES - 1
    said = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "again.db"))
    assert f"walked back to the last sound point: TXIDs {txid} to {txid} are not in it" in said.stdout
    # A state before the damage is whole.
    before = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "b.db"), "--txid", str(txid - 1))
    assert before.exit_code == 0, before.output


def test_a_txid_beyond_the_end_is_refused_and_the_last_one_named(
    damaged: tuple[Replicated, Bucket], tmp_path: Path
) -> None:
    clinic, _ = damaged
    head = clinic.local_head()
    for origin in ("cloud", "local"):
        error = _error(
            replica(clinic, "restore", "--from", origin, "--to", str(tmp_path / "x.db"), "--txid", str(head + 5))
        )
        assert (error.code, error.exit_code) == ("restore-failed", 5)
        assert f"ends at TXID {head}, before {head + 5}" in error.message
        assert f"--txid {head}" in str(error.hint)
        assert not (tmp_path / "x.db").exists()


def test_what_has_content_of_another_time_is_found_by_litestream_and_gone_around(tmp_path: Path) -> None:
    """In a local replica: a page changed inside, header and name as they were. Litestream refuses it; what is left
    restores."""
    clinic = make_replicated(tmp_path / "home")
    fill(clinic)
    captures = sorted((clinic.home / "replica/e0001/his/ltx/0").iterdir())
    content = bytearray(captures[-1].read_bytes())
    content[150] ^= 0xFF
    captures[-1].write_bytes(content)
    done = replica(clinic, "restore", "--from", "local", "--to", str(tmp_path / "back.db"), "--json")
    assert _error(done).code == "restore-incomplete"
    document = json.loads(done.stdout)
    assert document["unsound"] == [f"0000/{captures[-1].name}"]
    assert document["txid"] == int(captures[-2].name[:16], 16)
    found = _error(replica(clinic, "verify", "--from", "local", "--database", "his", "--deep"))
    assert any(captures[-1].name in problem.path for problem in found.problems)


def test_a_drill_tells_of_a_database_that_cannot_be_read(tmp_path: Path) -> None:
    """As of now and as of the past instant: a drill that ends in a traceback has told nobody."""
    clinic = make_replicated(tmp_path / "home")
    fill(clinic)

    def look(conn: Connection, _: Sentinel | None) -> list[Check]:
        return [Check(name="audit", outcome=Outcome.OK, text=str(conn.execute("SELECT seq FROM nowhere").fetchall()))]

    source = LocalSource(clinic.home / "replica/e0001/his")
    done = asyncio.run(drill(source, tmp_path, clock=SystemClock(), chance=random.Random(1), look=look))
    failed = {check.name: check.text for check in done.checks if check.outcome is Outcome.FAILED}
    assert set(failed) == {"parents", "past"} and not done.is_ok
    assert all("cannot be read: no such table: nowhere" in text for text in failed.values())


def test_a_lost_database_comes_back_from_where_it_is_whole(tmp_path: Path) -> None:
    """`db ensure`: a damaged local replica would bring back less than the destination has."""
    clinic = make_replicated(tmp_path / "home")
    fill(clinic)
    shutil.rmtree(clinic.prefix / "0001", ignore_errors=True)
    newest = max((clinic.home / "replica/e0001/his/ltx/0").iterdir())
    newest.write_bytes(b"damaged" * 90)
    done, epoch = restore_beside(clinic.config, "his")
    assert (epoch, done.txid) == (1, clinic.local_head())
    assert done.source.startswith("cloud")
    assert rows(done.path) == rows(clinic.his)
    done.path.unlink()
    # Nobody has it whole: the last sound point is better than nothing, and says so.
    (clinic.prefix / "0000" / f"{newest.name}.age").write_bytes(b"damaged" * 90)
    done, _ = restore_beside(clinic.config, "his")
    assert not done.is_whole
    assert done.txid == clinic.local_head() - 1
    assert rows(done.path) == rows(clinic.his)[: len(rows(done.path))]
    assert not list(done.path.parent.glob("*partial*"))


def test_a_lost_database_does_not_come_back_from_a_replica_that_was_set_back(tmp_path: Path) -> None:
    """`db ensure`: its disk was exchanged for an image of yesterday, whole in itself; the destination has today."""
    clinic = make_replicated(tmp_path / "home")
    fill(clinic)
    captures = sorted((clinic.home / "replica/e0001/his/ltx/0").iterdir())
    for capture in captures[-3:]:
        capture.unlink()
    shutil.rmtree(clinic.home / "litestream/e0001/his")  # What was staged for it went with the old disk.
    done, _ = restore_beside(clinic.config, "his")
    assert done.source.startswith("cloud") and rows(done.path) == rows(clinic.his)
    # Without a line what is here must do: the clinic does not wait for it.
    clinic.cloud.rename(clinic.home / "away")
    done, _ = restore_beside(clinic.config, "his")
    assert done.is_whole and done.txid < int(captures[-1].name[:16], 16)


def test_a_lost_database_comes_back_from_its_newest_epoch_wherever_that_is(tmp_path: Path) -> None:
    """`db ensure`: an earlier epoch is whole, and lies nearer; what was written since is at the destination only."""
    clinic = make_replicated(tmp_path / "home")
    fill(clinic)
    here, there = clinic.home / "replica" / "e0001", clinic.cloud / "clinic-0042" / "e0001"
    now, before = here.rename(here.with_name("e0002")), here
    there.rename(there.with_name("e0002"))
    (clinic.home / "litestream" / "e0002").mkdir()
    shutil.copytree(now, before)
    captures = sorted((before / "his/ltx/0").iterdir())
    for capture in captures[-CAPTURES // 2 :]:
        capture.unlink()
    for file in (now / "his/ltx").glob("*/*.ltx"):
        file.write_bytes(b"damaged" * 90)
    done, epoch = restore_beside(clinic.config, "his")
    assert (epoch, done.source.partition(" ")[0]) == (2, "cloud")
    assert rows(done.path) == rows(clinic.his)
    # A disk that cannot be read at all.
    shutil.rmtree(now / "his/ltx/0")
    (now / "his/ltx/0").symlink_to("0")
    done, epoch = restore_beside(clinic.config, "his")
    assert (epoch, rows(done.path)) == (2, rows(clinic.his))
    # Nobody has the newest any more: the one before it is better than nothing.
    shutil.rmtree(clinic.cloud)
    done, epoch = restore_beside(clinic.config, "his")
    assert epoch == 1 and done.is_whole
    assert rows(done.path) == rows(clinic.his)[: len(rows(done.path))]


def test_a_machine_that_does_not_own_the_epoch_repairs_nothing(tmp_path: Path) -> None:
    clinic = make_replicated(tmp_path / "home")
    fill(clinic)
    victim = sorted((clinic.prefix / "0000").iterdir())[-2]
    victim.unlink()
    claims = clinic.cloud / "clinic-0042" / "claims"
    claim = json.loads((claims / "e0001.json").read_bytes())
    (claims / "e0002.json").write_text(json.dumps({**claim, "epoch": 2, "nonce": "another", "machine": "b"}))
    done = replica(clinic, "verify", "--from", "cloud", "--database", "his")
    assert _error(done).code == "replica-unsound"
    assert "does not own its newest epoch" in done.stderr
    assert not victim.exists()


def test_where_nothing_may_be_replaced_a_snapshot_passes_the_damage_by(tmp_path: Path) -> None:
    """A store that lets nobody overwrite: what is damaged stays, a newer snapshot is sent if there is one."""
    with s3_server(tmp_path / "server", "moto") as server, refusing_deletes(server, overwrites=True) as proxy:
        clinic = make_replicated(
            tmp_path / "home",
            f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\nendpoint = "{proxy.endpoint}"\n'
            'credential = "cloud-key"\n',
        )
        write_key(clinic.home / "credentials" / "cloud-key")
        fill(clinic)
        store = objects_of(server)
        victim = keys_of(store, f"edge/{PREFIX}")[-2]
        obstore.put(store, victim, b"garbage" * 100)
        error = _error(replica(clinic, "verify", "--from", "cloud", "--database", "his"))
        assert any("lets nobody replace it" in problem.text for problem in error.problems), error.problems
        assert any(request.startswith("PUT") for request in proxy.refused)
        assert "the next snapshot will make it needless" in " ".join(problem.text for problem in error.problems)


def _error(result: Result) -> EdgeError:
    assert isinstance(result.exception, EdgeError), (result.output, result.exception)
    return result.exception
