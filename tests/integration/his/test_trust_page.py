"""The page on trust and the file that it speaks of, before anybody has signed in; and the phone on error pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from edge_node.his.context import EXTENSION
from edge_node.tls.trusted import as_shown, rows
from tests.support.authorities import an_authority
from tests.support.his import His, a_his

FOUND = an_authority().found
AUTHORITY = as_shown(FOUND)


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path, secure=True) as his:
        yield his


def trusted(his: His, *, contact: str | None = None) -> None:
    his.app.extensions[EXTENSION] = replace(his.context, authority=lambda: AUTHORITY, contact=contact)


def test_nobody_has_to_sign_in_to_read_how_the_node_is_trusted(his: His) -> None:
    trusted(his)
    answer = his.client.get("/trust", base_url="https://192.168.1.10")
    assert answer.status_code == 200
    for row in (*rows(AUTHORITY.sha256), *rows(AUTHORITY.sha1)):
        assert row in answer.text
    assert "https://192.168.1.10/trust" in answer.text, "printed, it says where it came from"
    assert "请找管理员" in answer.text, "in the clinic's language: this computer has chosen none"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text and "<style" not in answer.text


def test_the_file_is_the_authority_in_the_form_that_every_system_opens(his: His) -> None:
    trusted(his)
    answer = his.client.get("/trust/ca.crt")
    assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
    assert answer.headers["Content-Disposition"] == 'inline; filename="edge-node-clinic-0042.crt"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert x509.load_der_x509_certificate(answer.data) == FOUND.certificate
    assert his.client.post("/trust/ca.crt").status_code in (400, 403, 405)


def test_a_node_without_an_authority_says_that_there_is_nothing_to_do(his: His) -> None:
    page = his.client.get("/trust")
    assert page.status_code == 200 and "There is nothing to do on this computer" in page.text
    assert his.client.get("/trust/ca.crt").status_code == 404
    assert "/trust" not in his.client.get("/login").text


def test_the_sign_in_shows_the_way_to_it(his: His) -> None:
    trusted(his)
    assert 'href="/trust"' in his.client.get("/login").text


def test_whom_to_call_stands_where_something_is_wrong(his: His) -> None:
    trusted(his, contact="王工 138 0000 0000")
    assert "王工 138 0000 0000" in his.client.get("/trust").text

    def broken() -> str:
        raise RuntimeError("a bug")

    his.app.testing = False
    his.app.view_functions["trust.index"] = broken
    broken.public = True  # type: ignore[attr-defined]
    page = his.client.get("/trust")
    assert page.status_code == 500
    assert "王工 138 0000 0000" in page.text and "and give the number" in page.text
