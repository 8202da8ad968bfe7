"""Interfaces as the kernel has them now, and hints that something about them or the routes changed.

A hint is any message of the link, address, route and rule groups. It is not looked into: on any message the present
state is read again and compared with the last one. A buffer that ran over (ENOBUFS) is a hint like any other, since
what was lost is read as well.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import AsyncIPRoute

from failover.core.model import LinkState

_IFF_UP = 0x1
_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV4_RULE = 1, 5, 7, 8  # groups of rtnetlink(7)
_GROUPS = sum(1 << (group - 1) for group in (_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV4_RULE))
_BUFFER_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_READ_AT_ONCE = 64
_SETTINGS = Path("/proc/sys/net/ipv4/conf")
_STRICT = 1


class Hints:
    """A socket that becomes readable when something changed."""

    def __init__(self, *, buffer_bytes: int = _BUFFER_BYTES) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.bind((0, _GROUPS))
        self.overruns = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Throw away what is there: it has said what it can say, that there is something to look at."""
        for _ in range(_READ_AT_ONCE):
            try:
                self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self.overruns += 1  # ENOBUFS: some were lost; whatever they were, the state is read again

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface as last read; addresses are IPv4, the first one first."""

    name: str
    index: int
    is_up: bool  # by configuration
    has_carrier: bool
    mtu: int
    addresses: tuple[str, ...] = ()
    is_strict: bool = False  # drops what comes in where the answer would leave by another interface (rp_filter = 1)


async def read_interfaces(netlink: AsyncIPRoute) -> dict[str, Interface]:
    """Every interface of this network namespace, by name."""
    addresses: dict[int, list[str]] = {}
    async for message in await netlink.addr("dump", family=socket.AF_INET):
        address = message.get("local") or message.get("address")
        if address is not None:
            addresses.setdefault(message["index"], []).append(address)
    every = _setting("all")
    found = {}
    async for message in await netlink.link("dump"):
        name, index = message.get("ifname"), message["index"]
        is_up = bool(message["flags"] & _IFF_UP)
        found[name] = Interface(
            name=name,
            index=index,
            is_up=is_up,
            has_carrier=is_up and bool(message.get("carrier")),
            mtu=message.get("mtu") or 0,
            addresses=tuple(addresses.get(index, ())),
            is_strict=max(every, _setting(name)) == _STRICT,
        )
    return found


def link_state(
    interface_name: str, address: str | None, interfaces: Mapping[str, Interface], *, has_route: bool | None
) -> LinkState:
    """A line's link. `address` is the configured one; without it any address will do."""
    interface = interfaces.get(interface_name)
    if interface is None:
        return LinkState(present=False)
    return LinkState(
        present=True,
        index=interface.index,
        carrier=interface.has_carrier,
        addresses=frozenset(interface.addresses),
        has_address=address in interface.addresses if address is not None else bool(interface.addresses),
        has_route=has_route,
        mtu=interface.mtu,
    )


def _setting(name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((_SETTINGS / name / "rp_filter").read_text(encoding="ascii"))
    return 0
