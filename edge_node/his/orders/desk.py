"""What the pages of orders show, read from the database as ready values; knows no web."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from edge_node.his.orders import queries, rules
from edge_node.his.orders.model import Order, Stage
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.settings import queries as settings
from edge_node.store.connection import Connection

# As many as were carried out in the last hours of a busy day.
CLOSED_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An order with how long its skin test is still to be watched: None without one, 0 when it is to be read."""

    order: Order
    minutes_left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One visit with its orders. `today`: the patient was registered today."""

    entry: QueueEntry
    today: bool
    orders: Sequence[Due]

    @property
    def is_due(self) -> bool:
        """A skin test is to be read now."""
        return any(due.minutes_left == 0 for due in self.orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkList:
    """Who has something to be done, those of today first, and what was done today."""

    people: Sequence[Person]
    closed: Sequence[tuple[QueueEntry, Order]]

    @property
    def open(self) -> int:
        """How many orders are to be done."""
        return sum(len(person.orders) for person in self.people)

    @property
    def due(self) -> int:
        """How many skin tests are to be read now."""
        return sum(due.minutes_left == 0 for person in self.people for due in person.orders)


def work_list(conn: Connection, *, today: date, midnight: int, now: int) -> WorkList:
    """The list of all departments. Times are UTC milliseconds; `midnight` began the day.

    First whose skin test is to be read, then today's patients, then those of earlier days; among these who was ordered
    something first.
    """
    usual_min = settings.get(conn).skin_test_min
    by_visit: dict[str, list[Due]] = {}
    for order in queries.open_orders(conn, now=now):
        due = Due(order=order, minutes_left=rules.minutes_left(order, now, usual_min))
        by_visit.setdefault(order.registration_id, []).append(due)
    closed = queries.closed_since(conn, midnight, limit=CLOSED_SHOWN)
    entries = {entry.registration_id: entry for entry in reception.queue(conn, today)}
    for registration_id in {*by_visit, *(order.registration_id for order in closed)} - set(entries):
        entry = reception.entry(conn, registration_id)
        assert entry is not None, "an order refers to its encounter, and that to its registration"
        entries[registration_id] = entry
    people = [
        Person(entry=entries[visit], today=entries[visit].queue_date == today, orders=orders)
        for visit, orders in by_visit.items()
    ]
    return WorkList(
        people=sorted(people, key=lambda person: (not person.is_due, not person.today)),
        closed=[(entries[order.registration_id], order) for order in closed],
    )


# How a stage is drawn: the kind of its badge, and its shape.
BADGES = {
    Stage.OPEN: ("dim", "wait"),
    Stage.PLACED: ("warn", "wait"),
    Stage.DONE: ("ok", "up"),
    Stage.NEGATIVE: ("ok", "up"),
    Stage.POSITIVE: ("badq", "stop"),
    Stage.REFUSED: ("plain", "info"),
    Stage.CANCELLED: ("plain", "info"),
}
