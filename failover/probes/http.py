"""Asks an application through one line: connect, TLS where it has any, one request, and the first line of the answer.

For diagnosis: is what stands behind the line served by it? A status below 500 is an answer, whatever it says: whoever
refuses us lives. The certificate is not judged: an address is asked for, no name; nothing is told to the other side,
and nothing it says is used. What is sent is `GET` of one path, without any credential.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from failover.probes.outcome import Outcome, outcome_of
from failover.probes.pin import NotPermitted, Pin, pinned_stream

LONGEST_S = 4.0
HTTP_PORT, HTTPS_PORT = 80, 443

_SERVER_ERROR = 500
_LONGEST_LINE_BYTES = 4096
_LARGEST_REST_BYTES = 16 * 1024

Heard = Callable[[float, float], None]


def status_of(line: bytes) -> int | None:
    """The status of an answer's first line; `None` for what is none."""
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
        return None
    return int(words[1])


class HttpProbe:
    """Each question is a connection of its own, pinned like any probe. Raises NotPermitted or OSError."""

    def __init__(
        self,
        pin: Pin,
        address: str,
        port: int,
        path: str,
        heard: Heard,
        *,
        with_tls: bool,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._pin, self._address, self._heard, self._clock, self._loop = pin, (address, port), heard, clock, loop
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: edge-node\r\nConnection: close\r\n\r\n"
        ).encode("ascii")
        self._tls = _context() if with_tls else None
        self._longest_s = longest_s
        self._open: set[asyncio.Task[None]] = set()
        self.is_pinned = True
        self._opened().close()

    def ask(self, asked_at: float) -> Outcome | None:
        """Begin one question; what it proves if it could not leave."""
        try:
            sock = self._opened()
        except NotPermitted:
            return Outcome.BLIND
        except OSError as error:
            return outcome_of(error)
        task = self._loop.create_task(self._question(sock, asked_at))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return None

    def listen(self) -> None:
        """Answers come by themselves."""

    def close(self) -> None:
        for task in self._open:
            task.cancel()

    def _opened(self) -> socket.socket:
        sock, self.is_pinned = pinned_stream(self._pin)
        return sock

    async def _question(self, sock: socket.socket, asked_at: float) -> None:
        """Whatever goes wrong leaves the question unanswered."""
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            async with asyncio.timeout(self._longest_s):
                await self._converse(sock, asked_at)

    async def _converse(self, sock: socket.socket, asked_at: float) -> None:
        try:
            await self._loop.sock_connect(sock, self._address)
        except BaseException:
            sock.close()
            raise
        # From here on the socket is the transport's, which also closes it where the handshake fails.
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=self._tls, server_hostname="" if self._tls else None, limit=_LONGEST_LINE_BYTES
        )
        try:
            writer.write(self._request)
            status = status_of(await reader.readuntil(b"\n"))
            if status is not None and status < _SERVER_ERROR:
                self._heard(asked_at, self._clock() - asked_at)
            await reader.readexactly(_LARGEST_REST_BYTES)  # whoever is cut off in mid-sentence writes that to a log
        finally:
            writer.transport.abort()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
