"""The HIS as it runs: its socket, its TLS, clients that never finish, a full stop in good order."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError, ExitCode, ServiceError, StoreError, UsageError
from edge_node.base.files import read_status
from edge_node.cli.run import listening
from edge_node.services import his as service
from edge_node.services.his import remembered
from tests.support.clock import FakeClock
from tests.support.his_service import GIVEN, Running, a_certificate, a_config, a_home, running, write_secret
from tests.support.waiting import until

HALF_OPEN = 100


def test_it_serves_pages_says_how_it_is_and_stops_in_order(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with running(home) as node:
        assert node.get("/login").status == 200 and "clinic-0042" in node.body
        headers = node.get("/readyz").headers
        assert headers.get("Server") is None
        until(lambda: (status := read_status(home / "run", "his")) is not None and status.state["requests"])
        status = read_status(home / "run", "his")
    assert status is not None
    assert status.state["writable"] is True and status.state["certificates"] == []
    assert ["/login", "GET", "200"] in [sample["labels"] for sample in status.state["requests"]]
    ended = read_status(home / "run", "his")
    assert ended is not None and ended.stopped


def test_a_page_takes_less_than_a_second_while_a_hundred_tls_hellos_hang(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node", his=GIVEN)
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
    home = a_home(tmp_path / "node", his=GIVEN)
    a_certificate(home)
    if damage == "missing":
        (home / "credentials/his-cert").unlink()
    elif damage == "not-pem":
        (home / "credentials/his-cert").write_text("no certificate")
    else:
        key = (home / "credentials/his-key").read_bytes()
        a_certificate(home)
        write_secret(home / "credentials/his-key", key)
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
    path.unlink() if content is None else write_secret(path, content.encode())
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
    home = a_home(tmp_path / "node", his=GIVEN)
    with running(home, a_certificate(home)):
        status = until(lambda: read_status(home / "run", "his"))
    assert status is not None
    (told,) = status.state["certificates"]
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
