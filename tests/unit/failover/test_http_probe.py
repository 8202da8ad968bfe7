"""What counts as an answer of an application."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.probes.http import status_of


@pytest.mark.parametrize(
    "line, status",
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.0 404\r\n", 404),
        (b"HTTP/1.1 503 Service Unavailable\r\n", 503),
        (b"", None),
        (b"HTTP/1.1 \r\n", None),
        (b"HTTP/1.1 20 OK\r\n", None),
        (b"HTTP/1.1 2000 OK\r\n", None),
        (b"HTTP/2 200\r\n", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
        ("HTTP/1.1 ٢٠٠ OK\r\n".encode(), None),
    ],
)
def test_the_first_line(line: bytes, status: int | None) -> None:
    assert status_of(line) == status


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_no_line_breaks_it(line: bytes) -> None:
    found = status_of(line)
    assert found is None or 0 <= found <= 999
