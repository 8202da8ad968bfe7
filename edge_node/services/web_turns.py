"""A web service's life: it listens, says that it is ready, takes a turn every few seconds, and stops in order."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

from edge_node.base.logs import event
from edge_node.base.systemd import notify
from edge_node.config.values import Endpoint
from edge_node.services.web_server import Server

READY_POLL_S = 0.01


def run_until_signal(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `serve` with an event that SIGTERM and SIGINT set. Blocks; must be called in the main thread."""

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(stop)

    asyncio.run(main())


def address_of(listener: socket.socket) -> Endpoint:
    """Where it listens, with the port that a port of 0 became."""
    host, port = listener.getsockname()[:2]
    return Endpoint(host=host, port=port)


async def serve_in_turns(
    service: str,
    server: Server,
    sockets: list[socket.socket],
    stop: asyncio.Event,
    *,
    turn: Callable[[], None],
    every_s: float,
    last_words: Callable[[], None],
    on_ready: Callable[[Endpoint], None] | None,
) -> None:
    """Serve until `stop` is set or the server ends by itself.

    The first `turn` comes before READY=1, and each later one before it pets the watchdog: a service that hangs is seen.
    Turns run in a thread. `last_words` follow when the last request has its answer.
    """
    serving = asyncio.create_task(server.serve(sockets=sockets))
    try:
        while not (server.started or serving.done()):
            await asyncio.sleep(READY_POLL_S)
        await asyncio.to_thread(turn)
        notify("READY=1")
        endpoint = address_of(sockets[0])
        event(f"{service}_started", listen=endpoint, tls=server.config.is_ssl)
        if on_ready is not None:
            on_ready(endpoint)
        while not await _is_over(stop, serving, every_s):
            await asyncio.to_thread(turn)
            notify("WATCHDOG=1")
    finally:
        notify("STOPPING=1")
        server.should_exit = True
        await serving
        last_words()
        event(f"{service}_stopped")


async def _is_over(stop: asyncio.Event, serving: asyncio.Task[None], every_s: float) -> bool:
    """False when the next turn is due; true as soon as there is none (told to stop, or the server ended)."""
    told = asyncio.create_task(stop.wait())
    over, _ = await asyncio.wait((told, serving), timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    return bool(over)
