"""Ends what is stuck on a line that was left: TCP connections from its address, and tracked translations to it.

A connection whose source is the dead line's address would wait for up to a quarter of an hour. The kernel is asked to
end it (SOCK_DESTROY of sock_diag): its owner gets ECONNABORTED at once and connects anew, by the line that lives.
Where the clinic's traffic is translated to the line's address, the entry of the connection tracking is deleted, so that
the next packet is translated anew.

Only what is named is touched: this source address, these destinations. Not a listening socket, not another line's, and
nothing that stays within this machine. Whoever calls makes sure that another line lives, or nothing is gained.

Plain netlink, and synchronous: a few hundred microseconds. pyroute2's DiagSocket cannot destroy, and its synchronous
sockets may not be used while an event loop runs.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

NETLINK_SOCK_DIAG = 4
NETLINK_NETFILTER = 12
SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21
_CONNTRACK, _GET, _DELETE = 1 << 8, 1, 2
_NLM_REQUEST, _NLM_ACK, _NLM_DUMP = 1, 4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
# Every state but those without an owner that waits: CLOSE (7), TIME_WAIT (6), LISTEN (10).
_STATES = 0xFFF & ~(1 << 6 | 1 << 7 | 1 << 10)
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address in an IPv6 socket
# The kernel answers at once; who waits longer waits for something that does not come.
_ANSWER_WITHIN_S = 2.0

_HEADER = struct.Struct("=IHHII")
_DIAG = struct.Struct("=BBBBI")
_DIAG_STATE, _DIAG_ID, _DIAG_ID_END = 1, 4, 52
_NFGEN = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ZONE = 1, 2, 18
_TUPLE_IP, _IP_SOURCE, _IP_DESTINATION = 1, 1, 2
_ATTRIBUTE_TYPE = 0x3FFF


class WhyNot(StrEnum):
    """Why connections could not be ended."""

    NOT_PERMITTED = "not-permitted"
    NOT_SUPPORTED = "not-supported"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    WhyNot.NOT_PERMITTED: "connections cannot be ended: this process lacks CAP_NET_ADMIN",
    WhyNot.NOT_SUPPORTED: "connections cannot be ended: this kernel was built without INET_DIAG_DESTROY",
    WhyNot.FAILED: "connections cannot be ended: the kernel refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of the connections that were found. One that ended by itself meanwhile is in neither count."""

    found: int = 0
    ended: int = 0
    why_not: WhyNot | None = None
    error: str | None = None  # the kernel's word, for the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A TCP connection of this machine."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    state: int
    family: int
    ident: bytes  # as the kernel names it


def connections(source: str, destinations: Sequence[str]) -> list[Connection]:
    """TCP connections from this address to these prefixes, as they are now. Raises OSError, ValueError."""
    return [
        found for family in (socket.AF_INET, socket.AF_INET6) for found in _dump(family, *_what(source, destinations))
    ]


def end_connections(source: str, destinations: Sequence[str]) -> Ended:
    """End the TCP connections from this address to these prefixes. Raises ValueError for what is no IPv4 address."""
    address, networks = _what(source, destinations)
    found = ended = 0
    why_not: WhyNot | None = None
    word: str | None = None
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            for connection in _dump(family, address, networks):
                found += 1
                error = _destroy(connection)
                if error == 0:
                    ended += 1
                elif error != errno.ENOENT:
                    why_not, word = _why_not(error)
    except OSError as error:
        why_not, word = _why_not(error.errno or 0)
    return Ended(found=found, ended=ended, why_not=why_not, error=word)


def forget_translations(address: str, destinations: Sequence[str]) -> Ended:
    """Delete tracked connections to these prefixes that were translated to this address.

    Only where the address is not the connection's own: an untranslated connection needs no new translation. A kernel
    without connection tracking has none to forget.
    """
    line, networks = _what(address, destinations)
    found = ended = 0
    why_not: WhyNot | None = None
    word: str | None = None
    try:
        for name in _translations(line, networks):
            found += 1
            error = _delete(name)
            if error == 0:
                ended += 1
            elif error != errno.ENOENT:
                why_not, word = _why_not(error)
    except OSError as error:
        if error.errno not in (errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP):
            why_not, word = _why_not(error.errno or 0)
    return Ended(found=found, ended=ended, why_not=why_not, error=word)


def _what(source: str, destinations: Sequence[str]) -> tuple[IPv4Address, tuple[IPv4Network, ...]]:
    address = IPv4Address(source)
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise ValueError(f"{source} is no line's address")
    return address, tuple(IPv4Network(prefix) for prefix in destinations)


def _goes_there(source: IPv4Address, destination: IPv4Address, networks: Sequence[IPv4Network]) -> bool:
    if destination.is_loopback or destination == source:
        return False
    return any(destination in network for network in networks)


