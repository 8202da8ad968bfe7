"""The IPv4 addresses of this machine, by interface.

By ioctl and not by netlink: services that are confined to internet sockets (systemd's RestrictAddressFamilies) may ask.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Mapping

# netdevice(7): the kernel fills an array of struct ifreq, each the interface's name and a socket address.
_SIOCGIFCONF = 0x8912
_IFREQ_BYTES, _NAME_BYTES = 40, 16
_ADDRESS_AT = _NAME_BYTES + 4
# Far more than a node has, virtual ones included.
_MOST = 256


def own_addresses() -> Mapping[str, tuple[str, ...]]:
    """Interface to addresses, loopback included; of interfaces that are up. Aliases count for their interface."""
    room = array.array("B", bytes(_MOST * _IFREQ_BYTES))
    address, _ = room.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking, _SIOCGIFCONF, struct.pack("iP", len(room), address))
    (filled_bytes,) = struct.unpack_from("i", answer)
    found: dict[str, list[str]] = {}
    for at in range(0, filled_bytes, _IFREQ_BYTES):
        entry = room[at : at + _IFREQ_BYTES].tobytes()
        name = entry[:_NAME_BYTES].partition(b"\0")[0].decode(errors="replace").partition(":")[0]
        found.setdefault(name, []).append(socket.inet_ntoa(entry[_ADDRESS_AT : _ADDRESS_AT + 4]))
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}
