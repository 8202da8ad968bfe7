"""ICMP echo through one line.

A datagram socket needs no privilege where `net.ipv4.ping_group_range` allows it, and the kernel hands each socket its
own replies only; a raw socket is the fallback for whoever may open one. The kernel's receive time makes the round trip
independent of when this program reads the answer, so answers may wait until somebody wants to judge; it is wall time,
so it is believed only if the wall clock was not set meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from failover.probes.outcome import Outcome, outcome_of
from failover.probes.pin import NotPermitted, Pin, pin_socket

KEEP_S = 10.0  # an answer that comes later than this is not ours any more: the sequence number comes round again
STEP_S = 0.005  # the two clocks part by less than this within a round trip unless somebody sets one

_SO_TIMESTAMPNS = 35
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_HEADER = struct.Struct("!BBHHH")
_TIMESPEC = struct.Struct("qq")
_SOL_RAW, _ICMP_FILTER = 255, 1
_ONLY_REPLIES = struct.pack("I", ~(1 << _ECHO_REPLY) & 0xFFFFFFFF)
_NONCE_BYTES = 8
_READ_AT_ONCE = 256  # of a flood the rest is read at the next turn
_PADDING = bytes(24)

Heard = Callable[[float, float], None]


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks."""

    boot: float
    wall: float


def round_trip_s(asked: Stamp, arrived_wall: float | None, read: Stamp) -> float:
    """From the question to the answer's arrival in the kernel; to its reading where the wall clock was set between."""
    whole = read.boot - asked.boot
    if arrived_wall is None or abs((read.wall - asked.wall) - whole) > STEP_S:
        return max(0.0, whole)
    return min(max(0.0, arrived_wall - asked.wall), max(0.0, whole))


def checksum(data: bytes) -> int:
    """RFC 1071; `data` is of even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_request(ident: int, sequence: int, payload: bytes) -> bytes:
    bare = _HEADER.pack(_ECHO_REQUEST, 0, 0, ident, sequence) + payload
    return _HEADER.pack(_ECHO_REQUEST, 0, checksum(bare), ident, sequence) + payload


def reply_sequence(packet: bytes, nonce: bytes) -> int | None:
    """The sequence number of a reply to a question with this nonce; `None` for anything else."""
    if len(packet) < _HEADER.size + _NONCE_BYTES:
        return None
    kind, code, _, _, sequence = _HEADER.unpack_from(packet)
    if (kind, code) != (_ECHO_REPLY, 0) or packet[_HEADER.size : _HEADER.size + _NONCE_BYTES] != nonce:
        return None
    return int(sequence)


def without_ip_header(packet: bytes) -> bytes:
    """What a raw socket gives, from the ICMP header on."""
    return packet[(packet[0] & 0x0F) * 4 :] if packet else packet


class IcmpProbe:
    """Asks one target through one line. Raises NotPermitted or OSError when it cannot be opened."""

    def __init__(
        self, pin: Pin, target: str, heard: Heard, *, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._target, self._heard, self._clock, self._wall = target, heard, clock, wall
        self._ident = secrets.randbelow(0x10000)
        self._nonce = secrets.token_bytes(_NONCE_BYTES)
        self._sequence = 0
        self._open: dict[int, Stamp] = {}
        self._socket, self._is_raw = open_socket()
        try:
            self.is_pinned = pin_socket(self._socket, pin)
            self._socket.connect((target, 0))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, asked_at: float) -> Outcome | None:
        """Send one question; what it proves if it could not leave."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        packet = echo_request(self._ident, self._sequence, self._nonce + _PADDING)
        self._forget(asked_at - KEEP_S)
        stamp = Stamp(asked_at, self._wall())
        try:
            try:
                self._socket.send(packet)
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.ENXIO):
                    raise
                # An ICMP error about an earlier question is reported by the next call, which then has sent nothing.
                self._socket.send(packet)
        except OSError as error:
            return outcome_of(error)
        self._open[self._sequence] = stamp
        return None

    def listen(self) -> None:
        """Read the answers that are there."""
        for _ in range(_READ_AT_ONCE):
            try:
                packet, ancillary, _, source = self._socket.recvmsg(512, 64)
            except BlockingIOError:
                return
            except OSError:
                continue  # a router's word about a question; the question stays unanswered
            if source[0] != self._target:
                continue
            sequence = reply_sequence(without_ip_header(packet) if self._is_raw else packet, self._nonce)
            asked = self._open.pop(sequence, None) if sequence is not None else None
            if asked is not None:
                read = Stamp(self._clock(), self._wall())
                self._heard(asked.boot, round_trip_s(asked, _arrival(ancillary), read))

    def close(self) -> None:
        self._socket.close()

    def _forget(self, before: float) -> None:
        while self._open and next(iter(self._open.values())).boot < before:
            del self._open[next(iter(self._open))]


def open_socket() -> tuple[socket.socket, bool]:
    """A datagram socket, else a raw one (true). Raises NotPermitted."""
    try:
        return _prepared(socket.SOCK_DGRAM), False
    except PermissionError:
        pass
    try:
        sock = _prepared(socket.SOCK_RAW)
    except PermissionError as error:
        raise NotPermitted("icmp") from error
    with contextlib.suppress(OSError):  # it only saves the work of throwing away what is no reply
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, _ONLY_REPLIES)
    return sock, True


def _prepared(kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return sock


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return None


def is_permitted() -> bool:
    """May this process ask by ICMP at all?"""
    try:
        sock, _ = open_socket()
    except NotPermitted:
        return False
    os.close(sock.detach())
    return True
