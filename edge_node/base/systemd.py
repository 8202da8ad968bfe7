"""What a service and systemd say to each other: readiness, watchdog, credentials, inherited sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_FIRST_INHERITED = 3


def notify(text: str) -> None:
    """Send a state such as "READY=1" to the supervisor; does nothing without one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(text.encode())


def ends_with_its_service() -> bool:
    """Is this process the main one of a service of systemd, which ends whatever that leaves behind?"""
    return "NOTIFY_SOCKET" in os.environ


def watchdog_interval_s() -> float | None:
    """How often the supervisor wants to hear WATCHDOG=1: half of its limit; None when it does not watch."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = os.environ.get("WATCHDOG_USEC")
    return int(usec) / 2_000_000 if usec else None


def credential_path(name: str, *, state_dir: Path) -> Path:
    """Where the secret called `name` lies: the service's credentials, else the file under the state folder.

    The file need not exist.
    """
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and (path := Path(given) / name).exists():
        return path
    return state_dir / "credentials" / name


def is_handed_over(path: Path) -> bool:
    """Does the file lie among the credentials that systemd handed to this service?

    Its user then reads by an access list, which shows as a right of the group; the folder is closed to others.
    """
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(given) and path.resolve().parent == Path(str(given)).resolve()


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets that systemd passed to this process (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=fd) for fd in range(_FIRST_INHERITED, _FIRST_INHERITED + count)]
