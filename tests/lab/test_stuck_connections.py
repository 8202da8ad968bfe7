"""Connections that hang on a line that was left: ended at once, and nothing else is."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from failover.netlink.sockets import Ended, WhyNot, connections, end_connections, forget_translations
from tests.lab.namespace import Namespace
from tests.lab.topology import (
    CLOUD_PREFIX,
    LAN_ADDRESS,
    LINES,
    ROOT,
    SERVICE_IP,
    TARGETS,
    TELECOM,
    UNICOM,
    LabLine,
    Laboratory,
)
from tests.support.waiting import until

PORT = 7100
CLOUD = (TARGETS[0], PORT)
# The bar of the reconnection is 0.2 s; that they hang without help is watched for longer than that.
HANGS_FOR_S, BACK_WITHIN_S = 0.6, 0.2


def lead(lab: Laboratory, line: LabLine) -> None:
    lab.clinic.configure(f"route replace {CLOUD_PREFIX} via {line.gateway} dev {line.name}\n")


@pytest.fixture
def pinned(lab: Laboratory) -> Laboratory:
    """A clinic as a node sets it up: a table for each line, the cloud by telecom."""
    for line in LINES:
        table = 100 + line.number
        lab.clinic.configure(
            f"route add default via {line.gateway} dev {line.name} table {table}\n"
            f"rule add pref {400 + line.number} from {line.address} lookup {table}\n"
        )
    lead(lab, TELECOM)
    return lab


@contextmanager
def server(space: Namespace, address: tuple[str, int]) -> Iterator[None]:
    """Answers every request line with its own name for the client; takes uploads and says nothing to them."""
    listening = space.socket(socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen(64)
    accepted: list[socket.socket] = []

    def answer(connection: socket.socket, name: str) -> None:
        body = json.dumps(name).encode()
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        try:
            while data := connection.recv(65_536):
                if data.startswith(b"GET"):
                    connection.sendall(reply)
        except OSError:
            pass
        connection.close()

    def accept() -> None:
        while True:
            try:
                connection, (client, _) = listening.accept()
            except OSError:
                return
            accepted.append(connection)
            threading.Thread(target=answer, args=(connection, client), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        for opened in (listening, *accepted):
            opened.close()
        accepting.join(timeout=5)


def connect(space: Namespace, source: str | None, to: tuple[str, int] = CLOUD) -> socket.socket:
    opened = space.socket(socket.SOCK_STREAM)
    opened.settimeout(10)
    if source is not None:
        opened.bind((source, 0))
    opened.connect(to)
    return opened


class Client:
    """Works on one connection until it breaks, notes why and when, and begins again from any address."""

    def __init__(self, space: Namespace, work: Callable[[socket.socket], None]) -> None:
        self._space, self._work = space, work
        self._socket = connect(space, TELECOM.address)
        self.error: int | None = None
        self.broke_at = self.back_at = 0.0
        self.back_from = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._work(self._socket)
        except OSError as error:
            self.broke_at, self.error = time.monotonic(), error.errno
        self._socket.close()
        self._socket = connect(self._space, None)
        assert asks(self._socket) == self._socket.getsockname()[0]
        self.back_from, self.back_at = self._socket.getsockname()[0], time.monotonic()

    def close(self) -> None:
        self._thread.join(timeout=10)
        self._socket.close()


def asks(opened: socket.socket) -> str:
    """One request on a connection that stays open; whom the cloud takes the client for."""
    connection = http.client.HTTPConnection(*CLOUD)
    connection.sock = opened
    connection.request("GET", "/")
    answer: str = json.loads(connection.getresponse().read())
    return answer


def keeps_asking(opened: socket.socket) -> None:
    asks(opened)
    time.sleep(0.01)


def uploads(opened: socket.socket) -> None:
    opened.sendall(bytes(65_536))


def test_an_upload_and_a_keep_alive_break_at_once_and_come_back_by_the_other_line(pinned: Laboratory) -> None:
    clinic = pinned.clinic
    with ExitStack() as stack:
        stack.enter_context(server(pinned.cloud, CLOUD))
        clients = [Client(clinic, work) for work in (keeps_asking, uploads)]
        for client in clients:
            stack.callback(client.close)
        pinned.fault(TELECOM.name, "blackhole")
        lead(pinned, UNICOM)
        left_at = time.monotonic()
        until(lambda: time.monotonic() - left_at > HANGS_FOR_S)
        assert [client.error for client in clients] == [None, None], "without help they hang"
        called_at = time.monotonic()
        ended = clinic.within(lambda: end_connections(TELECOM.address, [CLOUD_PREFIX]))
        returned_at = time.monotonic()
        assert ended == Ended(found=2, ended=2)
        until(lambda: all(client.back_at for client in clients), every_s=0.002)
        for client in clients:
            assert client.error in (errno.ECONNABORTED, errno.EPIPE), errno.errorcode.get(client.error or 0)
            assert client.back_from == UNICOM.address
            assert client.back_at - called_at < BACK_WITHIN_S, client.back_at - called_at
        slowest_s = max(client.back_at for client in clients) - called_at
        print(f"ended in {(returned_at - called_at) * 1e3:.1f} ms, back after {slowest_s * 1e3:.1f} ms")
    assert pinned.leaked() == 0


def test_what_was_not_named_lives_on(pinned: Laboratory) -> None:
    """The other line's, what listens, what stays in the machine, what goes elsewhere on the same line."""
    clinic, address = pinned.clinic, TELECOM.address
    with ExitStack() as stack:
        for space, at in (
            (pinned.cloud, CLOUD),
            (pinned.telecom, (TELECOM.gateway, PORT)),
            (clinic, ("127.0.0.1", PORT)),
            (clinic, (address, PORT)),
        ):
            stack.enter_context(server(space, at))
        untouched = {
            "other line": connect(clinic, UNICOM.address),
            "carrier": connect(clinic, address, (TELECOM.gateway, PORT)),
            "loopback": connect(clinic, "127.0.0.1", ("127.0.0.1", PORT)),
            "itself": connect(clinic, address, (address, PORT)),
        }
        doomed = connect(clinic, address)
        for opened in (*untouched.values(), doomed):
            stack.callback(opened.close)
            assert asks(opened)
        assert clinic.within(lambda: end_connections(address, [CLOUD_PREFIX])) == Ended(found=1, ended=1)
        with pytest.raises(OSError):
            asks(doomed)
        for what, opened in untouched.items():
            assert asks(opened), what
        late = connect(clinic, address, (address, PORT))
        stack.callback(late.close)
        assert asks(late), "who listens on the line's address goes on listening"
        assert clinic.within(lambda: end_connections(address, [CLOUD_PREFIX])) == Ended()
        assert clinic.within(lambda: end_connections(address, [])) == Ended()
        everything = clinic.within(lambda: end_connections(address, ["0.0.0.0/0"]))
        assert everything.ended == 1, "the carrier's; what stays within the machine is never ended"
        assert asks(untouched["itself"]) and asks(untouched["loopback"]) and asks(untouched["other line"])


