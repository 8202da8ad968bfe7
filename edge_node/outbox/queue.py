"""The table of messages in his.db. `put` is for the HIS, the rest for the sender and the command line.

Whoever writes calls within a transaction of its own; nothing here begins one, commits, or touches the network.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ulid import ULID

from edge_node.base.errors import OutboxError, UsageError
from edge_node.outbox.model import Act, Acted, Message, Route, Settlement, State, digest
from edge_node.outbox.policy import CAP_S, MONEY, RETRY_AFTER_CAP_S, rank
from edge_node.store.connection import Connection, Row

# A message that waits for longer than any wait lasts was put to wait by a clock that ran ahead.
_LONGEST_WAIT_MS = round(max(CAP_S, RETRY_AFTER_CAP_S) * 1000)

_COLUMNS = (
    "m.seq, m.id, m.upstream, m.topic, m.key, m.rank, m.body, m.body_sha256, m.state, m.attempts, m.put_at, "
    "m.tried_at, m.next_at, m.settled_at, m.outcome, m.outcome_words"
)


def _message(row: Row) -> Message:
    return Message(**{**dict(row), "body_sha256": bytes(row["body_sha256"]), "state": State(row["state"])})


def _need_transaction(conn: Connection) -> None:
    if not conn.in_transaction:
        raise OutboxError(
            "no-transaction",
            "a message was to be written outside of a transaction",
            context="message and cause must be kept together, or not at all",
            hint="call it within a piece of work of the writing thread, or in store.connection.transaction",
        )


def put(
    conn: Connection, *, topic: str, key: str, body: Mapping[str, Any], upstreams: Sequence[Route], at: int
) -> list[str]:
    """Tell every upstream that wants the topic; returns the ids of the messages, none where nobody does.

    The body is frozen here. Order is kept per `key`: what must arrive in order shares one. Raises OutboxError
    no-transaction.
    """
    _need_transaction(conn)
    takers = [route.upstream for route in upstreams if topic in route.topics]
    if not takers:
        return []
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    common = {"topic": topic, "key": key, "rank": rank(topic), "at": at, "sha256": digest(text), "body": text}
    rows = [{**common, "id": str(ULID.from_timestamp(at)), "upstream": upstream} for upstream in takers]
    conn.executemany(
        """
        INSERT INTO outbox (id, upstream, topic, key, rank, put_at, body_sha256, body)
        VALUES (:id, :upstream, :topic, :key, :rank, :at, :sha256, :body)
        """,
        rows,
    )
    return [str(row["id"]) for row in rows]


def due(
    conn: Connection,
    upstream: str,
    *,
    now_ms: int,
    limit: int,
    passed: Collection[int] = (),
    held: Collection[int] = (),
    waited_before_ms: int = 0,
    any_time: bool = False,
) -> list[Message]:
    """What may be sent now: of each key the first that is not done, in the drain order.

    `passed` were delivered and `held` are in hand, and neither is written yet: the former hold nothing back. Messages
    put to wait before `waited_before_ms` (wall time) need not wait any longer; with `any_time` none does, and those
    that wait come last, the longest waiting first.
    """
    rows = conn.execute(
        f"""
        SELECT {_COLUMNS} FROM outbox AS m
        WHERE m.upstream = :upstream AND m.state IN ('queued', 'waiting')
          AND (:any_time OR m.next_at IS NULL OR m.next_at <= :now OR m.next_at > :now + :longest
               OR m.tried_at < :waited_before)
          AND m.seq NOT IN (SELECT value FROM json_each(:taken))
          AND NOT EXISTS (
              SELECT 1 FROM outbox AS earlier
              WHERE earlier.upstream = m.upstream AND earlier.key = m.key AND earlier.seq < m.seq
                AND earlier.state IN ('queued', 'waiting', 'dead')
                AND earlier.seq NOT IN (SELECT value FROM json_each(:passed)))
        ORDER BY {"m.state, m.next_at," if any_time else ""} m.rank, m.seq LIMIT :limit
        """,
        {
            "upstream": upstream, "now": now_ms, "longest": _LONGEST_WAIT_MS, "waited_before": waited_before_ms,
            "any_time": any_time, "taken": json.dumps([*passed, *held]), "passed": json.dumps([*passed]),
            "limit": limit,
        },
    )  # fmt: skip
    return [_message(row) for row in rows]


def settle(conn: Connection, settlements: Sequence[Settlement]) -> None:
    """Write what came of attempts; a message that a person moved meanwhile stays where they put it."""
    _need_transaction(conn)
    conn.executemany(
        """
        UPDATE outbox
        SET state = :state, attempts = attempts + 1, tried_at = :tried_at, next_at = :next_at,
            settled_at = CASE WHEN :state = 'waiting' THEN NULL ELSE :tried_at END,
            outcome = :outcome, outcome_words = :words
        WHERE seq = :seq AND state IN ('queued', 'waiting')
        """,
        [
            {
                "seq": one.seq, "state": str(one.state), "tried_at": one.tried_at, "next_at": one.next_at,
                "outcome": str(one.outcome.result), "words": one.outcome.words,
            }
            for one in settlements
        ],
    )  # fmt: skip


def revive(conn: Connection, message_id: str, *, by: str, why: str, at: int) -> Message:
    """Put a dead letter back where it was in its key's order. Raises OutboxError, UsageError as `bury`."""
    return _act(conn, Act.REVIVE, message_id, by=by, why=why, at=at)


def bury(conn: Connection, message_id: str, *, by: str, why: str, at: int) -> Message:
    """Give a dead letter up: it stays as evidence, and holds nothing back any more.

    Raises OutboxError message-unknown, message-not-dead, no-transaction, and UsageError without a reason.
    """
    return _act(conn, Act.BURY, message_id, by=by, why=why, at=at)


