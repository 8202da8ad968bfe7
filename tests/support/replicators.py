"""`edge-node run replica` beside a test, and a capture that is asked for."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_node.replication.litestream import ControlSocket, SocketSilent


@contextlib.contextmanager
def replicator(home: Path) -> Iterator[Path]:
    """The replicator at work; the file of what it says."""
    log = home.parent / "replica.log"
    with log.open("ab") as said:
        service = subprocess.Popen(
            [sys.executable, "-m", "edge_node", "run", "replica", "--home", str(home)], stdout=said, stderr=said
        )
    try:
        yield log
    finally:
        service.terminate()
        service.wait()


def captured(home: Path, database: str) -> int:
    """Capture a database now; the TXID, or 0 while Litestream cannot."""
    try:
        return ControlSocket(home / "run/replica/litestream.sock").sync(home / f"data/{database}.db", timeout_s=5)
    except (SocketSilent, OSError):
        return 0
