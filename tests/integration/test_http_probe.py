"""The application probe on loopback, over real sockets: what is an answer, what is none, and that nothing is left."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from failover.probes.http import HttpProbe
from failover.probes.opening import boot_time, opener
from failover.probes.pin import NotPermitted, Pin
from failover.setup import ProbeKind, Target
from tests.support.certificates import a_certificate

LOOPBACK = Pin(interface="lo", address="127.0.0.1")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(answer: bytes, seen: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(request)
        writer.write(answer)
        writer.close()

    return serve


async def is_mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def asked(
    serve: Serve, *, tls: ssl.SSLContext | None = None, with_tls: bool | None = None, longest_s: float = 5.0
) -> list[float]:
    """Ask once; the round trips that were heard when the question is over."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    heard: list[float] = []
    port = server.sockets[0].getsockname()[1]
    probe = HttpProbe(
        LOOPBACK, "127.0.0.1", port, "/healthz", lambda at, rtt_s: heard.append(rtt_s),
        with_tls=tls is not None if with_tls is None else with_tls, clock=boot_time, loop=asyncio.get_running_loop(),
        longest_s=longest_s,
    )  # fmt: skip
    assert probe.ask(boot_time()) is None
    while probe._open:
        await asyncio.wait(probe._open)
        await asyncio.sleep(0)
    probe.close()
    server.close()
    await server.wait_closed()
    return heard


@pytest.fixture(scope="module", autouse=True)
def can_be_held_to_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        except PermissionError:
            pytest.skip("probes cannot be held to a device here: root, or a kernel since 5.7")


@pytest.mark.parametrize(
    "answer, is_answer",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"", False),
        (b"HTTP/1.1 200", False),
        (b"x" * 100_000, False),
    ],
)
def test_what_is_an_answer(answer: bytes, is_answer: bool) -> None:
    seen: list[bytes] = []
    heard = asyncio.run(asked(says(answer, seen)))
    assert len(heard) == is_answer and all(0 < rtt_s < 5 for rtt_s in heard)
    assert seen == [b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: edge-node\r\nConnection: close\r\n\r\n"]


def test_tls_whoever_signed_it(tmp_path: Path) -> None:
    certificate, key = a_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    assert len(asyncio.run(asked(says(b"HTTP/1.1 204 No Content\r\n\r\n"), tls=tls))) == 1
    assert asyncio.run(asked(says(b"HTTP/1.1 200 OK\r\n\r\n"), with_tls=True, longest_s=1.0)) == [], "no TLS there"


def test_silence_a_refusal_and_an_end_in_between_leave_nothing() -> None:
    assert asyncio.run(asked(is_mute, longest_s=0.2)) == []

    async def nobody() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            target = Target(address="127.0.0.1", kind=ProbeKind.HTTP, port=free.getsockname()[1])
        heard: list[float] = []
        probe = opener()(LOOPBACK, target, lambda at, rtt_s: heard.append(rtt_s))
        assert isinstance(probe, HttpProbe) and probe.is_pinned
        probe.ask(boot_time())
        await asyncio.wait(probe._open)
        assert heard == [], "who refuses serves nothing"
        server = await asyncio.start_server(is_mute, "127.0.0.1", 0)
        open_target = Target(address="127.0.0.1", kind=ProbeKind.HTTPS, port=server.sockets[0].getsockname()[1])
        probe = opener()(LOOPBACK, open_target, lambda at, rtt_s: heard.append(rtt_s))
        assert isinstance(probe, HttpProbe)
        for _ in range(3):
            probe.ask(boot_time())
            await asyncio.sleep(0.02)
        probe.close()
        await asyncio.wait(set(asyncio.all_tasks()) - {asyncio.current_task()}, timeout=5)
        assert not probe._open
        server.close()

    asyncio.run(nobody())
    gc.collect()  # an unclosed socket would be a warning, and a warning is an error


def test_a_line_that_is_not_there() -> None:
    async def there() -> None:
        target = Target(address="127.0.0.1", kind=ProbeKind.HTTP)
        with pytest.raises((OSError, NotPermitted)):
            opener()(Pin(interface="en-none", address=None), target, lambda at, rtt_s: None)

    asyncio.run(there())
