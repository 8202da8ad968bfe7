"""A TCP relay on loopback that delays what passes, each way by half a round trip; a process of its own.

`python -m tests.support.slow_link LISTEN_PORT TO_PORT ROUND_TRIP_S`. Bytes keep their order and are not slowed beyond
the delay: a long line, not a thin one.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.s3 import free_port
from tests.support.waiting import until

_CHUNK_BYTES = 1 << 16


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Every chunk leaves `delay_s` after it came; the end of the stream, too."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def leave() -> None:
        while True:
            at, chunk = await waiting.get()
            await asyncio.sleep(at - loop.time())
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()

    leaving = asyncio.create_task(leave())
    try:
        chunk = b"-"
        while chunk:
            chunk = await reader.read(_CHUNK_BYTES)
            waiting.put_nowait((loop.time() + delay_s, chunk))
        await leaving
    except OSError:
        leaving.cancel()
    finally:
        writer.close()


async def _serve(listen: int, to: int, round_trip_s: float) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(
            _pass_on(reader, far_writer, round_trip_s / 2), _pass_on(far_reader, writer, round_trip_s / 2)
        )

    server = await asyncio.start_server(accepted, "127.0.0.1", listen)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def slow_link(to: int, round_trip_s: float) -> Iterator[int]:
    """A relay to a port of this machine; the port that it listens on. It dies with this process."""
    port = free_port()
    process = subprocess.Popen(
        ("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", __name__, str(port), str(to), str(round_trip_s)),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = process.stdout
    try:
        until(lambda: said.readline() == b"ready\n" or process.poll() is not None)
        assert process.poll() is None
        yield port
    finally:
        process.kill()
        process.wait()
        said.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
