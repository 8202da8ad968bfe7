"""The HIS as it runs: its socket, its TLS, clients that never finish, a full stop in good order."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError, ExitCode, ServiceError, StoreError, UsageError
from edge_node.base.files import read_status
from edge_node.cli.run import listening
from edge_node.config.load import load
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.services import his as service
from edge_node.services.his import remembered
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from tests.support.clock import FakeClock
from tests.support.waiting import until

HALF_OPEN = 100
TLS = 'tls = { certificate = "his-cert", key = "his-key" }'


def a_home(folder: Path, *, his: str = "", database: bool = True) -> Path:
    """A node's folder with what the HIS needs."""
    (folder / "data").mkdir(parents=True)
    (folder / "credentials").mkdir()
    (folder / "credentials/his-secret").write_text("ab" * 32)
    (folder / "credentials/data-key").write_text("cd" * 32)
    (folder / "edge-node.toml").write_text(f'[node]\nid = "clinic-0042"\n[his]\n{his}\n[replica]\nplain = true\n')
    if database:
        create_database(db_path(folder, "his"), DATABASES["his"])
    return folder


def a_certificate(folder: Path) -> ssl.SSLContext:
    """A certificate for localhost in the credentials; returns what a browser that trusts it uses."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begins).not_valid_after(begins + dt.timedelta(days=397))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "credentials/his-cert").write_bytes(pem)
    (folder / "credentials/his-key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return ssl.create_default_context(cadata=pem.decode())


def a_config(home: Path, *, port: int = 0) -> Config:
    config = load(home / "edge-node.toml", home=home)
    listen = Endpoint("127.0.0.1", port)
    return config.model_copy(update={"his": config.his.model_copy(update={"listen": listen})})


class Running:
    """The service on a port of its own, in a thread of this process."""

    def __init__(self, home: Path, tls: ssl.SSLContext | None = None) -> None:
        self.home, self.tls = home, tls
        self.port = 0
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        until(lambda: self.port or not self._thread.is_alive())

    def _run(self) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            self._stop = asyncio.get_running_loop(), stop
            await service.serve(a_config(self.home), SystemClock(), stop, on_ready=self._is_ready)

        asyncio.run(serve())

    def _is_ready(self, endpoint: Endpoint) -> None:
        self.port = endpoint.port

    def stop(self) -> float:
        began = time.monotonic()
        if self._thread.is_alive() and self._stop is not None:
            loop, stop = self._stop
            loop.call_soon_threadsafe(stop.set)
        self._thread.join(15)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def get(self, path: str) -> http.client.HTTPResponse:
        """One page on one connection, as a browser would."""
        connection = (
            http.client.HTTPSConnection("localhost", self.port, timeout=5, context=self.tls)
            if self.tls
            else http.client.HTTPConnection("localhost", self.port, timeout=5)
        )
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            self.body = response.read().decode()
            return response

    def seconds_for_a_page(self) -> float:
        """The quickest of three: a busy test machine may delay one, a server that is held up delays all."""
        taken = []
        for _ in range(3):
            began = time.monotonic()
            assert self.get("/login").status == 200
            taken.append(time.monotonic() - began)
        return min(taken)


@contextlib.contextmanager
def running(home: Path, tls: ssl.SSLContext | None = None) -> Iterator[Running]:
    service = Running(home, tls)
    try:
        yield service
    finally:
        service.stop()


def test_it_serves_pages_says_how_it_is_and_stops_in_order(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with running(home) as node:
        assert node.get("/login").status == 200 and "clinic-0042" in node.body
        headers = node.get("/readyz").headers
        assert headers.get("Server") is None
        until(lambda: (status := read_status(home / "run", "his")) is not None and status.state["requests"])
        status = read_status(home / "run", "his")
    assert status is not None
    assert status.state["writable"] is True and status.state["certificate"] is None
    assert ["/login", "GET", "200"] in [sample["labels"] for sample in status.state["requests"]]
    ended = read_status(home / "run", "his")
    assert ended is not None and ended.stopped


def test_a_page_takes_less_than_a_second_while_a_hundred_tls_hellos_hang(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node", his=TLS)
    trust = a_certificate(home)
    with running(home, trust) as node, contextlib.ExitStack() as stack:
        node.get("/login")
        for _ in range(HALF_OPEN):
            half = stack.enter_context(node.connect())
            half.sendall(b"\x16\x03\x01")
        assert node.seconds_for_a_page() < 1.0
        response = node.get("/login")
        assert any(cookie.startswith("__Host-edge=") for cookie in response.headers.get_all("Set-Cookie") or [])


def test_slow_senders_hold_no_thread(tmp_path: Path) -> None:
    """More forms that never end than there are threads, and headers that never end beside them."""
    with running(a_home(tmp_path / "node")) as node, contextlib.ExitStack() as stack:
        for _ in range(3 * service.THREADS):
            slow = stack.enter_context(node.connect())
            slow.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                         b"Content-Type: application/x-www-form-urlencoded\r\n\r\ncode=")  # fmt: skip
            slow = stack.enter_context(node.connect())
            slow.sendall(b"GET /login HTTP/1.1\r\nHost: local")
        assert node.seconds_for_a_page() < 1.0


def test_slow_readers_hold_no_thread(tmp_path: Path) -> None:
    with running(a_home(tmp_path / "node")) as node, contextlib.ExitStack() as stack:
        for _ in range(3 * service.THREADS):
            greedy = stack.enter_context(node.connect())
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            greedy.sendall(b"GET /static/app.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 8)
        assert node.seconds_for_a_page() < 1.0


def test_it_stops_within_five_seconds_though_clients_hang(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        node = Running(a_home(tmp_path / "node"))
        for _ in range(20):
            stack.enter_context(node.connect()).sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert node.stop() < 5.0


@pytest.mark.parametrize("damage", ["missing", "not-pem", "another-key"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, damage: str) -> None:
    home = a_home(tmp_path / "node", his=TLS)
    a_certificate(home)
    if damage == "missing":
        (home / "credentials/his-cert").unlink()
    elif damage == "not-pem":
        (home / "credentials/his-cert").write_text("no certificate")
    else:
        key = (home / "credentials/his-key").read_bytes()
        a_certificate(home)
        (home / "credentials/his-key").write_bytes(key)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(service.serve(a_config(home), SystemClock(), asyncio.Event()))
    assert caught.value.code == "certificate-unusable" and "his-cert" in caught.value.render()


@pytest.mark.parametrize(
    "name, content, code",
    [
        pytest.param("data-key", None, "credential-missing", id="no-data-key"),
        pytest.param("his-secret", None, "credential-missing", id="no-secret"),
        pytest.param("data-key", "not hexadecimal", "credential-unusable", id="no-key-in-it"),
        pytest.param("data-key", "abcd", "credential-unusable", id="too-short"),
    ],
)
def test_a_credential_that_is_missing_or_no_key_is_named(
    tmp_path: Path, name: str, content: str | None, code: str
) -> None:
    home = a_home(tmp_path / "node")
    path = home / "credentials" / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(service.serve(a_config(home), SystemClock(), asyncio.Event()))
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.CONFIG)
    assert name in caught.value.message and "abcd" not in caught.value.render()


def test_without_a_database_it_does_not_begin_and_makes_none(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node", database=False)
    with pytest.raises(StoreError) as caught:
        asyncio.run(service.serve(a_config(home), SystemClock(), asyncio.Event()))
    assert (caught.value.code, caught.value.exit_code) == ("db-missing", ExitCode.DATA)
    assert list((home / "data").iterdir()) == []


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ServiceError) as caught:
        asyncio.run(service.serve(a_config(home, port=other.getsockname()[1]), SystemClock(), asyncio.Event()))
    assert caught.value.code == "already-running" and "his.listen" in str(caught.value.hint)


@pytest.mark.parametrize("listen", ["", "nonsense", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused_with_an_example(tmp_path: Path, listen: str) -> None:
    with pytest.raises(UsageError) as caught:
        listening(a_config(a_home(tmp_path / "node")), "his", listen)
    assert "127.0.0.1:8080" in str(caught.value.hint)


def test_a_second_his_on_the_same_database_does_not_begin(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with running(home) as node:
        with pytest.raises(ServiceError) as caught:
            asyncio.run(service.serve(a_config(home), SystemClock(), asyncio.Event()))
        assert (caught.value.code, caught.value.exit_code) == ("already-running", ExitCode.BUSY)
        assert node.get("/readyz").status == 200
        status = read_status(home / "run", "his")
    assert status is not None and not status.stopped, "the first one's state stands"


def test_the_certificates_end_is_told_to_the_monitor(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node", his=TLS)
    with running(home, a_certificate(home)):
        status = until(lambda: read_status(home / "run", "his"))
    assert status is not None
    told = status.state["certificate"]
    days = (told["not_after"] - SystemClock().wall_ms()) / 86_400_000
    assert told["name"] == "his-cert" and 395 < days < 397


def answers(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=40)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200


def test_as_a_process_it_takes_a_socket_from_its_supervisor_and_ends_on_sigterm(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # systemd's convention: descriptor 3, and the pid that it is meant for.
        script = f"export LISTEN_PID=$$ LISTEN_FDS=1; exec {sys.executable} -m edge_node run his --home {home}"
        argv = ["bash", "-c", f"exec 3<&{listener.fileno()}; {script}"]
        with subprocess.Popen(argv, pass_fds=[listener.fileno()], stderr=subprocess.PIPE, text=True) as process:
            try:
                assert answers(listener.getsockname()[1]), "who comes early waits in the socket"
                process.send_signal(signal.SIGTERM)
                _, log = process.communicate(timeout=15)
            finally:
                process.kill()
    assert process.returncode == 0, log
    assert "his_started" in log and "his_stopped" in log and "Traceback" not in log


def test_what_is_remembered_is_read_again_after_its_time() -> None:
    clock, values = FakeClock(), iter(range(100))
    read = remembered(lambda: next(values), clock, for_s=0.5)
    seen = []
    for _ in range(5):
        seen.append(read())
        clock.advance(0.3)
    assert seen == [0, 0, 1, 1, 2]
