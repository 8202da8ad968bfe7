"""What the kernel adds to a datagram, and what it says of its own clock: names that Python's socket module lacks."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from failover.probes.stamp_packet import ErrorEstimate

SO_TIMESTAMPNS = 35
IP_RECVERR = 11
IP_RECVTOS = 13
IP_TOS = 1
IP_TTL = 2
IP_RECVTTL = 12
IP_PKTINFO = 8
MSG_ERRQUEUE = 0x2000

# Room for a timestamp, a TTL, a class of service, an address and an error, with their headers.
ANCILLARY_BYTES = 256

_TIMESPEC = struct.Struct("@qq")
_PKTINFO = struct.Struct("=i4s4s")
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_STA_UNSYNC = 0x40
_TIME_ERROR = 5
# What an undisciplined clock may be off is anybody's guess: the kernel's own upper limit.
_UNKNOWN_ERROR_S = 16.0

Ancillary = Iterable[tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What the kernel noted when a datagram came in. `None` where it noted nothing."""

    at_ns: int | None = None  # the wall clock
    ttl: int | None = None
    tos: int | None = None
    to: bytes | None = None  # the address of ours that it was sent to
    errno: int | None = None  # of a message from the error queue


def arrival(ancillary: Ancillary) -> Arrival:
    """The kernel's notes in the ancillary data of one recvmsg."""
    at_ns = ttl = tos = to = errno = None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, ns = _TIMESPEC.unpack_from(data)
            at_ns = seconds * 1_000_000_000 + ns
        elif level == socket.IPPROTO_IP and kind == IP_TTL:
            ttl = int.from_bytes(data[:4], sys.byteorder)
        elif level == socket.IPPROTO_IP and kind == IP_TOS:
            tos = data[0]
        elif level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) >= _PKTINFO.size:
            _, to, _ = _PKTINFO.unpack_from(data)
        elif level == socket.IPPROTO_IP and kind == IP_RECVERR and len(data) >= _EXTENDED_ERROR.size:
            errno = _EXTENDED_ERROR.unpack_from(data)[0]
    return Arrival(at_ns=at_ns, ttl=ttl, tos=tos, to=to, errno=errno)


def from_address(address: bytes, tos: int) -> list[tuple[int, int, bytes]]:
    """Ancillary data for sendmsg: answer from the address that was asked, in the class of service of the question."""
    return [
        (socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, address, bytes(4))),
        (socket.IPPROTO_IP, IP_TOS, struct.pack("=i", tos)),
    ]


class _Timex(ctypes.Structure):
    # struct timex of adjtimex(2), as far as it is read; `modes` 0 only asks.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("max_error_us", ctypes.c_long),
        ("estimated_error_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 200),
    )


def clock_error() -> ErrorEstimate:
    """How far the kernel believes its clock to be off, for the packets; unsynchronised where it cannot be asked."""
    timex = _Timex(modes=0)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        state = -1
    is_synchronised = state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
    error_s = timex.max_error_us / 1e6 if is_synchronised else _UNKNOWN_ERROR_S
    return ErrorEstimate.of(error_s, is_synchronised=is_synchronised)
