"""Coming back from a bucket: the newest state, a past instant, on a new machine, and with nothing of ours."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import parse_utc, utc_text
from edge_node.base.process import clean_environment
from edge_node.cli.lost import restore_beside
from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from edge_node.replication.litestream import binary
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.s3 import BUCKET, KEY, PROGRAMS, S3Server, s3_server, write_key
from tests.support.waiting import until


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path / "server", getattr(request, "param", "moto")) as running:
        yield running


@pytest.fixture
def clinic(tmp_path: Path, server: S3Server) -> Replicated:
    clinic = make_replicated(
        tmp_path / "home",
        f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\nendpoint = "{server.endpoint}"\n'
        'credential = "cloud-key"\n',
    )
    write_key(clinic.home / "credentials" / "cloud-key")
    return clinic


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


def work(clinic: Replicated, server: S3Server, seconds: float) -> None:
    """Rows every 100 ms, shipped in the end with all their history; for the middle third of it the store hangs."""
    chance = random.Random(1)
    with writing(clinic) as conn, replicating(clinic):
        began = time.monotonic()
        is_frozen = False
        while (spent_s := time.monotonic() - began) < seconds:
            if is_frozen is not (seconds / 3 < spent_s < 2 * seconds / 3):
                is_frozen = not is_frozen
                (server.freeze if is_frozen else server.thaw)()
            write_row(conn, chance, at=time.time_ns() // 1_000_000)
            time.sleep(0.1)
        clinic.wait_until_shipped()
        here = len(list((clinic.home / "replica" / "e0001" / "his" / "ltx" / "0").glob("*.ltx")))
        until(lambda: captures_there(clinic) >= here - 1, within_s=30, every_s=0.3)  # TXID 1 may come as a snapshot


def captures_there(clinic: Replicated) -> int:
    listed = json.loads(replica(clinic, "points", "--from", "cloud", "--json").stdout)
    return sum(stretch["files"] for stretch in listed if stretch["level"] == 0)


@pytest.mark.parametrize("server", ["moto", "rclone"], indirect=True)
def test_a_past_instant_is_never_passed(clinic: Replicated, server: S3Server, tmp_path: Path) -> None:
    """What was written while the store hung was uploaded later; the local replica says what is right."""
    work(clinic, server, 6.0)
    if server.kind == "rclone":
        server.stop()
        server.start()  # It forgets the attributes of its objects: their headers must be looked at.
    identity = ("--identity", str(clinic.identity_file()))
    every = rows(clinic.his)
    begun_ms, ended_ms = every[0][1], every[-1][1]
    for n, share in enumerate((0.3, 0.55, 0.9)):
        at_ms = round(begun_ms + share * (ended_ms - begun_ms))
        found = {}
        for origin in ("cloud", "local"):
            to = tmp_path / f"{origin}-{n}.db"
            done = replica(clinic, "restore", "--from", origin, "--to", str(to), "--at", utc_text(at_ms), *identity)
            assert done.exit_code == 0, done.output
            found[origin] = rows(to)
        assert found["cloud"] == found["local"] == every[: len(found["local"])]
        assert found["cloud"][-1][1] <= at_ms
        assert found["cloud"][-1][1] > at_ms - 1500
    # A file whose time was lost, and now seems older than it is: what is inside counts.
    for path in (clinic.home / "replica" / "e0001" / "his" / "ltx").glob("*/*.ltx"):
        os.utime(path, (begun_ms / 1000, begun_ms / 1000))
    done = replica(clinic, "restore", "--from", "local", "--to", str(tmp_path / "late.db"), "--at", utc_text(at_ms))
    assert done.exit_code == 0, done.output
    assert rows(tmp_path / "late.db") == found["local"]
    before = replica(
        clinic,
        "restore",
        "--from",
        "cloud",
        "--to",
        str(tmp_path / "none.db"),
        "--at",
        "2026-01-01T00:00:00Z",
        *identity,
    )
    assert "holds nothing to restore from as of 2026-01-01" in str(before.exception)
    assert "its history begins at TXID" in str(before.exception.context)  # type: ignore[union-attr]

    listed = json.loads(replica(clinic, "points", "--from", "cloud", "--json", *identity).stdout)
    finest = next(stretch for stretch in listed if stretch["level"] == 0)
    assert abs(parse_utc(finest["to"]) - ended_ms) < 1500
    assert replica(clinic, "verify", "--from", "cloud", *identity).exit_code == 0


@pytest.mark.parametrize("server", ["rclone"], indirect=True)
def test_on_a_new_machine(clinic: Replicated, server: S3Server, tmp_path: Path) -> None:
    """Address, key and identity are all it takes; without the identity, what cannot be known is said to be unknown."""
    work(clinic, server, 2.0)
    key = write_key(tmp_path / "safe" / "cloud-key")
    bucket = ("--from", f"s3://{BUCKET}/edge", "--endpoint", server.endpoint, "--credential", str(key))
    new = Replicated(home=tmp_path / "new-machine", identity=None)
    to = ("--to", str(tmp_path / "back.db"))
    sealed = replica(new, "restore", *bucket, *to)
    assert sealed.exception is not None and getattr(sealed.exception, "code", "") == "identity-missing"
    done = replica(new, "restore", *bucket, *to, "--identity", str(clinic.identity_file()))
    assert done.exit_code == 0, done.output
    assert rows(tmp_path / "back.db") == rows(clinic.his)
    server.stop()
    server.start()  # and its attributes are gone
    at = replica(new, "restore", *bucket, "--to", str(tmp_path / "at.db"), "--at", "2030-01-01T00:00:00Z")
    assert "does not tell of what time its objects are" in str(at.exception)
    assert {stretch["from"] for stretch in json.loads(replica(new, "points", *bucket, "--json").stdout)} == {None}


def test_an_unencrypted_bucket_restores_with_bare_litestream(
    clinic: Replicated, server: S3Server, tmp_path: Path
) -> None:
    """Also a past instant: the attribute by which Litestream tells the time of an object is set."""
    config = clinic.home / "edge-node.toml"
    lines = config.read_text().splitlines()
    config.write_text("\n".join("plain = true" if line.startswith("encrypt_to") else line for line in lines))
    work(clinic, server, 6.0)
    every = rows(clinic.his)
    at_ms = round(every[0][1] + 0.5 * (every[-1][1] - every[0][1]))
    address = (
        f"s3://{BUCKET}/edge/clinic-0042/e0001/his?endpoint={server.endpoint}&force-path-style=true&region=us-east-1"
    )
    keys = {"AWS_ACCESS_KEY_ID": KEY[0], "AWS_SECRET_ACCESS_KEY": KEY[1]}
    for name, more in (("newest", ()), ("at", ("-timestamp", utc_text(at_ms)))):
        subprocess.run(
            (binary(), "restore", "-integrity-check", "full", *more, "-o", tmp_path / f"{name}.db", address),
            check=True,
            capture_output=True,
            timeout=60,
            env=clean_environment(keys),
        )
    assert rows(tmp_path / "newest.db") == every
    past = rows(tmp_path / "at.db")
    assert past == every[: len(past)]
    assert at_ms - 1500 < past[-1][1] <= at_ms


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_what_rclone_copies_keeps_its_times(clinic: Replicated, server: S3Server, tmp_path: Path) -> None:
    """The way back with bare hands begins with `rclone copy`, and file times must survive it."""
    work(clinic, server, 2.0)
    remote = f":s3,provider=Other,endpoint='{server.endpoint}',access_key_id={KEY[0]},secret_access_key={KEY[1]}:"
    subprocess.run(
        (
            *(PROGRAMS / "rclone", "--config", "/dev/null", "copy"),
            *(f"{remote}{BUCKET}/edge/clinic-0042/e0001/his", tmp_path / "copy"),
        ),
        check=True,
        capture_output=True,
        timeout=60,
        env=clean_environment({"HOME": str(tmp_path)}),
    )
    local = clinic.home / "replica" / "e0001" / "his" / "ltx"
    copied = list((tmp_path / "copy").glob("*/*.ltx.age"))
    assert copied
    for path in copied:
        here = local / str(int(path.parent.name, 16)) / path.stem
        assert abs(path.stat().st_mtime - here.stat().st_mtime) < 0.002


def test_a_lost_database_comes_back_from_a_bucket(clinic: Replicated, server: S3Server) -> None:
    work(clinic, server, 2.0)
    (clinic.home / "credentials" / "node-identity").write_text(f"{clinic.identity}\n")
    for folder in ("replica", "litestream/e0001/his/ltx"):
        shutil.rmtree(clinic.home / folder)
    done, epoch = restore_beside(clinic.config, "his")
    assert (done.source, epoch) == ("cloud (clinic-0042/e0001/his)", 1)
    assert rows(done.path) == rows(clinic.his)
