"""How a message travels: one method, `deliver`. It raises nothing: what came of it is a value."""

from __future__ import annotations

from typing import Protocol

from edge_node.outbox.model import Message, Outcome


class Transport(Protocol):
    """One upstream's way."""

    async def deliver(self, message: Message) -> Outcome:
        """Try once. Being cancelled is allowed at any time: the message is then sent again under the same key."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
