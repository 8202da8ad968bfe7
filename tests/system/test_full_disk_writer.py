"""A disk of three megabytes, filled by eight writers: what was answered is there, and with more room it goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import StoreError
from edge_node.base.instruments import Histogram
from edge_node.store import inspect
from edge_node.store.connection import Connection, connect_reader, create
from edge_node.store.writer import Writer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def put(conn: Connection) -> int:
    return int(conn.execute("INSERT INTO entry (body) VALUES (hex(randomblob(1500)))").lastrowid or 0)


def test_a_full_disk_loses_nothing_that_was_answered(disk: Path) -> None:
    path = disk / "his.db"
    with contextlib.closing(create(path)) as conn:
        conn.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
    writer = Writer(
        path,
        commit_seconds=Histogram([1]),
        batch_size=Histogram([1]),
        wal_limit_bytes=1 << 20,
        litestream_alive=lambda: True,
    )
    answered: list[int] = []
    refused: list[str] = []

    def loop() -> None:
        for _ in range(100):
            try:
                answered.append(writer.submit(put))
            except StoreError as error:
                refused.append(error.code)

    writer.start()
    with contextlib.closing(writer):
        threads = [threading.Thread(target=loop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answered and set(refused) == {"disk-full"}
        with contextlib.closing(connect_reader(path)) as reader:
            assert sorted(answered) == [row["id"] for row in reader.execute("SELECT id FROM entry ORDER BY id")]
            inspect.quick_check(reader)
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        assert writer.submit(put) == max(answered) + 1
        assert writer.last_error is None
