"""Single values: what is read, how it prints back, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BeforeValidator

from edge_node.config import values
from edge_node.config.values import Endpoint, Failback, FailbackKind


def _read(validator: BeforeValidator, value: Any) -> Any:
    function: Callable[[Any], Any] = validator.func  # type: ignore[assignment]
    return function(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("127.0.0.1:8080", Endpoint("127.0.0.1", 8080), id="v4"),
        pytest.param("0.0.0.0:443", Endpoint("0.0.0.0", 443), id="everywhere"),
        pytest.param("[::1]:8080", Endpoint("::1", 8080), id="v6"),
        pytest.param("[fd00::7]:1", Endpoint("fd00::7", 1), id="v6-least-port"),
    ],
)
def test_an_endpoint_prints_as_it_was_written(text: str, expected: Endpoint) -> None:
    assert _read(values.endpoint, text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8080",
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:8080",
        "localhost:8080",
        "127.0.0.1:８０",
        "[127.0.0.1:80",
        "http://127.0.0.1:80",
    ],
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"port"):
        _read(values.endpoint, text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_only_the_machine_itself_is_loopback(host: str, expected: bool) -> None:
    assert Endpoint(host, 80).is_loopback is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("auto", Failback(kind=FailbackKind.AUTO), id="auto"),
        pytest.param("manual", Failback(kind=FailbackKind.MANUAL), id="manual"),
        pytest.param("window 02:00-05:30", Failback(kind=FailbackKind.WINDOW, from_min=120, to_min=330), id="window"),
        pytest.param(
            "window 23:15-01:00", Failback(kind=FailbackKind.WINDOW, from_min=1395, to_min=60), id="over-midnight"
        ),
    ],
)
def test_failback_prints_as_it_was_written(text: str, expected: Failback) -> None:
    assert _read(values.failback, text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "Auto", "window", "window 2:00-5:00", "window 24:00-05:00", "window 02:00-02:00"])
def test_what_is_no_failback(text: str) -> None:
    with pytest.raises(ValueError, match="window"):
        _read(values.failback, text)


@pytest.mark.parametrize(
    "text",
    [
        "file:///mnt/nas",
        "file:///mnt/nas 2",
        "file:///mnt/100%/#1",
        "s3://bucket/a/b",
        "gs://bucket",
        "az://container/x",
    ],
)
def test_urls_of_destinations(text: str) -> None:
    assert _read(values.url(("s3", "gs", "az", "file"), "s3://bucket/prefix"), text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3:/bucket",
        "s3://",
        "S3://bucket",
        "s3://bucket?x=1",
        "s3://bucket#x",
        "s3://b ucket",
        "s3://bucket:port",
        "http://bucket",
        "file://",
        "file:///",
        "file://mnt",
        "file:///mnt/../etc",
        "file:///mnt\n",
        "s3://[::1",
    ],
)
def test_what_is_no_destination(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        _read(values.url(("s3", "gs", "az", "file"), "s3://bucket/prefix"), text)


@pytest.mark.parametrize("text", ["https://me:secret@example.com/", "https://token@example.com/"])
def test_a_url_with_a_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="no secret belongs in this file") as raised:
        _read(values.url(("https",), "https://example.com"), text)

    assert "example" not in str(raised.value)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 57), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_recipients_are_judged_as_age_judges_them(position: int, char: str) -> None:
    """A real recipient, and every one that differs from it in one character."""
    real = "age1puke85mf2n2f0l8ua8h748kv9ufdrth8v7lutkcns0amjskwvxesz88v8c"
    text = real[: 4 + position] + char + real[5 + position :]
    try:
        pyrage.x25519.Recipient.from_str(text)
        is_recipient = True
    except pyrage.RecipientError:
        is_recipient = False

    if is_recipient:
        assert _read(values.recipient, text) == text
    else:
        with pytest.raises(ValueError, match="not an age recipient"):
            _read(values.recipient, text)


def test_a_new_recipient_is_accepted() -> None:
    recipient = str(pyrage.x25519.Identity.generate().to_public())

    assert _read(values.recipient, recipient) == recipient


@pytest.mark.parametrize("text", ["", "age1", "age1abc", "ssh-ed25519 AAAA", "AGE1PUKE85MF2N2F0"])
def test_what_is_no_recipient(text: str) -> None:
    with pytest.raises(ValueError, match="not an age recipient"):
        _read(values.recipient, text)


def test_a_long_value_is_cut_where_it_is_repeated() -> None:
    assert values.shown("x" * 200) == f'"{"x" * 80}…"'
