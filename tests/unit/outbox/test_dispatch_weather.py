"""Random weather over the whole sender but its sockets: a real table, virtual time, crashes, refusals, lost answers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.base.instruments import Counter
from edge_node.outbox import queue
from edge_node.outbox.dispatch import SETTLE_EVERY_S, Dispatch
from edge_node.outbox.lane import IN_FLIGHT
from edge_node.outbox.model import Message, Outcome, Result, Route
from edge_node.store.connection import Connection, transaction
from tests.support.databases import his_database
from tests.support.messages import AT, a_body

UPSTREAMS = (Route(upstream="platform", topics=("encounter", "payment")), Route(upstream="bureau", topics=("payment",)))
KEYS = ("p1", "p2", "p3", "p4")
TICK_S = 0.05
STORM = (
    *[Result.DELIVERED] * 10, Result.SILENT, Result.UNREACHABLE, Result.BROKEN, Result.BUSY, Result.SERVER_ERROR,
    Result.REJECTED, Result.FORBIDDEN,
)  # fmt: skip
# Answers that leave open whether the message arrived.
MAY_HAVE_ARRIVED = (Result.SILENT, Result.BROKEN)


@dataclass
class World:
    """A node and its upstreams. `firsts` is the order of first arrivals by upstream and key."""

    conn: Connection
    lot: Random
    now: float = 1000.0
    storm: bool = True
    offline: bool = False
    writable: bool = True
    firsts: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    commits: list[float] = field(default_factory=list)
    under_way: list[tuple[float, Message]] = field(default_factory=list)
    dispatch: Dispatch = field(init=False)

    def __post_init__(self) -> None:
        self.starts()

    @property
    def wall_ms(self) -> int:
        return AT + round(self.now * 1000)

    def starts(self) -> None:
        """A new process: what was under way may have arrived, and nobody knows."""
        for _, message in self.under_way:
            if self.lot.random() < 0.5:
                self._arrives(message)
        self.under_way = []
        self.now += 1.0
        self.dispatch = Dispatch([route.upstream for route in UPSTREAMS], attempts=Counter())

    def puts(self) -> None:
        with transaction(self.conn):
            for _ in range(self.lot.randint(1, 4)):
                key, topic = self.lot.choice(KEYS), self.lot.choice(("encounter", "payment"))
                queue.put(
                    self.conn, topic=topic, key=key, body=a_body(key), upstreams=UPSTREAMS, at=self.wall_ms
                )  # fmt: skip

    def moves_a_dead_letter(self) -> None:
        row = self.conn.execute("SELECT id FROM outbox WHERE state = 'dead' ORDER BY random() LIMIT 1").fetchone()
        if row is not None:
            with transaction(self.conn):
                act = self.lot.choice((queue.revive, queue.bury)) if self.storm else queue.revive
                act(self.conn, row["id"], by="li", why="mended", at=self.wall_ms)

    def turn(self) -> None:
        """One turn of the sender, as `sender.Sender` takes them."""
        self.now += TICK_S
        for ends_at, message in [one for one in self.under_way if one[0] <= self.now]:
            self.under_way.remove((ends_at, message))
            self._ends(message)
        self.dispatch.mode(self.offline, now=self.now, now_ms=self.wall_ms)
        self.dispatch.look_again()
        for question in self.dispatch.questions(self.now):
            found = queue.due(self.conn, now_ms=self.wall_ms, **asdict(question))
            self.dispatch.offer(question.upstream, found)
        for message in self.dispatch.start(self.now):
            self._may_start(message)
            self.under_way.append((self.now + self.lot.uniform(0, 0.5), message))
        for route in UPSTREAMS:
            assert sum(message.upstream == route.upstream for _, message in self.under_way) <= IN_FLIGHT
        if (batch := self.dispatch.batch(self.now)) and self.writable:
            with transaction(self.conn):
                queue.settle(self.conn, batch)
            self.commits.append(self.now)
            self.dispatch.written(batch, self.now)

    def _ends(self, message: Message) -> None:
        result = self.lot.choice(STORM) if self.storm else Result.DELIVERED
        if result is Result.DELIVERED or (result in MAY_HAVE_ARRIVED and self.lot.random() < 0.5):
            self._arrives(message)
        wait = 3.0 if result is Result.BUSY and self.lot.random() < 0.3 else None
        self.dispatch.ended(
            message, Outcome(result=result, retry_after_s=wait), now=self.now, now_ms=self.wall_ms,
            jitter=self.lot.random(),
        )  # fmt: skip

    def _arrives(self, message: Message) -> None:
        order = self.firsts.setdefault((message.upstream, message.key), [])
        if message.seq not in order:
            order.append(message.seq)

    def _may_start(self, message: Message) -> None:
        """Everything earlier of its key is done: sent, or buried by a person; nothing is dead or under way."""
        assert all((other.upstream, other.key) != (message.upstream, message.key) for _, other in self.under_way)
        earlier = self.conn.execute(
            "SELECT seq, state FROM outbox WHERE upstream = ? AND key = ? AND seq < ?",
            (message.upstream, message.key, message.seq),
        )
        passed = self.dispatch._unwritten[message.upstream].passed
        assert [
            row["seq"] for row in earlier if row["state"] not in ("sent", "buried") and row["seq"] not in passed
        ] == []

    def left(self) -> int:
        return int(self.conn.execute("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'buried')").fetchone()[0])


@contextlib.contextmanager
def a_world(lot: Random) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, his_database(Path(folder)) as conn:
        conn.execute("PRAGMA synchronous=OFF")
        yield World(conn, lot)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_weather(seed: int) -> None:
    with a_world(Random(seed)) as world:
        for _ in range(world.lot.randint(50, 250)):
            match world.lot.randrange(14):
                case 0 | 1 | 2:
                    world.puts()
                case 3:
                    world.starts()
                case 4:
                    world.moves_a_dead_letter()
                case 5:
                    world.offline = not world.offline
                case 6:
                    world.writable = not world.writable
                case 7:
                    world.now += world.lot.uniform(0, 20)
            world.turn()
        world.storm, world.offline, world.writable = False, False, True
        cleared_at = world.now
        while world.left():
            world.moves_a_dead_letter()
            world.turn()
            assert world.now - cleared_at < 120, "what was refused is asked again within half a minute, and all go"
        for (upstream, key), order in world.firsts.items():
            assert order == sorted(order), (upstream, key)
        sent = {row["seq"] for row in world.conn.execute("SELECT seq FROM outbox WHERE state = 'sent'")}
        assert sent <= {seq for order in world.firsts.values() for seq in order}, "sent is what arrived"
        assert all(b - a >= SETTLE_EVERY_S - 1e-9 for a, b in zip(world.commits, world.commits[1:], strict=False))


def test_a_dead_letter_delays_its_own_key_only() -> None:
    with a_world(Random(1)) as world:
        world.storm = False
        with transaction(world.conn):
            for key in ("p1", "p2", "p1", "p2"):
                queue.put(world.conn, topic="encounter", key=key, body=a_body(key), upstreams=UPSTREAMS, at=AT)
        world.turn()
        rejected = Outcome(result=Result.REJECTED)
        (first,) = [message for _, message in world.under_way if message.seq == 1]
        world.under_way = [one for one in world.under_way if one[1] is not first]
        world.dispatch.ended(first, rejected, now=world.now, now_ms=world.wall_ms, jitter=0.0)
        for _ in range(100):
            world.turn()
        states = [row["state"] for row in world.conn.execute("SELECT state FROM outbox ORDER BY seq")]
        assert states == ["dead", "sent", "queued", "sent"]


def test_an_upstream_that_is_gone_is_asked_with_one_message_at_a_time() -> None:
    """Ten thousand messages must not each find out, and each have it written down."""
    with a_world(Random(2)) as world:
        with transaction(world.conn):
            for n in range(500):
                queue.put(world.conn, topic="encounter", key=f"k{n}", body=a_body(), upstreams=UPSTREAMS, at=AT)
        world._ends = lambda message: world.dispatch.ended(  # type: ignore[method-assign]
            message, Outcome(result=Result.UNREACHABLE), now=world.now, now_ms=world.wall_ms, jitter=0.5
        )
        for _ in range(round(60 / TICK_S)):
            world.turn()
        (tried,) = world.conn.execute("SELECT sum(attempts) FROM outbox").fetchone()
        assert IN_FLIGHT <= tried < 3 * IN_FLIGHT
        del world._ends
        world.storm = False
        for _ in range(round(30 / TICK_S)):
            world.turn()
        assert world.left() == 0, "and when it is back, nobody sits out a wait"