def _act(conn: Connection, act: Act, message_id: str, *, by: str, why: str, at: int) -> Message:
    _need_transaction(conn)
    message = dead_letter(conn, message_id)
    if not why.strip():
        raise UsageError(
            "usage", "a dead letter is moved for a reason", context=None, hint='--reason "the platform was mended"'
        )
    conn.execute(
        "INSERT INTO outbox_act (message_seq, act, at, by, why) VALUES (:seq, :act, :at, :by, :why)",
        {"seq": message.seq, "act": str(act), "at": at, "by": by, "why": why.strip()},
    )
    state = State.QUEUED if act is Act.REVIVE else State.BURIED
    conn.execute(
        "UPDATE outbox SET state = :state, settled_at = :settled_at WHERE seq = :seq",
        {"state": str(state), "settled_at": at if act is Act.BURY else None, "seq": message.seq},
    )
    return message


def get(conn: Connection, message_id: str) -> Message | None:
    """One message."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM outbox AS m WHERE m.id = :id", {"id": message_id}).fetchone()
    return _message(row) if row else None


def dead_letter(conn: Connection, message_id: str) -> Message:
    """A message that a person may move. Raises OutboxError message-unknown, message-not-dead."""
    message = get(conn, message_id)
    if message is None:
        raise unknown(message_id)
    if message.state is not State.DEAD:
        raise OutboxError(
            "message-not-dead",
            f"message {message_id} is {message.state}; only a dead one is moved by hand",
            context=None,
            hint="what is queued or waiting goes by itself: edge-node outbox list shows what waits for whom",
        )
    return message


def unknown(message_id: str) -> OutboxError:
    """There is no such message."""
    return OutboxError(
        "message-unknown",
        f"there is no message {message_id!a}",
        context=None,
        hint="edge-node outbox list --state dead shows those that need a person",
    )


def acts(conn: Connection, seq: int) -> list[Acted]:
    """What people did with a message, the first first."""
    rows = conn.execute("SELECT act, at, by, why FROM outbox_act WHERE message_seq = :seq ORDER BY id", {"seq": seq})
    return [Acted(act=Act(row["act"]), at=row["at"], by=row["by"], why=row["why"]) for row in rows]


def listed(
    conn: Connection, *, states: Collection[State], upstream: str | None = None, limit: int = 100
) -> list[Message]:
    """Messages in these states, the oldest first."""
    rows = conn.execute(
        f"""
        SELECT {_COLUMNS} FROM outbox AS m
        WHERE m.state IN (SELECT value FROM json_each(:states)) AND (:upstream IS NULL OR m.upstream = :upstream)
        ORDER BY m.seq LIMIT :limit
        """,
        {"states": json.dumps([str(state) for state in states]), "upstream": upstream, "limit": limit},
    )
    return [_message(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How an upstream's messages stand. `held` of the queued and waiting are behind a dead letter of their key.

    `urgent` of them are duties with a deadline, money or trace codes.
    """

    queued: int = 0
    waiting: int = 0
    dead: int = 0
    held: int = 0
    urgent: int = 0
    oldest_queued_at: int | None = None

    @property
    def open(self) -> int:
        """What is still to be sent."""
        return self.queued + self.waiting


def counts(conn: Connection) -> dict[str, Counts]:
    """By upstream, of those that have anything that is not done."""
    found: dict[str, dict[str, Any]] = {}
    for upstream, state, number, urgent, first in conn.execute(
        """
        SELECT upstream, state, count(*), count(*) FILTER (WHERE rank <= :urgent), min(seq) FROM outbox
        WHERE state IN ('queued', 'waiting', 'dead') GROUP BY upstream, state
        """,
        {"urgent": MONEY},
    ):
        entry = found.setdefault(upstream, {"first": None, "urgent": 0})
        entry[state] = number
        if state != State.DEAD:
            entry["urgent"] += urgent
            entry["first"] = min(first, entry["first"] or first)
    result = {}
    for upstream, entry in found.items():
        first = entry.pop("first")
        put_at = conn.execute("SELECT put_at FROM outbox WHERE seq = :seq", {"seq": first}).fetchone()
        held = _held(conn, upstream) if "dead" in entry else 0
        result[upstream] = Counts(**entry, held=held, oldest_queued_at=put_at[0] if put_at else None)
    return result


def _held(conn: Connection, upstream: str) -> int:
    (number,) = conn.execute(
        """
        SELECT count(DISTINCT later.seq) FROM outbox AS dead JOIN outbox AS later
          ON later.upstream = dead.upstream AND later.key = dead.key AND later.seq > dead.seq
         AND later.state IN ('queued', 'waiting', 'dead') AND later.state <> 'dead'
        WHERE dead.upstream = :upstream AND dead.state IN ('queued', 'waiting', 'dead') AND dead.state = 'dead'
        """,
        {"upstream": upstream},
    ).fetchone()
    return int(number)


def last_delivered_at(conn: Connection, upstream: str) -> int | None:
    """When the newest of its delivered messages was delivered; read once, at the start."""
    row = conn.execute(
        "SELECT settled_at FROM outbox WHERE upstream = :upstream AND state = 'sent' ORDER BY seq DESC LIMIT 1",
        {"upstream": upstream},
    ).fetchone()
    return row[0] if row else None


def prove_write(conn: Connection) -> None:
    """A row that is really written, over whatever a killed sender may have left half written."""
    _need_transaction(conn)
    conn.execute(
        "INSERT INTO sequence_block (name, epoch, next) VALUES ('outbox-proof', 0, 1) "
        "ON CONFLICT (name, epoch) DO UPDATE SET next = next + 1"
    )
