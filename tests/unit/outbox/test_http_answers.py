from __future__ import annotations

import ssl

import httpx
import pytest

from edge_node.base.http_words import retry_after_s
from edge_node.outbox.model import Result
from edge_node.outbox.transport.http import _not_connected

NOW_MS = 1_795_000_000_000  # Wed, 18 Nov 2026 11:06:40 GMT


@pytest.mark.parametrize(
    "text, seconds",
    [
        pytest.param(None, None, id="not-said"),
        pytest.param("120", 120.0, id="seconds"),
        pytest.param(" 5 ", 5.0, id="with-spaces"),
        pytest.param("Wed, 18 Nov 2026 11:07:10 GMT", 30.0, id="a-date"),
        pytest.param("Wed, 18 Nov 2026 11:07:10", 30.0, id="a-date-without-a-zone"),
        pytest.param("Wed, 18 Nov 2020 11:07:10 GMT", 0.0, id="long-ago"),
        pytest.param("soon", None, id="neither"),
        pytest.param("-5", None, id="negative"),
        pytest.param("１２", None, id="digits-of-another-script"),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, now_ms=NOW_MS) == seconds


def caused_by(cause: BaseException) -> httpx.ConnectError:
    error = httpx.ConnectError("")
    between = RuntimeError()
    between.__context__ = cause
    error.__cause__ = between
    return error


@pytest.mark.parametrize(
    "cause, result",
    [
        pytest.param(ssl.SSLCertVerificationError(1, "unknown"), Result.UNTRUSTED, id="certificate"),
        pytest.param(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), Result.UNTRUSTED, id="no-tls-there"),
        pytest.param(ssl.SSLEOFError(8, "EOF occurred"), Result.UNREACHABLE, id="the-line-broke"),
        pytest.param(ssl.SSLZeroReturnError(6, "closed"), Result.UNREACHABLE, id="hung-up"),
        pytest.param(ConnectionRefusedError(), Result.UNREACHABLE, id="refused"),
    ],
)
def test_a_handshake_that_broke_off_is_the_lines_fault(cause: BaseException, result: Result) -> None:
    assert _not_connected(caused_by(cause)).result is result
