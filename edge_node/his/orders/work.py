"""What one post does to orders, with its trace, in one transaction. In the writing thread."""

from __future__ import annotations

from collections.abc import Container

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.prices import PriceItem
from edge_node.his.orders import forms, queries, rules
from edge_node.his.orders.forms import Placing, Recorded
from edge_node.his.orders.model import Order, OrderKind, Outcome
from edge_node.his.patients import allergies
from edge_node.his.patients.allergy_forms import SUBSTANCE_MAX, Written
from edge_node.his.patients.desk import Desk
from edge_node.store.connection import Connection

# As a record of this country says it, whatever the language of the page.
POSITIVE_WORDS = "皮试阳性"
_ACTIONS = {
    Outcome.DONE: "order_carried_out",
    Outcome.NEGATIVE: "skin_test_read",
    Outcome.POSITIVE: "skin_test_read",
    Outcome.REFUSED: "order_not_carried_out",
}


class Meanwhile(Exception):
    """Nothing was written: the order is not any more as the form showed it."""


def give(conn: Connection, item: PriceItem, *, count: int, encounter_id: str, patient_id: str, desk: Desk) -> str:
    """Order a charge item; returns the order's id. A skin test that is ordered already is not ordered twice.

    Raises ValueError for an item that nobody carries out here.
    """
    kind = forms.kind_of(item)
    substance = rules.substance_of(item.name) if kind is OrderKind.SKIN_TEST else ""
    if substance:
        running = rules.running_test(queries.of_encounter(conn, encounter_id), substance=substance)
        if running is not None:
            return running.id
    return _give(
        conn, kind, name=item.name, substance=substance, item=item, count=count, encounter_id=encounter_id,
        patient_id=patient_id, desk=desk,
    )  # fmt: skip


def give_skin_test(conn: Connection, drug_id: str, *, encounter_id: str, patient_id: str, desk: Desk) -> str:
    """Order the skin test that a drug asks for; returns the order's id, of one that is ordered already if there is.

    Without a charge item for it the test is ordered all the same, without a price. Raises KeyError for a drug that the
    catalogue never had, ValueError for one that asks for none.
    """
    entry = catalogues.drug(conn, drug_id)
    if entry is None:
        raise KeyError(drug_id)
    if not entry.drug.skin_test or not entry.drug.ingredients:
        raise ValueError("this drug asks for no skin test")
    running = rules.running_test(queries.of_encounter(conn, encounter_id), drug=entry.drug)
    if running is not None:
        return running.id
    item = rules.skin_test_for(entry.drug, queries.skin_test_items(conn))
    substance = rules.substance_of(item.name) if item else next(iter(entry.drug.ingredients))
    return _give(
        conn, OrderKind.SKIN_TEST, name=item.name if item else f"{substance}皮试", substance=substance, item=item,
        count=1, encounter_id=encounter_id, patient_id=patient_id, desk=desk,
    )  # fmt: skip


def _give(
    conn: Connection,
    kind: OrderKind,
    *,
    name: str,
    substance: str,
    item: PriceItem | None,
    count: int,
    encounter_id: str,
    patient_id: str,
    desk: Desk,
) -> str:
    order_id = queries.insert(
        conn, encounter_id=encounter_id, patient_id=patient_id, kind=kind, price_item_id=item.id if item else None,
        name=name, substance=substance, count=count, price_fen=item.price_fen if item else 0, at=desk.moment.at,
        by=desk.staff_id,
    )  # fmt: skip
    desk.trace(conn, "order_given", f"order:{order_id}", kind=kind, count=count)
    return order_id


def cancel(conn: Connection, order_id: str, desk: Desk, *, reason: str = "") -> bool:
    """Take an order back; False when it needs a reason and has none.

    What is cancelled already stays as it is. Raises KeyError for an order that there is not, Meanwhile when nothing of
    it is left to be taken back.
    """
    order = _order(conn, order_id)
    if order.cancelled_at is not None:
        return True
    if not rules.may_be_cancelled(order):
        raise Meanwhile
    if rules.cancel_needs_reason(order) and not reason:
        return False
    queries.cancel(conn, order_id, reason=reason, at=desk.moment.at, by=desk.staff_id)
    desk.trace(conn, "order_cancelled", f"order:{order_id}", reason=reason)
    return True


def carry_out(conn: Connection, order_id: str, act: Placing | Recorded, *, seen: int, desk: Desk) -> str:
    """Record what a nurse did; returns the order's id. A positive skin test is an allergy of the patient from now on.

    `seen` is the order's as the form showed it. Raises Meanwhile when somebody has recorded anything since, or when
    the act does not fit the order.
    """
    order = _order(conn, order_id)
    if order.seen != seen:
        raise Meanwhile
    if isinstance(act, Placing):
        if not rules.may_be_placed(order):
            raise Meanwhile
        queries.place(conn, order_id, started_at=act.started_at, at=desk.moment.at, by=desk.staff_id)
        desk.trace(conn, "skin_test_placed", f"order:{order_id}")
        return order_id
    possible: Container[Outcome] = (
        rules.may_be_recorded(order) if act.corrects is None else rules.may_correct(order, act.corrects)
    )
    if act.outcome not in possible:
        raise Meanwhile
    result_id = queries.record(
        conn, order_id, act.outcome, note=act.note, corrects=act.corrects, at=desk.moment.at, by=desk.staff_id
    )
    detail = {"result": result_id, "outcome": act.outcome}
    if act.early_min:
        detail["early_min"] = str(act.early_min)
    if act.corrects is not None:
        desk.trace(conn, "order_corrected", f"order:{order_id}", **detail, corrects=act.corrects)
    else:
        desk.trace(conn, _ACTIONS[act.outcome], f"order:{order_id}", **detail)
    if act.outcome is Outcome.POSITIVE:
        _allergic(conn, order, desk)
    return order_id


def _allergic(conn: Connection, order: Order, desk: Desk) -> None:
    substance = order.substance[:SUBSTANCE_MAX]
    if substance in {known.substance for known in allergies.of_patient(conn, order.patient_id).known}:
        return
    written = Written(substance=substance, reaction=POSITIVE_WORDS, since=desk.today.isoformat())
    allergies.record(conn, order.patient_id, written, desk)


def _order(conn: Connection, order_id: str) -> Order:
    order = queries.get(conn, order_id)
    if order is None:
        raise KeyError(order_id)
    return order
