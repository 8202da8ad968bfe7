"""A thousand packets a second each way between the clinic's own address and the cloud, and which of them arrived.

Neither end waits for the other: what the cloud sends is no answer. It leaves by the line that the clinic's newest
packet came by, as the far end of a node does it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from tests.lab.topology import SERVICE_IP, TARGETS, Laboratory
from tests.support.waiting import until

PORT = 7200
_EVERY_S = 0.001
_LAST_ARRIVES_WITHIN_S = 0.5
_NUMBER = struct.Struct("!I60x")


@dataclass
class Way:
    """One direction: when each packet left, and which arrived. `errors` are sends that the kernel refused."""

    name: str
    sends: socket.socket
    hears: socket.socket
    sent_at: list[float] = field(default_factory=list)
    arrived: set[int] = field(default_factory=set)
    errors: int = 0

    def send(self) -> None:
        try:
            self.sends.send(_NUMBER.pack(len(self.sent_at)))
        except OSError:
            self.errors += 1
        self.sent_at.append(time.monotonic())

    def hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    self.arrived.add(_NUMBER.unpack(self.hears.recv(_NUMBER.size))[0])
                except ConnectionRefusedError:
                    self.errors += 1

    def lost(self) -> list[int]:
        return [number for number in range(len(self.sent_at)) if number not in self.arrived]


class BothWays:
    """The two streams; the service IP must be on lo."""

    def __init__(self, lab: Laboratory) -> None:
        self._clinic = lab.clinic.within(lambda: _opened(SERVICE_IP, TARGETS[0]))
        self._cloud = lab.cloud.within(lambda: _opened(TARGETS[0], SERVICE_IP))
        self.out = Way("to the cloud", self._clinic, self._cloud)
        self.back = Way("to the clinic", self._cloud, self._clinic)
        self._over, self._thread = threading.Event(), threading.Thread(target=self._run)

    @property
    def ways(self) -> tuple[Way, Way]:
        return self.out, self.back

    def __enter__(self) -> BothWays:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._clinic.close()
        self._cloud.close()

    def go_on(self, packets: int) -> int:
        """Wait until so many more have left each way; how many have by then."""
        before = len(self.out.sent_at)
        until(lambda: len(self.back.sent_at) > before + packets)
        return len(self.back.sent_at)

    def lost(self) -> int:
        return sum(len(way.lost()) for way in self.ways)

    def errors(self) -> int:
        return sum(way.errors for way in self.ways)

    def told(self) -> str:
        return ", ".join(
            f"{way.name} {len(way.sent_at)} sent, {len(way.lost())} lost, {way.errors} errors" for way in self.ways
        )

    def _run(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.is_set():
            for way in self.ways:
                way.send()
            for way in self.ways:
                way.hear()
            number += 1
            time.sleep(max(0.0, began + number * _EVERY_S - time.monotonic()))
        end = time.monotonic() + _LAST_ARRIVES_WITHIN_S
        while time.monotonic() < end and self.lost():
            for way in self.ways:
                way.hear()
            time.sleep(0.01)


def _opened(own: str, other: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((own, PORT))
    sock.connect((other, PORT))
    return sock
