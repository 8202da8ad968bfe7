"""A bucket as it is at a random instant, under load, kills and a store that hangs: it always restores.

Shipper and store are stopped together, the objects copied, and both go on: the copy is what another machine would find
at that instant.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from click.testing import CliRunner

from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from edge_node.store.connection import connect_reader
from tests.support.replicated import Replicated, end, make_replicated, start_replicator, writing
from tests.support.s3 import BUCKET, S3Server, s3_server, write_key
from tests.support.waiting import until

# Row n is written with the sum of all numbers up to n: a copy with a hole does not add up.
INSERT = (
    "INSERT INTO visit (id, at, note)"
    " SELECT coalesce(max(id), 0) + 1, coalesce(max(at), 0) + coalesce(max(id), 0) + 1, ? FROM visit"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path / "server", "rclone") as running:
        yield running


@pytest.fixture
def clinic(tmp_path: Path, server: S3Server) -> Replicated:
    destination = (
        f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\n'
        f'endpoint = "{server.endpoint}"\ncredential = "cloud-key"\n'
    )
    clinic = make_replicated(tmp_path / "home", destination)
    write_key(clinic.home / "credentials" / "cloud-key")
    return clinic


@contextmanager
def load(clinic: Replicated) -> Iterator[None]:
    """Twenty rows a second, and a burst of 150 now and then."""
    over = threading.Event()

    def work() -> None:
        chance = random.Random(3)
        with writing(clinic) as conn:
            while not over.wait(0.05):
                for _ in range(150 if chance.random() < 0.02 else 1):
                    conn.execute(INSERT, (chance.randbytes(chance.choice((50, 200, 1_000))),))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def frozen(clinic: Replicated, server: S3Server, process: Popen[bytes], to: Path) -> int:
    """Copy the bucket at one instant; the TXID that was said to be confirmed there by then."""
    confirmed = int(clinic.destination().get("confirmed_txid", 0))
    process.send_signal(signal.SIGSTOP)
    server.freeze()
    try:
        shutil.copytree(server.bucket, to)
    finally:
        server.thaw()
        process.send_signal(signal.SIGCONT)
    return confirmed


def check_restores(clinic: Replicated, copy: Path, scratch: Path, *, at_least: int) -> int:
    """Restore from the frozen bucket; the number of rows."""
    asked = ("restore", "--from", f"file://{copy}/edge", "--to", str(scratch), "--json")
    done = CliRunner().invoke(
        replica_group, [*asked, "--identity", str(clinic.identity_file())], obj=Where(home=clinic.home)
    )
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["hole"] is None and made["txid"] >= at_least
    conn = connect_reader(scratch)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        count, last, total = conn.execute(
            "SELECT count(*), coalesce(max(id), 0), coalesce(max(at), 0) FROM visit"
        ).fetchone()
    finally:
        conn.close()
        for path in scratch.parent.glob(f"{scratch.name}*"):
            path.unlink()
    assert count == last and total == last * (last + 1) // 2
    return int(count)


def is_begun(copy: Path) -> bool:
    return any((copy / "edge/clinic-0042/e0001/his").glob("*/*.age"))


@pytest.mark.parametrize("copies", [6, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_frozen_bucket_restores(clinic: Replicated, server: S3Server, tmp_path: Path, copies: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, found = random.Random(seed), []
    process = start_replicator(clinic)
    try:
        with load(clinic):
            until(lambda: int(clinic.destination().get("confirmed_txid", 0)) > 3, within_s=30)
            for number in range(copies):
                match chance.randrange(4):
                    case 0:
                        process.kill()
                        process.wait()
                        process = start_replicator(clinic)
                    case 1:
                        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                        for pid in children[:1]:
                            os.kill(int(pid), signal.SIGKILL)
                    case 2:
                        server.freeze()
                        time.sleep(chance.uniform(0.2, 2.0))
                        server.thaw()
                time.sleep(chance.uniform(0.05, 1.5))
                copy = tmp_path / f"frozen-{number}"
                confirmed = frozen(clinic, server, process, copy)
                if is_begun(copy):
                    rows = check_restores(clinic, copy, tmp_path / f"{number}.db", at_least=confirmed)
                    found.append((confirmed, rows))
                shutil.rmtree(copy)
        clinic.wait_until_shipped(within_s=40)
    finally:
        assert end(process) == 0
    print(f"{len(found)} of {copies} frozen buckets restored; confirmed TXID and rows: {found}")
    assert len(found) >= copies - 1
