"""Orders over HTTP: the nurse's list, one order to carry out, and the reason of a doctor who cancels one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key
from edge_node.his.context import context, reader, write
from edge_node.his.forms import FieldProblem, by_field, whole_number
from edge_node.his.language import local, today
from edge_node.his.orders import desk, forms, queries, rules, work
from edge_node.his.orders.model import Order, Outcome, Stage
from edge_node.his.patients.desk import this_desk
from edge_node.his.patients.queries import records_of
from edge_node.his.patients.views import CONFLICT, UNPROCESSABLE, said_labels
from edge_node.his.reception import queries as reception
from edge_node.his.security import may, who
from edge_node.his.settings import queries as settings
from edge_node.i18n import text
from edge_node.store.connection import Connection

blueprint = Blueprint("orders", __name__, url_prefix="/orders")

# What a person writes beside a result; given back where its form is gone.
_NOTES = ("read_note", "refused_note", "correct_note")


@blueprint.app_context_processor
def words() -> dict[str, Any]:
    """What templates that show an order need."""
    return {
        "OrderStage": Stage, "Outcome": Outcome, "ORDER_STAGE_NAMES": rules.STAGE_NAMES,
        "ORDER_KIND_NAMES": rules.KIND_NAMES, "OUTCOME_NAMES": rules.OUTCOME_NAMES, "ORDER_BADGES": desk.BADGES,
        "orders_of_patient": lambda patient_id: queries.of_patient(reader(), records_of(reader(), patient_id)),
        "may_carry_out": lambda: may("orders.show"),
    }  # fmt: skip


@blueprint.get("")
def index() -> str:
    """What is to be done, by patient, and what was done today."""
    midnight = datetime.combine(today(), time()).astimezone()
    work_list = desk.work_list(
        reader(), today=today(), midnight=int(midnight.timestamp() * 1000), now=context().clock.wall_ms()
    )
    return render_template(
        "orders/index.html", work_list=work_list, saved=queries.get(reader(), request.args.get("saved", ""))
    )


@blueprint.get("/<order_id>")
def show(order_id: str) -> str:
    """One order: what is to be done with it now, and what was recorded of it."""
    return _page(_opened(order_id))


@blueprint.post("/<order_id>")
def carry_out(order_id: str) -> str | Response | tuple[str, int]:
    """Record that it was done, placed, read, not done, or that a result was wrong."""
    order, here = _order_or_404(order_id), this_desk()
    try:
        seen = whole_number(request.form.get("seen", ""))
        act = forms.parse_act(
            request.form, order, now=local(here.moment.at), ordered=local(min(order.ordered_at, here.moment.at)),
            usual_min=settings.get(reader()).skin_test_min,
        )  # fmt: skip
    except ValueError:
        abort(400)
    if isinstance(act, list):
        return _page(order, act, seen=seen), UNPROCESSABLE
    token = request_key.posted_form(request.form)

    def carried(conn: Connection) -> str:
        return work.carry_out(conn, order_id, act, seen=seen, desk=here)

    try:
        write(lambda conn: request_key.once(conn, token, carried, at=here.moment.at))
    except work.Meanwhile:
        return _page(_order_or_404(order_id), meanwhile=True), CONFLICT
    return redirect(url_for("orders.index", saved=order_id))


@blueprint.get("/<order_id>/cancel")
def cancelling(order_id: str) -> str:
    """Ask why an order is cancelled."""
    return _cancel_page(_opened(order_id))


@blueprint.post("/<order_id>/cancel")
def cancel(order_id: str) -> str | Response | tuple[str, int]:
    """Cancel an order, with the reason; doing it twice is doing it once."""
    order, here = _order_or_404(order_id), this_desk()
    reason = forms.parse_reason(request.form)
    if isinstance(reason, FieldProblem):
        return _cancel_page(order, [reason]), UNPROCESSABLE
    try:
        write(lambda conn: work.cancel(conn, order_id, here, reason=reason))
    except work.Meanwhile:
        said = text("Not cancelled: meanwhile nothing of it is left to be done")
        return _cancel_page(_order_or_404(order_id), [FieldProblem(field="reason", text=said)]), CONFLICT
    return redirect(url_for("encounters.show", encounter_id=order.encounter_id, amend=1 if order.note_signed else None))


def _order_or_404(order_id: str) -> Order:
    return queries.get(reader(), order_id) or abort(404)


def _opened(order_id: str) -> Order:
    """The order that a person looks at, and that this was so in the audit log."""
    order = _order_or_404(order_id)
    audit.viewed(who(), f"order:{order_id}")
    return order


def _page(
    order: Order, problems: Sequence[FieldProblem] = (), *, seen: int | None = None, meanwhile: bool = False
) -> str:
    """One order. `seen` keeps what the form was based on, so that a mended form is not taken for a newer one."""
    values: Mapping[str, str] = request.form if problems or meanwhile else {}
    usual_min = settings.get(reader()).skin_test_min
    return render_template(
        "orders/show.html", order=order, **_visit(order), values=values, problems=problems, errors=by_field(problems),
        labels=_labels(order), seen=order.seen if seen is None else seen, meanwhile=meanwhile,
        recordable=rules.may_be_recorded(order), placeable=rules.may_be_placed(order),
        read_at=rules.read_at(order, usual_min), minutes=rules.reading_minutes(order.substance, usual_min),
        minutes_left=rules.minutes_left(order, context().clock.wall_ms(), usual_min),
        correctable={result.id: rules.may_correct(order, result.id) for result in order.results},
        request_key=request.form.get(request_key.FIELD, "") if problems else "",
        typed=[value for name in _NOTES if meanwhile and (value := request.form.get(name, "").strip())],
    )  # fmt: skip


def _labels(order: Order) -> dict[str, str]:
    """Labels by the id of a field; each result has fields of its own."""
    said = said_labels(forms.LABELS)
    return said | {
        f"{name}-{result.id}": said[name] for result in order.results for name in ("correct_note", "correct_to")
    }


def _visit(order: Order) -> dict[str, Any]:
    entry = reception.entry(reader(), order.registration_id)
    assert entry is not None, "an order refers to its encounter, and that to its registration"
    return {"entry": entry, "patient": entry.patient}


def _cancel_page(order: Order, problems: Sequence[FieldProblem] = ()) -> str:
    return render_template(
        "orders/cancel.html", order=order, **_visit(order), values=request.form, problems=problems,
        errors=by_field(problems), labels=said_labels(forms.LABELS),
    )  # fmt: skip
