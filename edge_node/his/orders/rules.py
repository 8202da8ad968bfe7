"""What may be done with an order, when a skin test is read, and which test a drug asks for. Pure.

A skin test is read 20 minutes after it was placed (β内酰胺类抗菌药物皮肤试验指导原则, 2021; the labels of penicillins),
unless the clinic has set another time; where a label says longer, the label counts. A strong reaction shows earlier:
then what was seen is written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from edge_node.his.catalogues.prices import PriceItem, PriceKind
from edge_node.his.orders.model import Order, OrderKind, Outcome, Stage
from edge_node.his.prescriptions.model import Drug
from edge_node.his.prescriptions.patient_rules import plain, tested_by
from edge_node.i18n import Text, text

READ_AFTER_MIN = 20
# Labels that ask for longer: tetanus antitoxin is watched for half an hour.
_LABEL_MIN: Mapping[str, int] = {"破伤风抗毒素": 30}
ORDERABLE = (PriceKind.TREATMENT, PriceKind.INJECTION, PriceKind.SKIN_TEST)
# A course of injections twice a day for a month is longer than anybody orders at once.
COUNT_MOST = 60
_TEST = re.compile(r"(皮试|皮肤试验|皮内试验|过敏试验).*$")

KIND_NAMES: Mapping[OrderKind, Text] = {
    OrderKind.TREATMENT: text("Treatment"),
    OrderKind.INJECTION: text("Injection"),
    OrderKind.SKIN_TEST: text("Skin test"),
}
STAGE_NAMES: Mapping[Stage, Text] = {
    Stage.OPEN: text("to be done"),
    Stage.PLACED: text("placed, waits"),
    Stage.DONE: text("carried out"),
    Stage.NEGATIVE: text("negative"),
    Stage.POSITIVE: text("positive"),
    Stage.REFUSED: text("not carried out"),
    Stage.CANCELLED: text("cancelled"),
}
OUTCOME_NAMES: Mapping[Outcome, Text] = {
    Outcome.DONE: text("carried out"),
    Outcome.NEGATIVE: text("negative"),
    Outcome.POSITIVE: text("positive"),
    Outcome.REFUSED: text("not carried out"),
    Outcome.MISTAKEN: text("did not happen"),
}


def reading_minutes(substance: str, usual_min: int = READ_AFTER_MIN) -> int:
    """How long a skin test of this substance is watched before it is read; `usual_min` is the clinic's setting."""
    return max(usual_min, _LABEL_MIN.get(substance, 0))


def read_at(order: Order, usual_min: int = READ_AFTER_MIN) -> int | None:
    """When a placed skin test is to be read, UTC milliseconds; None while none is placed."""
    if order.stage is not Stage.PLACED or order.placed is None:
        return None
    return order.placed.started_at + reading_minutes(order.substance, usual_min) * 60_000


def minutes_left(order: Order, now: int, usual_min: int = READ_AFTER_MIN) -> int | None:
    """Whole minutes until a placed skin test is read, the begun one counting; 0 when it is time, None without one."""
    at = read_at(order, usual_min)
    return None if at is None else max(0, -(-(at - now) // 60_000))


def may_be_recorded(order: Order) -> frozenset[Outcome]:
    """What can be recorded of an order as it stands now, apart from corrections."""
    match order.stage, order.kind:
        case Stage.OPEN, OrderKind.SKIN_TEST:
            return frozenset({Outcome.REFUSED})
        case Stage.PLACED, _:
            return frozenset({Outcome.NEGATIVE, Outcome.POSITIVE, Outcome.REFUSED})
        case Stage.OPEN, _:
            return frozenset({Outcome.DONE, Outcome.REFUSED})
    return frozenset()


def may_be_placed(order: Order) -> bool:
    """Can this skin test be placed, or placed again?"""
    return order.kind is OrderKind.SKIN_TEST and order.is_open


def may_correct(order: Order, result_id: str) -> tuple[Outcome, ...]:
    """What a result may be corrected to; nothing for one that does not count any more."""
    result = next((one for one in order.counting if one.id == result_id), None)
    if result is None:
        return ()
    if result.outcome in (Outcome.NEGATIVE, Outcome.POSITIVE):
        return tuple(one for one in (Outcome.NEGATIVE, Outcome.POSITIVE, Outcome.MISTAKEN) if one is not result.outcome)
    return (Outcome.MISTAKEN,)


def may_be_cancelled(order: Order) -> bool:
    """Is there anything left that could be taken back?"""
    return order.is_open


def cancel_needs_reason(order: Order) -> bool:
    """A signed note speaks of the order, or somebody has begun with it: then it does not vanish without a word."""
    return order.note_signed or order.is_begun


def clock_time(typed: str, *, now: datetime, not_before: datetime) -> datetime | None:
    """The newest moment up to now with this time of day (09:05, 9：05, 0905), empty for now itself.

    None when it cannot be read or lies before `not_before`. Both are local times of one zone.
    """
    if not typed:
        return now
    found = re.fullmatch(r"(\d{1,2})\s*[:：.时]\s*(\d{2})分?|(\d{2})(\d{2})", typed)
    if found is None:
        return None
    hour, minute = (int(part) for part in found.groups() if part)
    if hour > 23 or minute > 59:
        return None
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment > now:
        moment -= timedelta(days=1)
    # A minute is as exact as anybody writes it.
    if moment < not_before.replace(second=0, microsecond=0):
        return None
    return max(moment, not_before)


def substance_of(name: str) -> str:
    """What a skin test tests, by the name of its charge item: 青霉素 of 青霉素皮试."""
    return _TEST.sub("", name).strip() or name


def skin_test_for(drug: Drug, items: Iterable[PriceItem]) -> PriceItem | None:
    """The charge item by which this drug's skin test is done; one for its very ingredient before one for its group."""
    tests = [item for item in items if item.kind is PriceKind.SKIN_TEST and tested_by(drug, substance_of(item.name))]
    ingredients = {plain(name) for name in drug.ingredients}
    exact = [item for item in tests if plain(substance_of(item.name)) in ingredients]
    return next(iter([*exact, *tests]), None)


def running_test(orders: Sequence[Order], drug: Drug | None = None, substance: str = "") -> Order | None:
    """A skin test of this substance, or for this drug, that is ordered and has no result yet."""
    for order in orders:
        meant = order.substance == substance or (drug is not None and tested_by(drug, order.substance))
        if meant and order.kind is OrderKind.SKIN_TEST and order.is_open:
            return order
    return None
