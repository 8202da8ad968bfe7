"""Serving in process: uvicorn, with the signals left to us, and requests that hold no thread while they arrive.

uvicorn keeps slow and half-open connections on the event loop, where each costs a few kilobytes; a2wsgi would give one
of its threads to a body that trickles in. So a body is collected first.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

from edge_node.base.errors import ExitCode, ServiceError
from edge_node.base.systemd import inherited_sockets
from edge_node.config.values import Endpoint
from edge_node.tls.place import Place, unusable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

# A form is some kilobytes; whoever needs longer for it is not a browser of the clinic.
BODY_TIMEOUT_S = 20.0
# uvicorn closes at once what has connected and not asked yet, and forgets who is still shaking hands: a browser needs
# some round trips on the clinic's own network for both.
LINGER_S = 0.5
# Pages take milliseconds: whoever has not taken his answer by then is not waited for.
STOP_GRACE_S = 2


class WholeBody:
    """Hands a request on when its body is there; of a body that is too long only the beginning, to be refused."""

    def __init__(self, app: AsgiApp, *, limit_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._collect(receive)
        except TimeoutError:
            await send({"type": "http.response.start", "status": 408, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if body is None:
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)

    async def _collect(self, receive: Receive) -> bytes | None:
        """The body, or None when the client left."""
        body, more = bytearray(), True
        while more and len(body) <= self._limit_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn raises SIGTERM again after its shutdown, and nothing behind it would run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Who has just connected is still answered; who comes now waits in the socket unit's for the next process."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(LINGER_S)
        await super().shutdown(sockets)


class ShownCertificate:
    """The certificate that new connections are shown; it may be exchanged while they come in.

    An exchange is the assignment of a context that was loaded whole: no handshake meets a half-loaded one, and what
    cannot be loaded changes nothing.
    """

    def __init__(self, place: Place) -> None:
        """Raises ConfigError certificate-unusable."""
        self.place = place
        self._context = _loaded(place)

    def exchange(self, place: Place) -> None:
        """Show another one from now on. Raises ConfigError certificate-unusable; then the former stays."""
        self._context, self.place = _loaded(place), place

    def follow(self, context: ssl.SSLContext) -> None:
        """Make each handshake of `context` use the certificate of the moment, also one by address, without a name."""

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = self._context

        context.sni_callback = choose


def make_server(app: AsgiApp, *, tls: ShownCertificate | None) -> Server:
    """A server that is not yet listening."""
    config = uvicorn.Config(
        app, loop="asyncio", http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=STOP_GRACE_S,
        ssl_certfile=tls.place.certificate if tls else None, ssl_keyfile=tls.place.key if tls else None,
    )  # fmt: skip
    config.load()
    if tls is not None and config.ssl is not None:
        tls.follow(config.ssl)
    return Server(config)


def _loaded(place: Place) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(place.certificate, place.key)
    except (OSError, ssl.SSLError) as error:
        raise unusable(place, str(error)) from error
    return context


@contextlib.contextmanager
def listening(endpoint: Endpoint, *, setting: str) -> Iterator[list[socket.socket]]:
    """Listening sockets: those that systemd passed, else one on `endpoint`.

    `setting` names it in the configuration. Raises ServiceError already-running or privilege-missing.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(found) for found in inherited_sockets()]
        if not sockets:
            family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
            try:
                made = socket.create_server((endpoint.host, endpoint.port), family=family, backlog=512)
            except OSError as error:
                raise _cannot_listen(endpoint, error, setting) from error
            sockets.append(stack.enter_context(made))
        for each in sockets:
            # Accepted connections inherit it. Head and body of an answer are sent one after the other; without it the
            # second waits for the browser's delayed acknowledgement of the first (measured: 44 ms instead of 5).
            if each.family in (socket.AF_INET, socket.AF_INET6):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sockets


def _cannot_listen(endpoint: Endpoint, error: OSError, setting: str) -> ServiceError:
    if error.errno == errno.EADDRINUSE:
        return ServiceError(
            "already-running",
            f"another program listens on {endpoint}",
            context=None,
            hint=f"ss -ltnp 'sport = :{endpoint.port}' shows it; {setting} changes our address",
        )
    return ServiceError(
        "privilege-missing",
        f"{endpoint} cannot be listened on: {error.strerror}",
        context="ports below 1024 and addresses of other machines are not ours to take",
        hint=f"set {setting} to an address of this machine and a port from 1024 on, or let the socket unit listen",
        exit_code=ExitCode.NETWORK,
    )
