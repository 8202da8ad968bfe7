"""The HIS as a service in a thread of the test, asked over its own socket as a browser would."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_node.base.clock import Clock, SystemClock
from edge_node.config.load import load
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.services import his as service
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from tests.support.waiting import until

GIVEN = 'tls = { certificate = "his-cert", key = "his-key" }'
ISSUED = "tls = { issue = true }"


def a_home(folder: Path, *, his: str = "", database: bool = True) -> Path:
    """A node's folder with what the HIS needs."""
    (folder / "data").mkdir(parents=True)
    (folder / "credentials").mkdir()
    for name, secret in (("his-secret", "ab" * 32), ("data-key", "cd" * 32)):
        write_secret(folder / "credentials" / name, secret.encode())
    (folder / "edge-node.toml").write_text(f'[node]\nid = "clinic-0042"\n[his]\n{his}\n[replica]\nplain = true\n')
    if database:
        create_database(db_path(folder, "his"), DATABASES["his"])
    return folder


def write_secret(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


def a_certificate(folder: Path, *, days: float = 397, host: str = "localhost") -> ssl.SSLContext:
    """A certificate for localhost in the credentials; returns what a browser that trusts it uses."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begins).not_valid_after(begins + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "credentials/his-cert").write_bytes(pem)
    write_secret(
        folder / "credentials/his-key",
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )  # fmt: skip
    return ssl.create_default_context(cadata=pem.decode())


def a_config(home: Path, *, port: int = 0) -> Config:
    config = load(home / "edge-node.toml", home=home)
    listen = Endpoint("127.0.0.1", port)
    return config.model_copy(update={"his": config.his.model_copy(update={"listen": listen})})


class Running:
    """The service on a port of its own, in a thread of this process."""

    def __init__(self, home: Path, tls: ssl.SSLContext | None = None, clock: Clock | None = None) -> None:
        self.home, self.tls, self.clock = home, tls, clock or SystemClock()
        self.port = 0
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        until(lambda: self.port or not self._thread.is_alive())

    def _run(self) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            self._stop = asyncio.get_running_loop(), stop
            await service.serve(a_config(self.home), self.clock, stop, on_ready=self._is_ready)

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
def running(home: Path, tls: ssl.SSLContext | None = None, clock: Clock | None = None) -> Iterator[Running]:
    service = Running(home, tls, clock)
    try:
        yield service
    finally:
        service.stop()
