"""The page that Prometheus reads, asked without a socket."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitoring.collector import make_registry
from monitoring.endpoint import metrics_app
from monitoring.families import FAMILIES
from monitoring.snapshot import Build, NodeSnapshot

NODE = NodeSnapshot(
    build=Build(version="0.1.0", litestream="0.5.17", sqlite="3.53.0"),
    mode="online",
    superseded=False,
    service_written_at={"his": 1_764_000_000.0},
    clock_synchronised=True,
    disk_free_bytes={'/a "quoted" \\ path': 1},
    wal_bytes={},
    litestream_restarts=3,
    certificate_not_after={},
)


def ask(
    path: str = "/metrics", *, method: str = "GET", query: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Headers are named with `_` for `-`."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the request has no body to read")

    asked = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "method": method, "query_string": query.encode(), "headers": asked}
    asyncio.run(metrics_app(make_registry(lambda: NODE))(scope, receive, send))
    start, body = sent
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body["body"]


def test_metrics_are_readable_by_the_clients_own_parser() -> None:
    status, headers, body = ask()
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert int(headers["content-length"]) == len(body)
    # The parser returns what it reads of HELP and TYPE, with or without a sample; it drops _total of a counter.
    names = {family.name for family in parse_text(body.decode())}
    assert names == {family.name.removesuffix("_total") for family in FAMILIES}
    (disk,) = (family for family in parse_text(body.decode()) if family.name == "edge_disk_free_bytes")
    assert disk.samples[0].labels == {"path": '/a "quoted" \\ path'}


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    _, headers, body = ask(accept="application/openmetrics-text; version=1.0.0")
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    kinds = {family.name: family.type for family in openmetrics.text_string_to_metric_families(body.decode())}  # type: ignore[no-untyped-call]
    assert kinds["edge_build"] == "info"
    assert kinds["edge_litestream_restarts"] == "counter"


def test_names_narrow_the_answer() -> None:
    _, _, body = ask(query="name[]=edge_litestream_restarts_total&name[]=edge_clock_synchronised")
    samples = [line for line in body.decode().splitlines() if not line.startswith("#")]
    assert sorted(samples) == ["edge_clock_synchronised 1.0", "edge_litestream_restarts_total 3.0"]


def test_head_has_the_headers_and_no_body() -> None:
    status, headers, body = ask(method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 1000


def test_who_takes_gzip_gets_the_same_page_in_less_than_half_the_bytes() -> None:
    _, _, plain = ask()
    _, headers, body = ask(accept_encoding="gzip, deflate")
    assert gzip.decompress(body) == plain
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) == len(body) < len(plain) / 2
    assert "content-encoding" not in ask(accept_encoding="identity")[1]


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/metrics/", "/metrics/x"])
def test_nothing_else_is_here(path: str) -> None:
    assert ask(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_metrics_are_only_read(method: str) -> None:
    status, headers, _ = ask(method=method)
    assert status == 405
    assert headers["allow"] == "GET, HEAD"
