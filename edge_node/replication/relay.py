"""Leads an HTTP client to addresses that are given, so that no name needs to be resolved.

The client knows of no resolver but the system's, and cannot be handed addresses. It knows proxies: this is one, on
loopback and inside this process. TLS goes through it untouched, so that the certificate is still checked against the
name. The addresses are tried a moment after each other; the first that answers is taken, and tried first next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence

# The client's own limit for a connection is 2 s: ours must say why before it is reached.
CONNECT_TIMEOUT_S = 1.8
NEXT_ADDRESS_AFTER_S = 0.3
REQUEST_TIMEOUT_S = 5.0
PIECE_BYTES = 64 * 1024


class Relay:
    """A proxy that knows one way. `failure` says why the newest connection could not be made; None when it could."""

    def __init__(self, addresses: Sequence[str], port: int) -> None:
        self._addresses = list(addresses)
        self._port = port
        self._server: asyncio.Server | None = None
        self._served: set[asyncio.Task[None]] = set()
        self.failure: str | None = None

    async def start(self) -> str:
        """Listen, if it does not yet; the URL to give to the client as its proxy."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=PIECE_BYTES)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening, and cut what is connected."""
        if self._server is not None:
            self._server.close()
        for task in list(self._served):
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            answers, there = await self._connect()
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there.write(head)
            one = asyncio.create_task(_copy(reader, there))
            other = asyncio.create_task(_copy(answers, writer))
            try:
                # Either side's end is the end of both: HTTP has no half of a connection.
                await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                one.cancel()
                other.cancel()
                await asyncio.gather(one, other, return_exceptions=True)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            return  # The client sees its connection close, and asks `failure` why.
        finally:
            for side in (writer, there):
                if side is not None:
                    side.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The first connection that can be made to any of the addresses. Raises OSError or TimeoutError."""
        tries = [asyncio.create_task(self._try(address, n)) for n, address in enumerate(self._addresses)]
        failures: list[str] = []
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                for done in asyncio.as_completed(tries):
                    try:
                        address, reader, writer = await done
                    except OSError as error:
                        failures.append(os.strerror(error.errno).lower() if error.errno else str(error))
                        continue
                    self._addresses.sort(key=lambda known: known != address)
                    self.failure = None
                    return reader, writer
        except TimeoutError:
            self.failure = f"no connection to {', '.join(self._addresses)} within {CONNECT_TIMEOUT_S:g} s"
            raise
        finally:
            for task in tries:
                task.cancel()
            for left in await asyncio.gather(*tries, return_exceptions=True):
                if not isinstance(left, BaseException) and left[0] != self._addresses[0]:
                    left[2].close()  # A second address answered in the same moment.
        self.failure = f"{', '.join(self._addresses)}: {'; '.join(sorted(set(failures)))}"
        raise OSError(self.failure)

    async def _try(self, address: str, n: int) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        await asyncio.sleep(n * NEXT_ADDRESS_AFTER_S)
        reader, writer = await asyncio.open_connection(address, self._port, limit=PIECE_BYTES)
        return address, reader, writer


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
