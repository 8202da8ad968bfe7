"""The orders beside a note: what the doctor's form says of them, what a post does to them, what the page shows.

Their fields and buttons belong to the form of the note, so that ordering something loses nothing that is typed. An
order is given when its button is pressed, not with the signature: a skin test comes before the drug that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import request, url_for
from werkzeug.exceptions import BadRequest

from edge_node.his import request_key, searching
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.prices import PriceItem
from edge_node.his.context import reader
from edge_node.his.forms import FieldProblem
from edge_node.his.orders import forms, queries, rules, work
from edge_node.his.orders.model import Order, total_fen
from edge_node.his.patients.desk import this_desk
from edge_node.i18n import text
from edge_node.store.connection import Connection

# What fits beneath the field.
MATCHES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the posted form asks of the orders. `item`, `drug` (whose skin test is wanted) and `cancel` are ids, empty
    where nothing is asked; `wanted` and `count` stay in the fields until something is added."""

    item: str = ""
    drug: str = ""
    cancel: str = ""
    how_often: int = 1
    wanted: str = ""
    count: str = ""
    looked_up: bool = False
    problems: Sequence[FieldProblem] = ()

    @property
    def left(self) -> str:
        """What is typed into the field and was not added."""
        return "" if self.item else self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The orders of an encounter as its pages show them, with what is being looked for."""

    orders: Sequence[Order]
    wanted: str
    count: str
    matches: Sequence[PriceItem]

    @property
    def total_fen(self) -> int:
        return total_fen(self.orders)

    def total_with(self, sheets_fen: int) -> int:
        """What the visit costs so far, with its prescriptions."""
        return self.total_fen + sheets_fen

    @property
    def holding(self) -> int:
        """How many were not cancelled."""
        return sum(order.cancelled_at is None for order in self.orders)


def asked() -> Asked:
    """The orders' part of the posted form; what was typed and means one thing is added by Enter."""
    form = request.form
    wanted, count = form.get("od-q", "").strip()[: forms.WANTED_MAX], form.get("od-count", "").strip()
    looked_up = form.get("action", "") in ("od-find", "enter") and bool(wanted)
    item = catalogues.price(reader(), form["od-add"]) if form.get("od-add") else None
    if "od-add" in form and item is None:
        raise BadRequest("no such charge item")
    if item is None and looked_up:
        item = _meant(_found(wanted), wanted)
    # A number alone asks for nothing, and keeps no draft from being saved.
    how_often = forms.parse_count(count, item) if item else 1
    return Asked(
        item=item.id if item else "",
        drug=form.get("od-test", ""),
        cancel=form.get("od-cancel", ""),
        how_often=how_often if isinstance(how_often, int) else 1,
        wanted=wanted,
        count=count[:10],
        looked_up=looked_up,
        problems=[how_often] if isinstance(how_often, FieldProblem) else [],
    )


def not_added() -> list[FieldProblem]:
    """What stands between the form and a signature: something is typed and was not ordered."""
    typed = request.form.get("od-q", "").strip()
    if not typed:
        return []
    said = text('"%(typed)s" is typed, but not added to the list', typed=typed[: forms.WANTED_MAX])
    return [FieldProblem(field="od-q", text=said)]


def doing(encounter_id: str, patient_id: str, what: Asked) -> Callable[[Connection], bool]:
    """What is asked, for the writing thread; false when a cancelling needs its reason first."""
    if not (what.item or what.drug or what.cancel):
        return lambda conn: True
    desk, token = this_desk(), request_key.posted(request.form)

    def once(conn: Connection, asked_for: str, give: Callable[[Connection], str]) -> None:
        # The same form may ask for another thing after the browser went back to it.
        request_key.once(conn, f"{token}.order.{asked_for}.{what.how_often}", give, at=desk.moment.at)

    def do(conn: Connection) -> bool:
        where = {"encounter_id": encounter_id, "patient_id": patient_id}
        try:
            if item := catalogues.price(conn, what.item) if what.item else None:
                once(conn, what.item, lambda conn: work.give(conn, item, count=what.how_often, desk=desk, **where))
            if what.drug:
                once(conn, what.drug, lambda conn: work.give_skin_test(conn, what.drug, desk=desk, **where))
            if what.cancel:
                if what.cancel not in {order.id for order in queries.of_encounter(conn, encounter_id)}:
                    raise KeyError(what.cancel)
                return work.cancel(conn, what.cancel, desk)
        except work.Meanwhile:
            # The page that follows shows how far it is.
            return True
        except (KeyError, ValueError) as error:
            # Something that there is not, or that nobody carries out: somebody wrote the form by hand.
            raise BadRequest from error
        return True

    return do


def still_wanted(what: Asked | None) -> Mapping[str, str]:
    """What the page that follows looks for."""
    if what is None or what.item:
        return {}
    return {name: value for name, value in (("od-q", what.left), ("od-count", what.count)) if value}


def anchor(what: Asked | None) -> str | None:
    """Where the page goes on: at the first one found, or at the field for the next."""
    if what is None:
        return None
    if what.left and what.looked_up:
        return "od-found"
    return "od-q" if what.item or what.cancel else "findings" if what.drug else None


def reason_page(what: Asked) -> str:
    """The address at which a reason is written."""
    return url_for("orders.cancelling", order_id=what.cancel)


def page(encounter_id: str) -> Ordered:
    """The orders for a page of the encounter, and what the field of this request looks for."""
    typed = request.form if request.method == "POST" else searching.asked()
    wanted = typed.get("od-q", "").strip()[: forms.WANTED_MAX]
    return Ordered(
        orders=queries.of_encounter(reader(), encounter_id),
        wanted=wanted,
        count=typed.get("od-count", ""),
        matches=_found(wanted),
    )


def _found(wanted: str) -> list[PriceItem]:
    return catalogues.find_prices(reader(), wanted, kinds=rules.ORDERABLE, limit=MATCHES)


def _meant(matches: Sequence[PriceItem], wanted: str) -> PriceItem | None:
    """The only match, or the one whose code or name was typed whole."""
    exact = [match for match in matches if wanted.lower() in (match.code.lower(), match.name)]
    if len(exact) == 1:
        return exact[0]
    return matches[0] if len(matches) == 1 else None
