"""One Litestream for a database, also behind the back of a supervisor that was killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from edge_node.base.errors import ServiceError
from edge_node.base.files import file_lock
from edge_node.replication import ltx
from edge_node.replication.supervisor import LitestreamState, Supervisor, lock_path
from tests.support import litestreams
from tests.support.handles import open_files
from tests.support.litestreams import soon
from tests.support.supervising import BOTH, IMPATIENT, supervised
from tests.support.waiting import until

RUNNING, STOPPED = LitestreamState.RUNNING, LitestreamState.STOPPED
SUPERVISING = """
import asyncio, sys
from pathlib import Path
from edge_node.replication.supervisor import Supervisor
from tests.support import litestreams

folder = Path(sys.argv[1])
one = Supervisor([litestreams.replicated(folder)], run_dir=folder / "run", program=Path(sys.argv[2]))
asyncio.run(one.run(asyncio.Event()))
"""


def pid_in(lock: Path) -> int | None:
    text = lock.read_text() if lock.exists() else ""
    return int(text) if text.endswith("\n") else None


def is_free(lock: Path) -> bool:
    try:
        with file_lock(lock, wait=False):
            return True
    except BlockingIOError:
        return False


def is_zombie(pid: int) -> bool:
    return ") Z " in Path(f"/proc/{pid}/stat").read_text()


def test_two_supervisors_never_replicate_one_database(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "real") as (one, database):
            await soon(lambda: one.state is RUNNING)
            other = Supervisor(
                [database],
                run_dir=tmp_path / "other",
                program=litestreams.program("real", tmp_path),
                patience=IMPATIENT,
            )
            with pytest.raises(ServiceError) as raised:
                await other.run(asyncio.Event())
            assert raised.value.code == "already-running"
            assert f"process {one.pid} " in str(raised.value.context)
            assert (one.state, other.state) == (RUNNING, STOPPED)

    asyncio.run(story())


def test_litestream_itself_holds_the_lock_so_that_an_orphan_still_does(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "real") as (one, database):
            await soon(lambda: one.state is RUNNING)
            assert lock_path(database.path) in open_files(one.pid)

    asyncio.run(story())


def test_one_litestream_also_where_its_lock_cannot_name_it(tmp_path: Path) -> None:
    """The disk of the data is full: whoever was started and then forgotten would replicate beside the next."""
    database = litestreams.replicated(tmp_path)
    litestreams.make_database(database)
    lock_path(database.path).symlink_to("/dev/full")

    async def story() -> None:
        async with supervised(tmp_path, "real") as (one, _):
            await soon(lambda: one.state is RUNNING)
            assert (one.restarts, one.reason) == (0, None)

    asyncio.run(story())


@BOTH
def test_litestream_dies_with_a_killed_supervisor_and_frees_the_database(kind: str, tmp_path: Path) -> None:
    database = litestreams.replicated(tmp_path)
    litestreams.make_database(database)
    argv = [sys.executable, "-c", SUPERVISING, str(tmp_path), str(litestreams.program(kind, tmp_path))]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as parent:
        try:
            pid = until(lambda: pid_in(lock_path(database.path)))
            # Beyond its first words: one that says nothing more does not notice that nobody listens.
            until(lambda: any(file.is_snapshot for file in ltx.scan(database.replica_path)))
            assert Path(f"/proc/{pid}").exists()
        finally:
            parent.kill()
    until(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid), within_s=5)
    until(lambda: is_free(lock_path(database.path)))
