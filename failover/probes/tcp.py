"""A TCP handshake through one line, for targets that do not answer ICMP.

The round trip is the time of the handshake. A refusal (RST) is an answer too: the host lives, and so does the line.
A question ends before the kernel would ask again by itself, since a second SYN would hide the loss of the first. The
connection is reset at once, so that no socket lingers for a minute at either side.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

from failover.probes.outcome import Outcome, outcome_of
from failover.probes.pin import NotPermitted, Pin, pinned_stream

LONGEST_S = 0.95  # the kernel sends a second SYN after one second

_RTT_OFFSET, _TCP_INFO_BYTES = 68, 104

Heard = Callable[[float, float], None]


class TcpProbe:
    """Asks one target through one line; each question is a connection of its own, pinned like any probe."""

    def __init__(
        self,
        pin: Pin,
        target: str,
        port: int,
        heard: Heard,
        *,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._pin, self._address, self._heard, self._clock, self._loop = pin, (target, port), heard, clock, loop
        self._longest_s = min(longest_s, LONGEST_S)
        self._open: dict[socket.socket, tuple[float, asyncio.TimerHandle]] = {}
        self.is_pinned = True
        self._opened().close()

    def ask(self, asked_at: float) -> Outcome | None:
        """Begin one handshake; what it proves if it could not leave."""
        try:
            sock = self._opened()
        except NotPermitted:
            return Outcome.BLIND
        except OSError as error:
            return outcome_of(error)
        code = sock.connect_ex(self._address)
        if code not in (0, errno.EINPROGRESS, errno.ECONNREFUSED):
            sock.close()
            return outcome_of(OSError(code, ""))
        self._open[sock] = asked_at, self._loop.call_later(self._longest_s, self._drop, sock)
        self._loop.add_writer(sock, self._ready, sock)
        return None

    def listen(self) -> None:
        """Answers come by themselves."""

    def close(self) -> None:
        for sock in list(self._open):
            self._drop(sock)

    def _opened(self) -> socket.socket:
        sock, self.is_pinned = pinned_stream(self._pin)
        return sock

    def _ready(self, sock: socket.socket) -> None:
        asked_at, _ = self._open[sock]
        took_s = self._clock() - asked_at
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error == 0:
            took_s = min(took_s, _kernel_rtt_s(sock) or took_s)
        self._drop(sock)
        if error in (0, errno.ECONNREFUSED):
            self._heard(asked_at, took_s)

    def _drop(self, sock: socket.socket) -> None:
        _, deadline = self._open.pop(sock)
        deadline.cancel()
        self._loop.remove_writer(sock)
        sock.close()


def _kernel_rtt_s(sock: socket.socket) -> float | None:
    """The kernel's own measure of the handshake, which does not depend on when this program was scheduled."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(info) < _RTT_OFFSET + 4:
        return None
    microseconds = int(struct.unpack_from("=I", info, _RTT_OFFSET)[0])
    return microseconds / 1e6 if microseconds else None
