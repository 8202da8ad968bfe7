"""The page that Prometheus reads, as an ASGI application.

ASGI and not the client's WSGI page: the node is read in a thread, and the answer is then sent by the event loop, so
that a reader that is slow, or stops half way, holds no thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

PATH = "/metrics"
_PLAIN = "text/plain; charset=utf-8"


def metrics_app(registry: CollectorRegistry) -> App:
    """GET and HEAD of /metrics give the registry in the format that was asked for; nothing else is here.

    `?name[]=edge_mode` narrows the answer to single names, as the clients of Prometheus do.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status, kind, body = await asyncio.to_thread(_answer, registry, scope)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def _answer(registry: CollectorRegistry, scope: Scope) -> tuple[HTTPStatus, str, bytes]:
    if scope["path"] != PATH:
        return HTTPStatus.NOT_FOUND, _PLAIN, f"There is only {PATH} here.\n".encode()
    if scope["method"] not in ("GET", "HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, _PLAIN, b"Metrics are read with GET.\n"
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
    encode, kind = choose_encoder(accept)
    names = parse_qs(scope["query_string"].decode("latin-1")).get("name[]")
    return HTTPStatus.OK, kind, encode(registry.restricted_registry(names) if names else registry)
