"""Messages with one-word defaults."""

from __future__ import annotations

from typing import Any

from edge_node.outbox import queue
from edge_node.outbox.model import Message, Route, State, digest
from edge_node.store.connection import Connection, transaction

AT = 1_795_000_000_000
PLATFORM = Route(
    upstream="platform", topics=("encounter", "patient", "statistics.day", "public-health.card", "payment")
)


def a_body(key: str = "p1", **more: Any) -> dict[str, Any]:
    return {"schema": 1, "patient": {"id": key, "name": "单雅琴"}, **more}


def a_message(seq: int = 1, **changes: Any) -> Message:
    """A message as the table would give it."""
    body = '{"patient":{"id":"p1"}}'
    values: dict[str, Any] = {
        "seq": seq, "id": f"{seq:026}", "upstream": "platform", "topic": "encounter", "key": "p1", "rank": 2,
        "body": body, "body_sha256": digest(body), "state": State.QUEUED, "put_at": AT,
    }  # fmt: skip
    return Message(**{**values, **changes})


def put(
    conn: Connection, *keys: str, topic: str = "encounter", routes: tuple[Route, ...] = (PLATFORM,), at: int = AT
) -> list[str]:
    """One message per key, in one transaction; returns the ids."""
    with transaction(conn):
        return [
            message_id
            for n, key in enumerate(keys)
            for message_id in queue.put(conn, topic=topic, key=key, body=a_body(key, n=n), upstreams=routes, at=at)
        ]


def states(conn: Connection) -> dict[str, str]:
    """By message id, in order."""
    return {row["id"]: row["state"] for row in conn.execute("SELECT id, state FROM outbox ORDER BY seq")}
