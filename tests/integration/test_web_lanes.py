"""What saves something is answered while every thread that looks is held up, and the other way round."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from edge_node.services.web_lanes import Lanes, Looks
from tests.support.waiting import until

LOOKING, SAVING = 2, 1


class Held:
    """A WSGI application that answers requests of one method only once it is let go; `came` counts what has begun."""

    def __init__(self, method: str) -> None:
        self._method, self.go, self.came = method, threading.Event(), 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.came += 1
        if environ["REQUEST_METHOD"] == self._method:
            assert self.go.wait(30)
        start_response("200 OK", [])
        return [environ["REQUEST_METHOD"].encode()]


async def ask(app: Lanes, method: str) -> bytes:
    """One request; the body of its answer."""
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "http_version": "1.1", "headers": []}
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
    app = Lanes(slow, looking=LOOKING, saving=SAVING, send_queue=8)

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
