"""A form that is posted twice is saved once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import UsageError
from edge_node.his import request_key
from edge_node.store.connection import Connection, transaction
from tests.support.databases import his_database


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with his_database(tmp_path) as conn:
        yield conn


def test_the_second_post_finds_the_first_ones_result(conn: Connection) -> None:
    token, done = request_key.new(), []

    def work(_: Connection) -> str:
        done.append(1)
        return f"/patients/{len(done)}"

    answers = [request_key.once(conn, token, work, at=1) for _ in range(3)]
    assert answers == ["/patients/1"] * 3
    assert request_key.once(conn, request_key.new(), work, at=1) == "/patients/2"


def test_work_that_failed_may_be_tried_again_with_its_token(conn: Connection) -> None:
    token = request_key.new()

    def fails(_: Connection) -> str:
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError), transaction(conn):
        request_key.once(conn, token, fails, at=1)
    assert request_key.once(conn, token, lambda _: "/saved", at=2) == "/saved"


def test_old_tokens_are_cleared_and_young_ones_kept(conn: Connection) -> None:
    old, young = request_key.new(), request_key.new()
    now = request_key.KEPT_MS + 10
    for token, at in ((old, 9), (young, 10)):
        request_key.once(conn, token, lambda _: "/", at=at)
    assert request_key.forget(conn, now=now) == 1
    assert [row["token"] for row in conn.execute("SELECT token FROM request_key")] == [young]


@pytest.mark.parametrize(
    "form", [{}, {"request_key": ""}, {"request_key": "x" * 21}, {"request_key": "'; DROP TABLE x" * 2}]
)
def test_a_form_without_a_token_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        request_key.posted(form)
    assert caught.value.code == "request-key-missing"


def test_an_old_token_with_other_fields_is_another_form() -> None:
    form = {"request_key": request_key.new(), "csrf_token": "a", "name": "单雅琴", "address": "a\r\nb"}
    first = request_key.posted_form(form)
    assert request_key.posted_form({**form, "csrf_token": "b", "address": "a\nb"}) == first, "a retry"
    assert request_key.posted_form({**form, "name": "沈玉清"}) != first, "typed anew after going back"
    assert request_key.posted_form({**form, "request_key": request_key.new()}) != first


def test_a_new_token_is_one_that_a_form_may_post() -> None:
    token = request_key.new()
    assert request_key.posted({request_key.FIELD: token}) == token
