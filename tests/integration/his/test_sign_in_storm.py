"""Twenty who guess at passwords at once: whoever is at work saves meanwhile, and does not stand behind them."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest

from edge_node.his.staff.model import Role
from edge_node.his.staff.passwords import HASHED_AT
from tests.support.desk import Desk, hidden, new_key
from tests.support.his import a_his
from tests.support.served_clinic import Served, a_served_clinic
from tests.support.waiting import until

# An address is locked after thirty.
GUESSES = 20


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with a_served_clinic(tmp_path) as served:
        yield served


def guess(served: Served, code: str) -> bytes:
    """A sign-in with a wrong password as it travels, from a browser of its own that has opened the page before."""
    with Desk(f"http://127.0.0.1:{served.service.port}") as desk:
        form = {"csrf_token": hidden(desk.get("/login").body, "csrf_token"), "code": code, "password": "a wrong guess"}
        body = urlencode({**form, "station": "1"}).encode()
        head = (
            f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{served.service.port}\r\nCookie: {desk.cookie()}\r\n"
            f"Origin: {desk.url}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def answered(connections: list[socket.socket]) -> int:
    return len(select.select(connections, [], [], 0)[0])


def test_a_save_does_not_stand_behind_a_storm_of_sign_ins(served: Served) -> None:
    registrar, guesses = served.desk(Role.REGISTRAR), [guess(served, f"nobody{n}") for n in range(GUESSES)]
    person = {
        "request_key": new_key(), "name": "单雅琴", "sex": "2", "birth_date": "1980-03-14", "id_type": "none",
        "department_id": served.department(),
    }  # fmt: skip
    with ExitStack() as stack:
        storm = [stack.enter_context(served.service.connect()) for _ in guesses]
        for connection, sent in zip(storm, guesses, strict=True):
            connection.sendall(sent)
        until(lambda: answered(storm))
        saved = registrar.post("/reception", person)
        before = answered(storm)
        assert (saved.status, "registered=" in saved.location) == (302, True), saved.body
        # One after the other, they take as many times 46 ms; a save takes less than two of them.
        assert before <= GUESSES // 2, f"{before} of {GUESSES} guesses were answered first"
        until(lambda: answered(storm) == GUESSES)
        said = {connection.recv(64).split()[1] for connection in storm}
    assert said == {b"422"}


def test_the_paths_that_hash_are_those_of_the_sign_in_and_the_password(tmp_path: Path) -> None:
    """The server knows them by their path; a route that moves takes its entry along."""
    with a_his(tmp_path) as his:
        posts = {
            rule.endpoint: rule.rule for rule in his.app.url_map.iter_rules() if "POST" in (rule.methods or ())
        }  # fmt: skip
    assert {posts["staff.sign_in"], posts["staff.password"]} == HASHED_AT
