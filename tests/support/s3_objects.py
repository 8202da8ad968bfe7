"""The objects of a bucket as a test handles them, behind the program's back; and a store that lets nobody delete."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import obstore
from obstore.store import S3Store

from tests.support.s3 import BUCKET, KEY, S3Server

FORBIDDEN = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no right to delete</Message></Error>'


def objects_of(server: S3Server) -> S3Store:
    """The bucket of a server."""
    return S3Store(
        BUCKET,
        endpoint=server.endpoint,
        access_key_id=KEY[0],
        secret_access_key=KEY[1],
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def keys_of(store: S3Store, prefix: str) -> list[str]:
    return sorted(meta["path"] for chunk in obstore.list(store, prefix) for meta in chunk)


@dataclass
class Refusing:
    """A proxy before a store that hands everything on but what deletes (and, if so wished, what overwrites).

    `refused` are the requests that it refused. It stands for a key whose policy grants no DeleteObject; moto grants it.
    """

    port: int
    server_port: int
    refuses_overwrites: bool = False
    refused: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def refusing_deletes(server: S3Server, *, overwrites: bool = False) -> Iterator[Refusing]:
    """The proxy, running; closed on the way out."""
    handler = type("_Bound", (_Handler,), {})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.daemon_threads = True
    found = Refusing(port=proxy.server_address[1], server_port=server.port, refuses_overwrites=overwrites)
    handler.proxied = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxied: Refusing

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self._is_refused():
            self.proxied.refused.append(f"{self.command} {self.path}")
            self._answer(403, {"Content-Type": "application/xml"}, FORBIDDEN)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.proxied.server_port, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            dropped = _HOP_BY_HOP if self.command == "HEAD" else (*_HOP_BY_HOP, "content-length")
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in dropped}
            self._answer(answer.status, kept, content)
        except OSError:
            self.close_connection = True
        finally:
            connection.close()

    def _is_refused(self) -> bool:
        if self.command == "DELETE" and "uploadId" not in self.path:
            return True
        is_bulk_delete = self.command == "POST" and self.path.rstrip("=").endswith("?delete")
        is_overwrite = self.command == "PUT" and self.headers.get("If-None-Match") is None
        return is_bulk_delete or (self.proxied.refuses_overwrites and is_overwrite)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 (names of the library)

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


_HOP_BY_HOP = ("connection", "transfer-encoding", "keep-alive", "date", "server")
