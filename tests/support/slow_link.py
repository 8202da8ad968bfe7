"""A TCP relay on loopback that delays what passes, each way by half a round trip; a process of its own.

`python -m tests.support.slow_link LISTEN_PORT TO_PORT ROUND_TRIP_S [BYTES_PER_S]`. Bytes keep their order. With a rate
it is a thin line as well: all connections share it each way, and little of what waits is taken from the sender.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.s3 import free_port
from tests.support.waiting import until

_CHUNK_BYTES = 1 << 16
# Of a thin line: as fine as connections take turns, and what waits at most in each (the kernel's buffers beside).
_THIN_CHUNK_BYTES, _THIN_CHUNKS, _THIN_BUFFER_BYTES = 1 << 12, 32, 1 << 15


class _Way:
    """One direction: when the next chunk may leave."""

    def __init__(self, delay_s: float, bytes_per_s: float | None) -> None:
        self._delay_s, self._bytes_per_s = delay_s, bytes_per_s
        self._free_at = 0.0

    @property
    def chunk_bytes(self) -> int:
        return _CHUNK_BYTES if self._bytes_per_s is None else _THIN_CHUNK_BYTES

    def queue(self) -> asyncio.Queue[tuple[float, bytes]]:
        return asyncio.Queue(0 if self._bytes_per_s is None else _THIN_CHUNKS)

    def leaves_at(self, now: float, chunk: bytes) -> float:
        if self._bytes_per_s is not None:
            self._free_at = max(now, self._free_at) + len(chunk) / self._bytes_per_s
            now = self._free_at
        return now + self._delay_s


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _Way) -> None:
    """Every chunk leaves when its way lets it; the end of the stream, too."""
    loop = asyncio.get_running_loop()
    waiting = way.queue()

    async def take() -> None:
        chunk = b"-"
        while chunk:
            chunk = await reader.read(way.chunk_bytes)
            await waiting.put((way.leaves_at(loop.time(), chunk), chunk))

    async def leave() -> None:
        while True:
            at, chunk = await waiting.get()
            await asyncio.sleep(at - loop.time())
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()

    try:
        # Who takes ends with who passes on: nobody else would ever empty the queue.
        async with asyncio.TaskGroup() as group:
            group.create_task(take())
            group.create_task(leave())
    except* OSError:
        pass  # One side is gone; the other hears of it by the close.
    finally:
        writer.close()


async def _serve(listen: int, to: int, round_trip_s: float, bytes_per_s: float | None) -> None:
    up, down = (_Way(round_trip_s / 2, bytes_per_s) for _ in range(2))
    live: set[asyncio.Task[None] | None] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.transport.abort()
            return
        # The loop itself holds its tasks weakly, and one that waits for nobody else is collected in mid-course.
        task = asyncio.current_task()
        live.add(task)
        try:
            await asyncio.gather(_pass_on(reader, far_writer, up), _pass_on(far_reader, writer, down))
        finally:
            live.discard(task)

    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bytes_per_s is not None:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _THIN_BUFFER_BYTES)
        # Segments of a cable's size: loopback's are larger than this buffer, and a window that opens by less than one
        # is not told; the sender then waits for its own probes, and gives up after 30 s without a byte (reqwest).
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)
    door.bind(("127.0.0.1", listen))
    server = await asyncio.start_server(accepted, sock=door, limit=1 << (12 if bytes_per_s else 16))
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def slow_link(
    to: int, round_trip_s: float, *, bytes_per_s: float | None = None, port: int | None = None
) -> Iterator[int]:
    """A relay to a port of this machine; the port that it listens on. It dies with this process."""
    port = port or free_port()
    arguments = (port, to, round_trip_s, *(() if bytes_per_s is None else (bytes_per_s,)))
    process = subprocess.Popen(
        ("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", __name__, *map(str, arguments)),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = process.stdout
    try:
        until(lambda: said.readline() == b"ready\n" or process.poll() is not None)
        assert process.poll() is None
        yield port
    except BaseException as error:
        # A relay that has died looks like a store that refuses.
        error.add_note(f"the relay on port {port} has ended with {process.poll()} (None: it lives)")
        raise
    finally:
        process.kill()
        process.wait()
        said.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        rate = float(sys.argv[4]) if len(sys.argv) > 4 else None
        asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), rate))