def _why_not(number: int) -> tuple[WhyNot, str]:
    why = {
        errno.EPERM: WhyNot.NOT_PERMITTED,
        errno.EACCES: WhyNot.NOT_PERMITTED,
        errno.EOPNOTSUPP: WhyNot.NOT_SUPPORTED,
    }.get(number, WhyNot.FAILED)
    return why, errno.errorcode.get(number, f"errno {number}")


# ---- connections


def _dump(family: int, source: IPv4Address, networks: Sequence[IPv4Network]) -> list[Connection]:
    found = []
    request = _DIAG.pack(family, socket.IPPROTO_TCP, 0, 0, _STATES) + bytes(_DIAG_ID_END - _DIAG_ID)
    for answer in _asked(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, _NLM_REQUEST | _NLM_DUMP, request):
        ident = answer[_DIAG_ID:_DIAG_ID_END]
        source_port, destination_port = struct.unpack_from("!HH", ident)
        near, far = _address(family, ident[4:20]), _address(family, ident[20:36])
        if near == source and far is not None and _goes_there(near, far, networks):
            found.append(
                Connection(
                    source=near, source_port=source_port, destination=far, destination_port=destination_port,
                    state=answer[_DIAG_STATE], family=family, ident=ident,
                )
            )  # fmt: skip
    return found


def _address(family: int, field: bytes) -> IPv4Address | None:
    if family == socket.AF_INET:
        return IPv4Address(field[:4])
    return IPv4Address(field[12:]) if field.startswith(_MAPPED) else None


def _destroy(connection: Connection) -> int:
    """0, or the errno. The cookie in the kernel's name of it keeps a successor on the same ports from harm."""
    request = _DIAG.pack(connection.family, socket.IPPROTO_TCP, 0, 0, 1 << connection.state) + connection.ident
    return _done(NETLINK_SOCK_DIAG, SOCK_DESTROY, request)


# ---- translations


def _translations(line: IPv4Address, networks: Sequence[IPv4Network]) -> list[bytes]:
    """The kernel's names of the entries: the original direction, and the zone where there is one."""
    found = []
    request = _NFGEN.pack(socket.AF_INET, 0, 0)
    for answer in _asked(NETLINK_NETFILTER, _CONNTRACK | _GET, _NLM_REQUEST | _NLM_DUMP, request):
        entry = dict(_attributes(answer[_NFGEN.size :]))
        own, far = _ends(entry.get(_TUPLE_ORIGINAL, b""))
        _, back_to = _ends(entry.get(_TUPLE_REPLY, b""))
        if back_to != line or own is None or own == line or far is None or not _goes_there(own, far, networks):
            continue
        name = _attribute(_TUPLE_ORIGINAL | 0x8000, entry[_TUPLE_ORIGINAL])
        found.append(name + (_attribute(_ZONE, entry[_ZONE]) if _ZONE in entry else b""))
    return found


def _delete(name: bytes) -> int:
    return _done(NETLINK_NETFILTER, _CONNTRACK | _DELETE, _NFGEN.pack(socket.AF_INET, 0, 0) + name)


def _ends(direction: bytes) -> tuple[IPv4Address | None, IPv4Address | None]:
    """Source and destination of one direction of an entry."""
    addresses = dict(_attributes(dict(_attributes(direction)).get(_TUPLE_IP, b"")))
    source, destination = addresses.get(_IP_SOURCE), addresses.get(_IP_DESTINATION)
    return (IPv4Address(source) if source else None), (IPv4Address(destination) if destination else None)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _ATTRIBUTE_TYPE, data[_ATTRIBUTE.size : length]
        data = data[length + 3 & ~3 :]


def _attribute(kind: int, value: bytes) -> bytes:
    whole = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
    return whole + bytes(-len(whole) % 4)


# ---- netlink


def _done(protocol: int, kind: int, request: bytes) -> int:
    """The errno that a request was acknowledged with, 0 for done."""
    try:
        for _ in _asked(protocol, kind, _NLM_REQUEST | _NLM_ACK, request):
            pass
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _asked(protocol: int, kind: int, flags: int, request: bytes) -> Iterator[bytes]:
    """What the kernel answers, message by message. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as sock:
        sock.settimeout(_ANSWER_WITHIN_S)
        sock.send(_HEADER.pack(_HEADER.size + len(request), kind, flags, 1, 0) + request)
        while True:
            data = sock.recv(1 << 18)
            while len(data) >= _HEADER.size:
                length, answer, _, _, _ = _HEADER.unpack_from(data)
                body, data = data[_HEADER.size : length], data[length + 3 & ~3 :]
                if answer == _NLMSG_ERROR:
                    number = -struct.unpack_from("=i", body)[0]
                    if number:
                        raise OSError(number, errno.errorcode.get(number, ""))
                    return
                if answer == _NLMSG_DONE:
                    return
                yield body
