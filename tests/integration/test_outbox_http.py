"""One attempt over HTTP against receivers that misbehave on the socket itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from edge_node.base.clock import SystemClock
from edge_node.outbox.model import Message, Outcome, Result
from edge_node.outbox.transport.http import ANSWER_BYTES, HttpTransport
from tests.support.messages import a_message
from tests.support.upstream import upstream_simulator

WHOLE_S = 1.0


def attempt(url: str, *messages: Message) -> list[Outcome]:
    """Deliver one after the other, over one transport."""

    async def main() -> list[Outcome]:
        transport = HttpTransport(url, node_id="clinic-0042", token_path=None, clock=SystemClock(), whole_s=WHOLE_S)
        try:
            return [await transport.deliver(message) for message in messages]
        finally:
            await transport.close()

    return asyncio.run(main())


@contextlib.contextmanager
def a_server(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """One connection after the other is answered by the function, after the request has come."""
    end = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def serve() -> None:
        while not end.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    with contextlib.suppress(OSError):
                        answer(connection, end)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/messages"
    finally:
        end.set()
        thread.join(10)
        listener.close()


def trickle(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not end.wait(0.05):
        connection.sendall(b"X: y\r\n")


def endless(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    while not end.is_set():
        connection.sendall(b"x" * ANSWER_BYTES)


def broken_off(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf")


def no_http(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


@pytest.mark.parametrize(
    "answer, result",
    [
        pytest.param(trickle, Result.SILENT, id="an-answer-that-trickles-for-ever"),
        pytest.param(lambda connection, end: end.wait(5), Result.SILENT, id="none"),
        pytest.param(endless, Result.DELIVERED, id="one-that-never-ends-after-its-status"),
        pytest.param(broken_off, Result.DELIVERED, id="one-that-breaks-off-after-its-status"),
        pytest.param(no_http, Result.BROKEN, id="no-http"),
        pytest.param(lambda connection, end: None, Result.BROKEN, id="hangs-up"),
    ],
)
def test_what_comes_of_an_odd_answer(answer: Callable[[socket.socket, threading.Event], None], result: Result) -> None:
    with a_server(answer) as url:
        began = time.monotonic()
        (outcome,) = attempt(url, a_message())
        assert time.monotonic() - began < WHOLE_S + 2.0
    assert outcome.result is result


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (outcome,) = attempt(f"http://127.0.0.1:{port}/messages", a_message())
    assert outcome.result is Result.UNREACHABLE


def test_a_body_that_is_not_what_was_put_is_never_sent() -> None:
    with upstream_simulator() as upstream:
        (outcome,) = attempt(upstream.url, replace(a_message(), body='{"patient":{"id":"p2"}}'))
        assert outcome.result is Result.DAMAGED and upstream.arrivals == []


def test_a_connection_is_used_again() -> None:
    with upstream_simulator() as upstream:
        outcomes = attempt(upstream.url, *(a_message(seq) for seq in range(5)))
        assert [outcome.result for outcome in outcomes] == [Result.DELIVERED] * 5
        assert upstream.connections == 1
