"""Threads for the pages in three lanes: what saves something never stands behind what is only looked at, and nobody who
is at work stands behind those who sign in.

All threads share one interpreter, so that more of them finish nothing sooner: each only waits longer for its share.
What waits, waits in front of a lane, in the order in which it came. While something is being saved, looks begin one at
a time: a write then has a larger share, and the processor is never idle for it. A password costs as much as a dozen
pages, on purpose, and whoever guesses at one asks for that with every guess: in a lane of their own the guesses wait
for each other.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from a2wsgi import WSGIMiddleware

from edge_node.services.web_server import AsgiApp, Message, Receive, Send

P = ParamSpec("P")
T = TypeVar("T")

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
# A write that takes longer waits for something else than the processor, such as a disk; looks wait for it no more.
SHORT_S = 0.3


class Lanes:
    """A WSGI application as an ASGI one. `looking`, `saving` and `entering` are threads, `entrances` the paths whose
    posts ask for a password, `send_queue` as many chunks of an answer as wait for a slow reader."""

    def __init__(
        self, app: Any, *, looking: int, saving: int, entering: int, entrances: Collection[str], send_queue: int
    ) -> None:
        self._looks = Looks(looking)
        self._looking = WSGIMiddleware(app, workers=looking, send_queue_size=send_queue)
        self._looking.executor = self._looks
        self._saving = WSGIMiddleware(app, workers=saving, send_queue_size=send_queue)
        self._entering = WSGIMiddleware(app, workers=entering, send_queue_size=send_queue)
        self._entrances = frozenset(entrances)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope.get("method", "GET") in _LOOKS:
            await cast(AsgiApp, self._looking)(scope, receive, send)
            return
        if scope.get("path", "").rstrip("/") in self._entrances:
            await cast(AsgiApp, self._entering)(scope, receive, send)
            return
        one = object()
        self._looks.hold_back(one)
        timer = asyncio.get_running_loop().call_later(SHORT_S, self._looks.go_on, one)
        try:
            await cast(AsgiApp, self._saving)(scope, receive, send)
        finally:
            timer.cancel()
            self._looks.go_on(one)

    def shutdown(self) -> None:
        """Begin nothing more; what has begun is answered."""
        for lane in (self._looking, self._saving, self._entering):
            lane.executor.shutdown(wait=False, cancel_futures=True)


class Looks(ThreadPoolExecutor):
    """Threads of which one alone begins something new while anybody holds them back."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="look")
        self._most, self._at_work = threads, 0
        self._lock = threading.Lock()
        self._held_by: set[object] = set()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, lambda: fn(*args, **kwargs)))
        self._begin()
        return future

    def hold_back(self, one: object) -> None:
        with self._lock:
            self._held_by.add(one)

    def go_on(self, one: object) -> None:
        """Held back by this one no more; may be said twice."""
        with self._lock:
            self._held_by.discard(one)
        self._begin()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            future.cancel()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _begin(self) -> None:
        with self._lock:
            while self._waiting and self._at_work < (1 if self._held_by else self._most):
                future, work = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    self._at_work += 1
                    super().submit(self._work, future, work)

    def _work(self, future: Future[Any], work: Callable[[], Any]) -> None:
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            with self._lock:
                self._at_work -= 1
            self._begin()
