"""Many at once, large ones, and what is given up: rates are kept, and nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge_node.replication.bandwidth import Lane
from edge_node.replication.destination import Destination, DestinationFailed
from edge_node.replication.pace import Pace, Upload
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer
from tests.support.ltx_files import write_ltx
from tests.support.s3 import BUCKET, S3Server, s3_server
from tests.support.slow_link import slow_link

T = TypeVar("T")


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("rclone"), "rclone") as running:
        yield running


def opened(
    access: S3Access, use: Callable[[Destination], Coroutine[Any, Any, T]], *, bandwidth_bits: int | None = None
) -> T:
    async def run() -> T:
        cloud = Destination("cloud", f"s3://{BUCKET}/edge/copies", Sealer(()), s3=access, bandwidth_bits=bandwidth_bits)
        try:
            await cloud.open(known=False)
            return await use(cloud)
        finally:
            await cloud.close()

    return asyncio.run(run())


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def busy_threads() -> int:
    """Those that do blocking work for a destination."""
    return sum(thread.name == "destination" for thread in threading.enumerate())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_many_puts_that_hang_leave_nothing_behind(tmp_path: Path) -> None:
    paths = [write_ltx(tmp_path / "replica", 0, n, n) for n in range(2, 42)]

    async def use(cloud: Destination) -> list[str]:
        await cloud.send("h/0000/first.ltx", write_ltx(tmp_path / "replica", 0, 1, 1))
        before = open_files()
        server.freeze()
        sending = [cloud.send(f"h/0000/{path.name}", path, Lane.HISTORY) for path in paths[:32]]
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert all(isinstance(result, DestinationFailed) for result in results)
        await until(lambda: busy_threads() == 0)
        server.thaw()
        await cloud.open(known=True)
        todo = paths
        async with asyncio.timeout(20):
            while todo:
                # What timed out lands now, beside what is sent again: this server answers some of that with 500.
                sending = [cloud.send(f"h/0000/{path.name}", path, Lane.HISTORY) for path in todo]
                results = await asyncio.gather(*sending, return_exceptions=True)
                todo = [path for path, result in zip(todo, results, strict=True) if isinstance(result, Exception)]
        await cloud.open(known=True)
        await until(lambda: open_files() <= before + 2)
        return [item.key for item in await cloud.list("h")]

    with s3_server(tmp_path / "rclone", "rclone") as server:
        assert len(opened(server.access(), use)) == 41


def test_a_bandwidth_is_kept_and_the_frontier_goes_first(rclone: S3Server, tmp_path: Path) -> None:
    history = [write_ltx(tmp_path / "replica", 1, n, n, content=os.urandom(50_000)) for n in range(1, 21)]
    newest = write_ltx(tmp_path / "replica", 0, 99, 99, content=os.urandom(10_000))

    async def use(cloud: Destination) -> tuple[float, float]:
        await cloud.put_new("b/0001/first", b"x")  # Two that make a folder at once: this server answers one with 500.
        began = time.monotonic()
        sending = [asyncio.create_task(cloud.send(f"b/0001/{path.name}", path, Lane.HISTORY)) for path in history]
        await asyncio.sleep(0.3)
        asked = time.monotonic()
        await cloud.send("b/0000/newest.ltx", newest, Lane.FRONTIER)
        waited_s = time.monotonic() - asked
        await asyncio.gather(*sending)
        return waited_s, time.monotonic() - began

    waited_s, took_s = opened(rclone.access(), use, bandwidth_bits=2_000_000)
    assert waited_s < 0.5
    # 1 MB at 250 kB/s, of which the first second's was saved up.
    assert 2.5 < took_s < 6


def test_a_large_object_keeps_to_the_bandwidth(rclone: S3Server, tmp_path: Path) -> None:
    path = write_ltx(tmp_path / "replica", 9, 1, 5, content=os.urandom(5_000_000))

    async def use(cloud: Destination) -> float:
        began = time.monotonic()
        assert (await cloud.send("large/0009/x.ltx", path, Lane.SNAPSHOT)).created
        return time.monotonic() - began

    # 5 MB at 1 MB/s; what a second's silence saved up goes at once, and the last piece is not waited for.
    assert 2.5 < opened(rclone.access(), use, bandwidth_bits=8_000_000) < 8


def test_a_large_upload_that_is_given_up_leaves_no_thread_and_no_object(rclone: S3Server, tmp_path: Path) -> None:
    path = write_ltx(tmp_path / "replica", 9, 1, 5, content=os.urandom(20_000_000))

    async def use(cloud: Destination) -> list[str]:
        await until(lambda: busy_threads() == 0)  # the one that read the key
        sending = asyncio.create_task(cloud.send("given-up/0009/x.ltx", path, Lane.SNAPSHOT))
        await until(lambda: busy_threads() == 1)
        await asyncio.sleep(0.5)  # it is waiting for its turn, a megabyte at 50 kB/s
        sending.cancel()
        await asyncio.wait({sending})
        await until(lambda: busy_threads() == 0)
        return [item.key for item in await cloud.list("given-up")]

    assert opened(rclone.access(), use, bandwidth_bits=400_000) == []


def test_a_large_download_that_is_given_up_leaves_no_thread(rclone: S3Server, tmp_path: Path) -> None:
    path, to = write_ltx(tmp_path / "replica", 9, 1, 5, content=os.urandom(20_000_000)), tmp_path / "back.ltx"

    async def use(cloud: Destination) -> None:
        await cloud.send("large-download/0009/x.ltx", path, Lane.SNAPSHOT)
        (item,) = await cloud.list("large-download")
        await until(lambda: busy_threads() == 0)
        with slow_link(rclone.port, 0.0, bytes_per_s=2_000_000) as port:
            thin = Destination("thin", f"s3://{BUCKET}/edge/copies", Sealer(()), s3=through(rclone, port))
            await thin.open_to_read()
            fetching = asyncio.create_task(thin.fetch(item, to, None))
            await until(lambda: to.exists() and to.stat().st_size > 0, within_s=30)
            fetching.cancel()
            await asyncio.wait({fetching})
            await until(lambda: busy_threads() == 0)
            await thin.close()
        assert to.stat().st_size < item.size_bytes

    opened(rclone.access(), use)


@pytest.mark.alone
def test_a_large_upload_over_a_thin_line_tells_how_long_it_takes(rclone: S3Server, tmp_path: Path) -> None:
    path = write_ltx(tmp_path / "replica", 9, 1, 5, content=os.urandom(45_000_000))
    size_bytes = path.stat().st_size

    async def use(_: Destination) -> tuple[float, list[tuple[float, float]]]:
        with slow_link(rclone.port, 0.04, bytes_per_s=3_000_000) as port:
            thin = Destination("thin", f"s3://{BUCKET}/edge/copies", Sealer(()), s3=through(rclone, port))
            await thin.open(known=False)
            upload, told = Upload(began_s=time.monotonic()), []
            key, handed = "thin/0009/x.ltx", lambda size: upload.took(size, now_s=time.monotonic())
            sending = asyncio.create_task(thin.send(key, path, Lane.SNAPSHOT, handed=handed))
            while not sending.done():
                now_s = time.monotonic()
                if (left_s := Pace().left_s(size_bytes, upload, now_s=now_s)) is not None:
                    told.append((now_s, left_s))
                await asyncio.sleep(0.1)
            await sending
            await thin.close()
            return time.monotonic(), told

    ended_s, told = opened(rclone.access(), use)
    wrong_s = sorted(abs(left_s - (ended_s - at_s)) for at_s, left_s in told)
    assert told and wrong_s[len(wrong_s) // 2] < 5, (ended_s, told)


def through(server: S3Server, port: int) -> S3Access:
    return replace(server.access(), endpoint=f"http://127.0.0.1:{port}")


ENDS_AT_ONCE = """
import asyncio, sys
from pathlib import Path
from edge_node.replication.destination import Destination
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer

async def run():
    access = S3Access(endpoint=sys.argv[1], credential=Path(sys.argv[2]))
    cloud = Destination("cloud", "s3://clinic-copies/edge", Sealer(()), s3=access)
    await cloud.open(known=True)
    asked = [asyncio.create_task(cloud.list("claims")) for _ in range(8)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await cloud.close()

asyncio.run(run())
"""


def test_a_process_that_ends_while_answers_arrive_ends_well(rclone: S3Server) -> None:
    """Without a last wait five of sixty aborted: the client's threads still held what belongs to the interpreter."""
    access = rclone.access()
    for _ in range(6):
        done = subprocess.run(
            (sys.executable, "-c", ENDS_AT_ONCE, rclone.endpoint, str(access.credential)),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
