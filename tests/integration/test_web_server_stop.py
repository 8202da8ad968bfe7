"""A server that stops while somebody is about to ask."""

from __future__ import annotations

import asyncio
import socket

from edge_node.services.web_server import Message, Receive, Send, make_server


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def test_who_has_connected_before_the_stop_is_still_answered() -> None:
    """As at every restart of the HIS: new connections wait for the next process, this one belongs to us."""

    async def story() -> bytes:
        server = make_server(hello, tls=None)
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(60):
            while not server.started:
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection(*address)
            while not server.server_state.connections:
                await asyncio.sleep(0.01)
            server.should_exit = True
            while any(each.sockets for each in server.servers):
                await asyncio.sleep(0.01)
            writer.write(b"GET / HTTP/1.1\r\nHost: clinic\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await serving
        return answer

    answer = asyncio.run(story())
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"hello")
