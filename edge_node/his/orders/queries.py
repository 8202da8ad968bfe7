"""Orders in his.db, and what was recorded of them: a row is never changed, but that an order is cancelled once.

SQL stands here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from ulid import ULID

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.prices import PriceItem, PriceKind
from edge_node.his.orders.model import READINGS, Order, OrderKind, Outcome, Placed, Result
from edge_node.his.prescriptions.model import SkinTest, SkinTestState
from edge_node.store.connection import Connection, Row

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
# A course that was ordered longer ago is not on today's list; it stays in the record.
LOOK_BACK_DAYS = 14
# What is counted where the price list says nothing.
_ONCE = "次"

_ORDER = f"""
    SELECT order_item.*, encounter.registration_id, orderer.name AS orderer, canceller.name AS canceller,
           coalesce(price_item.unit, '{_ONCE}') AS unit,
           EXISTS (SELECT 1 FROM note_version WHERE encounter_id = order_item.encounter_id) AS note_signed
    FROM order_item
    JOIN encounter ON encounter.id = order_item.encounter_id
    JOIN staff AS orderer ON orderer.id = order_item.ordered_by
    LEFT JOIN staff AS canceller ON canceller.id = order_item.cancelled_by
    LEFT JOIN price_item ON price_item.id = order_item.price_item_id