def test_every_state_and_both_families(pinned: Laboratory) -> None:
    """A connection that is still being made, one that the other side has closed, and IPv4 within an IPv6 socket."""
    clinic = pinned.clinic
    with ExitStack() as stack:
        stack.enter_context(server(pinned.cloud, CLOUD))
        mapped = clinic.within(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        stack.callback(mapped.close)
        mapped.bind((f"::ffff:{TELECOM.address}", 0))
        mapped.connect((f"::ffff:{TARGETS[0]}", PORT))
        half = connect(clinic, TELECOM.address)
        stack.callback(half.close)
        half.shutdown(socket.SHUT_WR)
        assert half.recv(1) == b"", "the other side has closed, too: nothing is left to end"
        pinned.fault(TELECOM.name, "blackhole")
        making = clinic.socket(socket.SOCK_STREAM)
        stack.callback(making.close)
        making.setblocking(False)
        making.bind((TELECOM.address, 0))
        assert making.connect_ex((TARGETS[1], PORT)) == errno.EINPROGRESS
        found = clinic.within(lambda: connections(TELECOM.address, [CLOUD_PREFIX]))
        assert sorted(str(each.destination) for each in found) == sorted(TARGETS)
        assert clinic.within(lambda: end_connections(TELECOM.address, [CLOUD_PREFIX])) == Ended(found=2, ended=2)
        assert making.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNABORTED
        with pytest.raises(ConnectionAbortedError):
            mapped.recv(1)


def test_without_the_privilege_it_says_so(pinned: Laboratory) -> None:
    """A child that becomes nobody within the clinic's namespace, while the connection is its parent's."""
    code = (
        "import os, sys; from failover.netlink.sockets import end_connections as end; os.setgid(65534); "
        "os.setuid(65534); done = end(*sys.argv[1:2], sys.argv[2:]); print(done.found, done.ended, done.why_not, "
        "done.error)"
    )
    with server(pinned.cloud, CLOUD), connect(pinned.clinic, TELECOM.address) as opened:
        asks(opened)
        argv = pinned.clinic.argv(sys.executable, "-c", code, TELECOM.address, CLOUD_PREFIX)
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
        assert done.stdout.split() == ["1", "0", "not-permitted", "EPERM"], done.stderr
        assert asks(opened)
    assert "CAP_NET_ADMIN" in WhyNot.NOT_PERMITTED.sentence


def test_many_connections_end_in_a_moment(pinned: Laboratory) -> None:
    with ExitStack() as stack:
        stack.enter_context(server(pinned.cloud, CLOUD))
        opened = [stack.enter_context(connect(pinned.clinic, TELECOM.address)) for _ in range(200)]
        assert all(asks(each) == TELECOM.address for each in opened)
        began = time.monotonic()
        ended = pinned.clinic.within(lambda: end_connections(TELECOM.address, [CLOUD_PREFIX]))
        took_s = time.monotonic() - began
        assert ended == Ended(found=200, ended=200)
        print(f"200 connections in {took_s * 1e3:.1f} ms")
        assert took_s < 1.0


def test_a_translated_connection_is_translated_anew(pinned: Laboratory) -> None:
    """The desk's connection, translated to telecom's address: without its entry, the cloud's RST ends it by unicom."""
    clinic = pinned.clinic
    clinic.sysctl({"net.ipv4.ip_forward": "1"})
    snat = "\n".join(f'oifname "{line.name}" snat to {line.address}' for line in LINES)
    clinic.nft(f"table ip translate {{ chain after {{ type nat hook postrouting priority srcnat\n{snat}\n}}\n}}\n")
    pinned.desk.configure(f"route add default via {LAN_ADDRESS}\n")
    with ExitStack() as stack:
        stack.enter_context(server(pinned.cloud, CLOUD))
        own = stack.enter_context(connect(clinic, TELECOM.address))
        opened = stack.enter_context(connect(pinned.desk, None))
        assert asks(opened) == asks(own) == TELECOM.address
        pinned.fault(TELECOM.name, "blackhole")
        lead(pinned, UNICOM)
        opened.sendall(b"GET / HTTP/1.1\r\n\r\n")
        opened.settimeout(HANGS_FOR_S)
        with pytest.raises(TimeoutError):
            opened.recv(1)
        assert clinic.within(lambda: forget_translations(UNICOM.address, [CLOUD_PREFIX])) == Ended()
        assert clinic.within(lambda: forget_translations(TELECOM.address, ["10.77.0.0/16"])) == Ended()
        assert clinic.within(lambda: forget_translations(TELECOM.address, [CLOUD_PREFIX])) == Ended(found=1, ended=1)
        opened.settimeout(5)
        with pytest.raises(ConnectionResetError):
            opened.recv(1)
        assert clinic.within(lambda: forget_translations(TELECOM.address, [CLOUD_PREFIX])) == Ended()
        pinned.fault(TELECOM.name, "heal")
        assert asks(own), "the clinic's own connection of that address was not touched"


def test_an_answered_service_address_is_no_lines_address(pinned: Laboratory) -> None:
    """Connections of the service address go on over the other line, and must not be ended."""
    pinned.clinic.configure(f"addr add {SERVICE_IP}/32 dev lo\n")
    with server(pinned.cloud, CLOUD), connect(pinned.clinic, SERVICE_IP) as opened:
        assert asks(opened) == SERVICE_IP
        pinned.fault(TELECOM.name, "blackhole")
        lead(pinned, UNICOM)
        assert pinned.clinic.within(lambda: end_connections(TELECOM.address, [CLOUD_PREFIX])) == Ended()
        assert asks(opened) == SERVICE_IP, "the same connection"
        # A reset instead of a farewell: nothing lingers.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
