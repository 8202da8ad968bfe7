"""The page that Prometheus reads, as an ASGI application.

ASGI and not the client's WSGI page: the node is read in a thread, and the answer is then sent by the event loop, so
that a reader that is slow, or stops half way, holds no thread.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

PATH = "/metrics"
_PLAIN = {"content-type": "text/plain; charset=utf-8"}


def metrics_app(registry: CollectorRegistry) -> App:
    """GET and HEAD of /metrics give the registry in the format that was asked for; nothing else is here.

    `?name[]=edge_mode` narrows the answer to single names, as the clients of Prometheus do. Who takes gzip, as
    Prometheus does, gets a quarter of the bytes: the page may travel over a line that is paid by volume.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status, headers, body = await asyncio.to_thread(_answer, registry, scope)
        told = [
            (name.encode(), value.encode()) for name, value in {**headers, "content-length": str(len(body))}.items()
        ]
        await send({"type": "http.response.start", "status": int(status), "headers": told})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def _answer(registry: CollectorRegistry, scope: Scope) -> tuple[HTTPStatus, dict[str, str], bytes]:
    if scope["path"] != PATH:
        return HTTPStatus.NOT_FOUND, _PLAIN, f"There is only {PATH} here.\n".encode()
    if scope["method"] not in ("GET", "HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, {**_PLAIN, "allow": "GET, HEAD"}, b"Metrics are read with GET.\n"
    encode, kind = choose_encoder(_header(scope, b"accept"))
    names = parse_qs(scope["query_string"].decode("latin-1")).get("name[]")
    body = encode(registry.restricted_registry(names) if names else registry)
    if gzip_accepted(_header(scope, b"accept-encoding")):
        return HTTPStatus.OK, {"content-type": kind, "content-encoding": "gzip"}, gzip.compress(body)
    return HTTPStatus.OK, {"content-type": kind}, body


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")
