"""A node for replication tests: a home, real databases, a writer, and the replicator as a process of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage

from edge_node.config.load import load
from edge_node.config.schema import Config
from edge_node.store.connection import Connection, connect, connect_reader, create
from tests.support.waiting import until

# Levels and snapshots have no key in the configuration; a test in a hurry makes them shorter. What counts in hours and
# days runs `faster`.
RUN = """
import json, sys
from functools import partial
from pathlib import Path
from edge_node.config.load import load
from edge_node.replication import ages
from edge_node.services import replica, replica_here

home, wish = Path(sys.argv[1]), json.loads(sys.argv[2])
replica.CaptureSettings = partial(replica.CaptureSettings, **wish["capture"])
ages.MARK_EVERY_S /= wish["faster"]
replica.DISK_EVERY_S /= min(wish["faster"], 100)
replica.SCAN_BESIDE_NOTICES_S /= min(wish["faster"], 100)
replica_here.BROKEN_AFTER_S /= min(wish["faster"], 100)
replica.run(load(home / "edge-node.toml", home=home))
"""
ENDING_S = 12.0


@dataclass(slots=True)
class Replicated:
    """A home folder. `identity` is the text of the age identity that opens its copies; None when they are plain."""

    home: Path
    identity: str | None

    @property
    def config(self) -> Config:
        return load(self.home / "edge-node.toml", home=self.home)

    @property
    def his(self) -> Path:
        return self.home / "data" / "his.db"

    @property
    def cloud(self) -> Path:
        return self.home / "cloud"

    @property
    def run_dir(self) -> Path:
        return self.home / "run" / "replica"

    @property
    def prefix(self) -> Path:
        return self.cloud / "clinic-0042" / "e0001" / "his"

    def identity_file(self) -> Path:
        assert self.identity is not None
        path = self.home / "identity.txt"
        path.write_text(f"# the recovery identity\n{self.identity}\n")
        return path

    def state(self) -> dict[str, Any]:
        """The state of the status file; empty while there is none."""
        try:
            return dict(json.loads((self.run_dir / "status.json").read_bytes())["state"])
        except (OSError, ValueError):
            return {}

    def destination(self, name: str = "cloud") -> dict[str, Any]:
        return next((found for found in self.state().get("destinations", ()) if found["name"] == name), {})

    def local_head(self) -> int:
        """The newest TXID in the local replica, read from its files."""
        names = (self.home / "replica" / "e0001" / "his" / "ltx").glob("*/*.ltx")
        return max((int(path.stem.split("-")[1], 16) for path in names), default=0)

    def wait_until_captured(self, *, beyond: int) -> None:
        """Wait until the local replica holds more than the TXID `beyond`."""
        until(lambda: self.local_head() > beyond)

    def wait_until_shipped(self, *, within_s: float = 20.0) -> int:
        """Wait until the destination has confirmed all that is captured; the TXID."""
        return until(lambda: head if (head := self.local_head()) == self._confirmed() else 0, within_s=within_s)

    def _confirmed(self) -> int:
        return int(self.destination().get("confirmed_txid", -1))


def make_replicated(home: Path, destinations: str | None = None, *, sync_every: str = "100ms") -> Replicated:
    """A home whose configuration ships encrypted, and two databases in WAL mode.

    To the folder `cloud`, or to `destinations` as they stand in the configuration. Captures are more frequent than at a
    clinic.
    """
    if destinations is None:
        destinations = f'[[replica.destination]]\nname = "cloud"\nurl = "file://{home}/cloud"\n'
    identity = pyrage.x25519.Identity.generate()
    for name in ("data", "credentials", "shipping"):
        (home / name).mkdir(parents=True)
    (home / "edge-node.toml").write_text(
        f'[node]\nid = "clinic-0042"\n\n'
        f'[replica]\nsync_every = "{sync_every}"\nencrypt_to = ["{identity.to_public()}"]\n\n'
        f"{destinations}"
    )
    for name in ("his", "node"):
        conn = create(home / "data" / f"{name}.db")
        conn.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, at INTEGER, note BLOB) STRICT")
        conn.close()
    return Replicated(home=home, identity=str(identity))


def rows(path: Path) -> list[tuple[int, int, bytes]]:
    """Every row."""
    conn = connect_reader(path)
    try:
        return [tuple(row) for row in conn.execute("SELECT id, at, note FROM visit ORDER BY id")]
    finally:
        conn.close()


def write_row(conn: Connection, chance: random.Random, *, at: int = 0, size_bytes: int = 200) -> int:
    """One committed row; its id."""
    cursor = conn.execute("INSERT INTO visit (at, note) VALUES (?, ?)", (at, chance.randbytes(size_bytes)))
    return int(cursor.lastrowid or 0)


def start_replicator(
    node: Replicated,
    *,
    levels_s: Sequence[float] = (),
    faster: float = 1.0,
    through: Sequence[str] = (),
    **capture: float,
) -> subprocess.Popen[bytes]:
    """The replicator as a process of its own; its talk goes to home/replica.log.

    `levels_s` says how often each is made, `capture` other settings of it; `faster`, how much faster its hours pass.
    `through` is a command that becomes the one behind it, such as `ip netns exec NAME`.
    """
    wish = {"capture": capture | ({"level_every_s": levels_s} if levels_s else {}), "faster": faster}
    with (node.home / "replica.log").open("ab") as log:
        return subprocess.Popen(
            (*through, sys.executable, "-c", RUN, str(node.home), json.dumps(wish)),
            stdin=subprocess.DEVNULL,
            stderr=log,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal and reap; killed if it has not ended in time."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@contextmanager
def replicating(
    node: Replicated,
    *,
    levels_s: Sequence[float] = (),
    faster: float = 1.0,
    through: Sequence[str] = (),
    **capture: float,
) -> Iterator[subprocess.Popen[bytes]]:
    """A replicator that captures; ended on the way out."""
    process = start_replicator(node, levels_s=levels_s, faster=faster, through=through, **capture)
    try:
        until(lambda: node.state().get("litestream") == "running" and node.local_head() > 0, within_s=60)
        yield process
    finally:
        end(process)


@contextmanager
def writing(node: Replicated) -> Iterator[Connection]:
    """A connection for writing, as the HIS holds it."""
    conn = connect(node.his)
    try:
        yield conn
    finally:
        conn.close()
