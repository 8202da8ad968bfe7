"""A clock that jumps takes no restore point from the local replica: Litestream deletes nothing there.

Files whose times say that they are eight days old, to a Litestream that starts: the same as a clock set ahead by so
much. Litestream is a Go program, which no preloaded library can tell another time.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_node.base.process import clean_environment
from edge_node.replication import commands, litestream, ltx
from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from edge_node.replication.litestream import restore_from_files
from edge_node.replication.ltx import LtxFile
from tests.support import litestreams
from tests.support.waiting import until

DAYS_AHEAD_S = 8 * 86_400
# A clinic's limits; only the steps are those of a test in a hurry.
HURRIED = CaptureSettings(
    sync_every_s=0.1, level_every_s=(0.5, 1.0, 2.0), snapshot_every_s=2.0, captures_check_every_s=0.3, shutdown_sync_s=1
)


@contextmanager
def running(folder: Path, text: str) -> Iterator[Path]:
    """Litestream with this configuration; what it says goes to the file."""
    folder.mkdir(exist_ok=True)
    (folder / "litestream.yml").write_text(text)
    log = folder / "litestream.log"
    argv = ("setpriv", "--pdeathsig", "KILL", *commands.replicate_argv(litestream.binary(), "litestream.yml"))
    with log.open("wb") as said:
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stderr=said, env=clean_environment())
    try:
        yield log
    finally:
        process.terminate()
        process.wait(30)


def snapshots(database: ReplicatedDb) -> int:
    return len(ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL))


def a_history(database: ReplicatedDb, run: Path, text: str) -> dict[int, list[str]]:
    """Some seconds of work; what the database said at the TXID of each snapshot."""
    litestreams.make_database(database)
    with running(run, text), litestreams.writing(database) as write:
        began = snapshots(database)
        number = 0
        while snapshots(database) < began + 3:
            write(f"note {number}")
            number += 1
            time.sleep(0.05)
    states = {}
    for file in ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL):
        to = run / f"{file.max_txid}.db"
        restore_from_files(database.replica_path, to, txid=file.max_txid)
        states[file.max_txid] = litestreams.notes(to)
    return states


def make_old(database: ReplicatedDb) -> list[LtxFile]:
    for path in database.replica_path.rglob("*.ltx"):
        at_s = path.stat().st_mtime - DAYS_AHEAD_S
        os.utime(path, (at_s, at_s))
    return ltx.scan(database.replica_path)


def judged(database: ReplicatedDb, run: Path, text: str) -> set[LtxFile]:
    """Which files are left when Litestream has looked for old captures and for old snapshots."""
    with running(run, text) as log, litestreams.writing(database) as write:
        began = ltx.head(ltx.scan(database.replica_path))
        # It judges the snapshots after each one that it makes: the second says that the first judgement is over.
        for _ in range(2):
            made = ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL)[-1]
            write("later")
            until(
                lambda made=made: ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL)[-1] != made,  # type: ignore[misc]
                within_s=30,
            )
        until(lambda: "l0 retention enforced" in log.read_text(), within_s=30)
        assert ltx.head(ltx.scan(database.replica_path)) > began
    return set(ltx.scan(database.replica_path))


@pytest.mark.parametrize("whose", ["ours", "its-own"])
def test_litestream_deletes_nothing_by_the_clock(tmp_path: Path, whose: str) -> None:
    database = litestreams.replicated(tmp_path)
    text = commands.litestream_yaml([database], socket="litestream.sock", settings=HURRIED)
    retention = f"retention: {json.dumps({'enabled': False})}\n"
    assert retention in text
    states = a_history(database, tmp_path / "run", text)
    old = make_old(database)
    left = judged(database, tmp_path / "run", text if whose == "ours" else text.replace(retention, ""))
    gone = set(old) - left
    if whose == "its-own":
        # The control: what the same Litestream does where it is not told.
        assert {0, ltx.SNAPSHOT_LEVEL} <= {file.level for file in gone}
        return
    assert not gone
    for txid, notes in states.items():
        to = tmp_path / f"back-{txid}.db"
        restore_from_files(database.replica_path, to, txid=txid)
        assert litestreams.notes(to) == notes
    # Its own folder does not grow for ever.
    assert len(ltx.scan_level(database.meta_path, 0)) < len([file for file in old if file.level == 0])
