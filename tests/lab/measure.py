"""What a line does to traffic, measured from here through sockets that belong to a namespace."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.namespace import Namespace

PORT = 7000
_ECHO, _HEADER = 8, struct.Struct("!BBHHHd")
_STAMP_BYTES = 8
# linux/in.h: set Don't Fragment, and believe nobody about the path's MTU.
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Echoes:
    """Pings that were sent, those that came back, and how long these took, in order of sending."""

    sent: int
    rtts_s: tuple[float, ...]

    @property
    def loss_ratio(self) -> float:
        return 1 - len(self.rtts_s) / self.sent


def ping(
    space: Namespace,
    address: str,
    *,
    count: int = 20,
    interval_s: float = 0.01,
    size_bytes: int = 56,
    wait_s: float = 0.3,
) -> Echoes:
    """Ping from a namespace; never fragmented. `wait_s` is how long the last one is waited for.

    What cannot be sent at all (no route, too long for the device) is lost, as what nobody answers is.
    """
    rtts: dict[int, float] = {}
    padding = bytes(max(0, size_bytes - _STAMP_BYTES))
    with space.socket(socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)

        def listen(until_s: float) -> None:
            while (left_s := until_s - time.monotonic()) > 0 and len(rtts) < count:
                if select.select([sock], [], [], left_s)[0]:
                    with contextlib.suppress(OSError):
                        packet, arrived_s = sock.recv(65_536), time.monotonic()
                        *_, number, sent_s = _HEADER.unpack_from(packet)
                        rtts[number] = arrived_s - sent_s

        began_s = time.monotonic()
        for number in range(count):
            with contextlib.suppress(OSError):
                sock.sendto(_HEADER.pack(_ECHO, 0, 0, 0, number, time.monotonic()) + padding, (address, 0))
            listen(began_s + (number + 1) * interval_s)
        listen(time.monotonic() + wait_s)
    return Echoes(sent=count, rtts_s=tuple(rtts[number] for number in sorted(rtts)))


@contextlib.contextmanager
def sink(space: Namespace, address: str, port: int = PORT) -> Iterator[None]:
    """A server that takes whatever is poured into it, one connection after the other, and says how much that was."""
    with space.socket(socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        thread = threading.Thread(target=_swallow, args=(server,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _swallow(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.settimeout(2)
            total = 0
            while data := connection.recv(65_536):
                total += len(data)
            connection.sendall(str(total).encode())


def pour(space: Namespace, address: str, port: int = PORT, *, size_bytes: int, within_s: float) -> tuple[int, float]:
    """Upload over TCP; how many bytes have arrived by the far end's word, and after how many seconds."""
    began_s, arrived = time.monotonic(), 0
    with space.socket(socket.SOCK_STREAM) as sock, contextlib.suppress(OSError):
        sock.settimeout(within_s)
        sock.connect((address, port))
        sock.sendall(bytes(size_bytes))
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(max(0.01, within_s - (time.monotonic() - began_s)))
        arrived = int(sock.recv(32) or 0)
    return arrived, time.monotonic() - began_s
