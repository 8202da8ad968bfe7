"""What saves something is answered while every thread that looks is held up, and the other way round; and both while
every thread that takes a sign-in is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from edge_node.services.web_lanes import Lanes, Looks
from tests.support.waiting import until

LOOKING, SAVING, ENTERING = 2, 1, 1
ENTRANCE = "/login"


class Held:
    """A WSGI application that answers requests of one method (and, if given, to one path) only once it is let go;
    `came` counts what has begun."""

    def __init__(self, method: str, path: str = "") -> None:
        self._method, self._path, self.go, self.came = method, path, threading.Event(), 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.came += 1
        if environ["REQUEST_METHOD"] == self._method and self._path in ("", environ["PATH_INFO"]):
            assert self.go.wait(30)
        start_response("200 OK", [])
        return [environ["REQUEST_METHOD"].encode()]


def lanes(app: Held) -> Lanes:
    return Lanes(
        app, looking=LOOKING, saving=SAVING, entering=ENTERING, entrances=(ENTRANCE,), send_queue=8
    )  # fmt: skip


async def ask(app: Lanes, method: str, path: str = "/") -> bytes:
    """One request; the body of its answer."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "http_version": "1.1", "headers": []}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    ("held", "other", "threads"),
    [("GET", "POST", LOOKING), ("HEAD", "PUT", LOOKING), ("POST", "GET", SAVING), ("PATCH", "OPTIONS", SAVING)],
)
def test_a_full_lane_holds_up_itself_alone(held: str, other: str, threads: int) -> None:
    slow = Held(held)
    app = lanes(slow)

    async def story() -> None:
        waiting = [asyncio.create_task(ask(app, held)) for _ in range(threads + 3)]
        try:
            assert await asyncio.wait_for(ask(app, other), timeout=20) == other.encode()
            assert slow.came == threads + 1 and not any(task.done() for task in waiting)
        finally:
            slow.go.set()
        assert await asyncio.gather(*waiting) == [held.encode()] * len(waiting)

    try:
        asyncio.run(story())
    finally:
        app.shutdown()


@pytest.mark.parametrize("entrance", [ENTRANCE, f"{ENTRANCE}/"])
def test_sign_ins_hold_up_themselves_alone(entrance: str) -> None:
    slow = Held("POST", entrance)
    app = lanes(slow)

    async def story() -> None:
        storm = [asyncio.create_task(ask(app, "POST", entrance)) for _ in range(20)]
        try:
            for method in ("POST", "GET", "GET", "POST"):
                assert await asyncio.wait_for(ask(app, method, "/reception"), timeout=20) == method.encode()
            # The page of the sign-in is looked at like any other.
            assert await asyncio.wait_for(ask(app, "GET", entrance), timeout=20) == b"GET"
            assert slow.came == ENTERING + 5 and not any(task.done() for task in storm)
        finally:
            slow.go.set()
        assert await asyncio.gather(*storm) == [b"POST"] * len(storm)

    try:
        asyncio.run(story())
    finally:
        app.shutdown()


def test_work_that_stands_still_keeps_nobody_from_signing_in() -> None:
    slow = Held("POST", "/reception")
    app = lanes(slow)

    async def story() -> None:
        waiting = [asyncio.create_task(ask(app, "POST", "/reception")) for _ in range(SAVING + 2)]
        try:
            assert await asyncio.wait_for(ask(app, "POST", ENTRANCE), timeout=20) == b"POST"
            assert not any(task.done() for task in waiting)
        finally:
            slow.go.set()
        await asyncio.gather(*waiting)

    try:
        asyncio.run(story())
    finally:
        app.shutdown()


def test_looks_begin_one_at_a_time_while_something_is_saved() -> None:
    looks, begun, ends = Looks(3), [], [threading.Event() for _ in range(5)]
    save = object()

    def look(n: int) -> int:
        begun.append(n)
        assert ends[n].wait(30)
        return n

    try:
        looks.hold_back(save)
        answers = [looks.submit(look, n) for n in range(5)]
        until(lambda: begun == [0])
        ends[0].set()
        assert answers[0].result(timeout=20) == 0
        until(lambda: begun == [0, 1])
        looks.go_on(save)
        until(lambda: begun == [0, 1, 2, 3])
        # Whoever leaves the row is never begun.
        assert answers[4].cancel()
    finally:
        looks.go_on(save)
        for end in ends:
            end.set()
        looks.shutdown(wait=True)
    assert [answer.result(timeout=20) for answer in answers[:4]] == [0, 1, 2, 3]
    assert begun == [0, 1, 2, 3]


def test_what_fails_in_a_look_reaches_whoever_asked_and_frees_its_place() -> None:
    looks = Looks(1)
    with pytest.raises(ZeroDivisionError):
        looks.submit(lambda: 1 // 0).result(timeout=20)
    assert looks.submit(lambda: 2).result(timeout=20) == 2
    looks.shutdown()
