"""One line and no other: a socket bound to the line's interface, to its address, and marked for its table.

Each alone was measured to lie (`facts/lines.md`, 2a): by device alone nothing leaves from a line that is not in use;
by mark or by source alone a probe leaves by the other line once the table has lost its route, and the dead line is
reported alive. What the process may not do is left out, the mark first; without the device there is no probe at all,
since its answer could be another line's.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

_NOT_PERMITTED = (errno.EPERM, errno.EACCES)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What holds a probe to its line. `mark` is `None` where no rule looks at it; `dscp` is its class of service."""

    interface: str
    address: str | None
    mark: int | None = None
    dscp: int = 0


class NotPermitted(Exception):
    """This process may not ask in this way: `what` is "icmp" or "device"."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def pin_socket(sock: socket.socket, pin: Pin) -> bool:
    """Hold the socket to the line; False where the mark had to be left out.

    Raises NotPermitted where it cannot be held at all, OSError where the line has no such interface or address now.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, pin.interface.encode() + b"\0")
    except OSError as error:
        if error.errno in _NOT_PERMITTED:
            raise NotPermitted("device") from error
        raise
    is_whole = True
    if pin.mark is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, pin.mark)
        except OSError as error:
            if error.errno not in _NOT_PERMITTED:
                raise
            is_whole = False
    if pin.dscp:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, pin.dscp << 2)
    if pin.address is not None:
        sock.bind((pin.address, 0))
    return is_whole


def pinned_stream(pin: Pin) -> tuple[socket.socket, bool]:
    """A TCP socket held to the line, not connected yet, and whether it is held whole; closed, it resets its connection.

    Raises as `pin_socket` does.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        is_whole = pin_socket(sock, pin)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    except BaseException:
        sock.close()
        raise
    return sock, is_whole