"""
# A result holds unless another stands for it.
_HOLDS = """result <> 'mistaken'
    AND NOT EXISTS (SELECT 1 FROM order_result AS later WHERE later.corrects = order_result.id)"""
_OPEN = f"""order_item.cancelled_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM order_result WHERE order_id = order_item.id AND result <> 'done' AND {_HOLDS})
    AND order_item.count > (SELECT count(*) FROM order_result WHERE order_id = order_item.id AND result = 'done'
                            AND {_HOLDS})"""
OPEN_SINCE = f"order_item.ordered_at > :since AND {_OPEN}"


def get(conn: Connection, order_id: str) -> Order | None:
    """One order."""
    return next(iter(_orders(conn, "order_item.id = :id", {"id": order_id})), None)


def of_encounter(conn: Connection, encounter_id: str) -> list[Order]:
    """The orders of an encounter in the order in which they were given, cancelled ones too."""
    return _orders(conn, "order_item.encounter_id = :id", {"id": encounter_id})


def of_patient(conn: Connection, people: Iterable[str]) -> list[Order]:
    """The orders of a person by all their records (patients.queries), the newest first."""
    return _orders(
        conn, "order_item.patient_id IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(list(people))}
    )[::-1]


def open_orders(conn: Connection, *, now: int) -> list[Order]:
    """What is to be done, of all patients; ordered in the last two weeks."""
    return _orders(conn, OPEN_SINCE, {"since": now - LOOK_BACK_DAYS * _DAY_MS})


def closed_since(conn: Connection, since: int, *, limit: int) -> list[Order]:
    """Of what was ordered in the last two weeks, the orders that ended or were cancelled since `since`, the newest
    end first."""
    found = _orders(
        conn,
        f"""order_item.ordered_at > :ordered AND NOT ({_OPEN}) AND max(coalesce(order_item.cancelled_at, 0),
            coalesce((SELECT max(at) FROM order_result WHERE order_id = order_item.id), 0)) >= :since""",
        {"ordered": since - LOOK_BACK_DAYS * _DAY_MS, "since": since},
    )
    return sorted(found, key=_ended, reverse=True)[:limit]


def _ended(order: Order) -> int:
    return order.cancelled_at or max((result.at for result in order.results), default=0)


def _orders(conn: Connection, where: str, values: Mapping[str, object]) -> list[Order]:
    rows = conn.execute(statement(where), values).fetchall()
    ids = {"ids": json.dumps([row["id"] for row in rows])}
    results: dict[str, list[Result]] = {}
    for row in conn.execute(_of_orders("order_result", "order_result.at, order_result.rowid"), ids):
        results.setdefault(row["order_id"], []).append(
            Result(
                id=row["id"], outcome=Outcome(row["result"]), note=row["note"], corrects=row["corrects"], at=row["at"],
                by=row["by_name"],
            )
        )  # fmt: skip
    placings: dict[str, list[Placed]] = {}
    for row in conn.execute(_of_orders("order_start", "order_start.at, order_start.rowid"), ids):
        placings.setdefault(row["order_id"], []).append(
            Placed(started_at=row["started_at"], at=row["at"], by=row["by_name"])
        )
    return [_order(row, results.get(row["id"], ()), placings.get(row["id"], ())) for row in rows]


def statement(where: str) -> str:
    """The question for orders; their order is said so that it does not keep the planner from the index of the times,
    and the list of the day from reading every order that there ever was."""
    return f"{_ORDER} WHERE {where} ORDER BY +order_item.rowid"


def _of_orders(table: str, order_by: str) -> str:
    return (
        f"SELECT {table}.*, staff.name AS by_name FROM json_each(:ids) AS wanted "
        f"JOIN {table} ON {table}.order_id = wanted.value JOIN staff ON staff.id = {table}.by ORDER BY {order_by}"
    )


def _order(row: Row, results: Sequence[Result], placings: Sequence[Placed]) -> Order:
    return Order(
        id=row["id"], encounter_id=row["encounter_id"], registration_id=row["registration_id"],
        patient_id=row["patient_id"], kind=OrderKind(row["kind"]), name=row["name"], unit=row["unit"],
        substance=row["substance"], count=row["count"], price_fen=row["price_fen"], ordered_at=row["ordered_at"],
        ordered_by=row["orderer"], cancelled_at=row["cancelled_at"], cancelled_by=row["canceller"],
        cancel_reason=row["cancel_reason"], note_signed=bool(row["note_signed"]), results=results, placings=placings,
    )  # fmt: skip


def insert(
    conn: Connection,
    *,
    encounter_id: str,
    patient_id: str,
    kind: OrderKind,
    price_item_id: str | None,
    name: str,
    substance: str,
    count: int,
    price_fen: int,
    at: int,
    by: str,
) -> str:
    """Keep an order; returns its id. `price_fen` is for one, as it was on this day."""
    order_id = str(ULID.from_timestamp(at))
    conn.execute(
        """
        INSERT INTO order_item (id, encounter_id, patient_id, kind, price_item_id, name, substance, count, price_fen,
                                ordered_at, ordered_by)
        VALUES (:id, :encounter, :patient, :kind, :item, :name, :substance, :count, :price, :at, :by)
        """,
        {
            "id": order_id, "encounter": encounter_id, "patient": patient_id, "kind": kind, "item": price_item_id,
            "name": name, "substance": substance, "count": count, "price": price_fen, "at": at, "by": by,
        },
    )  # fmt: skip
    return order_id


def cancel(conn: Connection, order_id: str, *, reason: str, at: int, by: str) -> None:
    """Take an order back; the row stays."""
    conn.execute(
        "UPDATE order_item SET cancelled_at = :at, cancelled_by = :by, cancel_reason = :reason "
        "WHERE id = :id AND cancelled_at IS NULL",
        {"id": order_id, "reason": reason, "at": at, "by": by},
    )


def place(conn: Connection, order_id: str, *, started_at: int, at: int, by: str) -> None:
    """Keep when a skin test was placed."""
    conn.execute(
        "INSERT INTO order_start (id, order_id, started_at, at, by) VALUES (:id, :order, :started, :at, :by)",
        {"id": str(ULID.from_timestamp(at)), "order": order_id, "started": started_at, "at": at, "by": by},
    )


def record(
    conn: Connection, order_id: str, outcome: Outcome, *, note: str, corrects: str | None, at: int, by: str
) -> str:
    """Keep a result; returns its id."""
    result_id = str(ULID.from_timestamp(at))
    conn.execute(
        "INSERT INTO order_result (id, order_id, result, note, corrects, at, by) "
        "VALUES (:id, :order, :result, :note, :corrects, :at, :by)",
        {
            "id": result_id, "order": order_id, "result": outcome, "note": note, "corrects": corrects, "at": at,
            "by": by,
        },
    )  # fmt: skip
    return result_id


def skin_test_items(conn: Connection) -> list[PriceItem]:
    """The charge items by which skin tests are done, those that are offered, by code."""
    rows = conn.execute("SELECT id FROM price_item WHERE kind = :kind AND active = 1 ORDER BY code", {
        "kind": PriceKind.SKIN_TEST,
    })  # fmt: skip
    return [item for row in rows.fetchall() if (item := catalogues.price(conn, row["id"])) is not None]


def skin_tests(conn: Connection, people: Iterable[str], *, now: int) -> Iterable[SkinTest]:
    """Skin tests of a person that were ordered or read in the last month, whichever way they went, as the rules of a
    prescription ask for them. One that was not carried out, or not by its result, is none, nor is one that waits and
    is on nobody's list any more."""
    found = _orders(
        conn,
        "order_item.patient_id IN (SELECT value FROM json_each(:ids)) AND order_item.kind = 'skin_test' "
        "AND order_item.ordered_at > :since",
        {"ids": json.dumps(list(people)), "since": now - 30 * _DAY_MS},
    )
    for order in found:
        newest = order.newest
        if newest is not None and newest.outcome in READINGS:
            state, at = SkinTestState(newest.outcome.value), order.origin(newest).at
        elif order.is_open and order.ordered_at > now - LOOK_BACK_DAYS * _DAY_MS:
            state, at = SkinTestState.ORDERED, order.ordered_at
        else:
            continue
        yield SkinTest(substance=order.substance, state=state, hours_ago=Decimal(max(0, now - at)) / _HOUR_MS)
