"""A HIS killed between the frames of a transaction in the WAL and SQLite's index over them.

SQLite forgets that transaction and writes the next one over its frames; Litestream reads the file itself and has
captured it. Left alone it then captures nothing more ("read database page N: EOF"), or a damaged copy.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.clock import SystemClock
from edge_node.base.files import StatusFile
from edge_node.his.health import prove_write
from edge_node.store.connection import connect, connect_reader, transaction
from edge_node.store.inspect import row_digest
from tests.support import replicators
from tests.support.node import edge_node
from tests.support.waiting import until

# The first 136 bytes of the index say how far the WAL is valid; put back, the last transaction is forgotten.
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from edge_node.store.connection import connect, transaction
path = Path(sys.argv[1])
conn = connect(path)
with transaction(conn):
    conn.execute("INSERT INTO request_key VALUES ('before', 'x', 0)")
index = os.open(f"{path}-shm", os.O_RDWR)
valid = os.pread(index, 136, 0)
with transaction(conn):
    for number in range(40):
        conn.execute("INSERT INTO request_key VALUES (?, ?, 0)", (f"ghost{number}", "y" * 300))
os.pwrite(index, valid, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node"
    assert edge_node("init", "--training", home=home).returncode == 0
    return home


@pytest.fixture
def replicator(home: Path) -> Iterator[Path]:
    """`edge-node run replica`, and the file of what it says."""
    with replicators.replicator(home) as log:
        yield log


def captured(home: Path) -> int:
    return replicators.captured(home, "his")


@pytest.mark.parametrize("writes", [1, 200], ids=["fewer-frames-than-were-forgotten", "more-frames"])
def test_the_copy_equals_the_database_after_a_kill_at_the_worst_instant(
    home: Path, replicator: Path, writes: int, tmp_path: Path
) -> None:
    path = home / "data/his.db"
    until(lambda: captured(home), within_s=20)
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False)
    ghost = until(lambda: captured(home))

    conn = connect(path)
    try:
        assert conn.execute("SELECT count(*) FROM request_key WHERE token LIKE 'ghost%'").fetchone()[0] == 0
        # What services/his.py does when it follows a kill: a write in the place of those frames, and a word about it.
        with transaction(conn):
            prove_write(conn)
        clock = SystemClock()
        StatusFile(home / "run", "his", every_s=2).write({"began_after_kill_at": clock.wall_ms()}, clock)
        until(lambda: "litestream_begins_anew" in replicator.read_text(), within_s=20)
        for number in range(writes):
            with transaction(conn):
                conn.execute("INSERT INTO request_key VALUES (?, ?, 1)", (f"real{number}", "z" * 200))
        assert until(lambda: captured(home), within_s=20) > ghost
        copy = tmp_path / "copy.db"
        restored = edge_node("replica", "restore", "--from", "local", "--to", str(copy), home=home)
        assert restored.returncode == 0, restored.stderr
        copied = connect_reader(copy)
        try:
            assert row_digest(copied) == row_digest(conn)
        finally:
            copied.close()
    finally:
        conn.close()
