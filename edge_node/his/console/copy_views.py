"""The page of the copies: how each destination stands, what it can bring back, and the orders of an administrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key
from edge_node.his.console import copy_forms, copy_rules
from edge_node.his.console.views import blueprint
from edge_node.his.context import context, write
from edge_node.his.copies import LOCAL
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.language import language, say
from edge_node.his.line_history import NotRecorded
from edge_node.his.posture import node_status
from edge_node.his.security import current_staff, who
from edge_node.his.staff.model import Role
from edge_node.i18n import text
from edge_node.proof_orders import new_proof_order
from edge_node.store.connection import Connection

UNPROCESSABLE = 422
LABELS = {"why": text("Reason"), "destination": text("Destination")}


@blueprint.get("/replica")
def replica() -> str:
    """Every copy: state, restore points, drills, who owns it."""
    return _page({})


@blueprint.post("/replica")
def order() -> Response | tuple[str, int]:
    """Give an order to the replicator, once, with its row in the audit log."""
    ctx, names = context(), [one.name for one in context().copies.known()]
    try:
        wanted = copy_forms.parse(request.form, names=names)
    except ValueError:
        abort(400)
    if isinstance(wanted, list):
        return _page(request.form, wanted), UNPROCESSABLE
    new = new_proof_order(
        wanted.kind,
        now_ms=ctx.clock.wall_ms(),
        for_s=wanted.for_s,
        by=current_staff().name,
        why=wanted.why,
        destination=wanted.destination,
    )
    detail = {"kind": str(new.kind), "order": new.id, "reason": new.why, "for_s": wanted.for_s}
    if _recorded("copy_ordered", new.destination, detail, request_key.posted_form(request.form), new.id) == new.id:
        ctx.copies.order(new)
    return redirect(url_for("console.replica", copy=_chosen(names), _anchor="orders"))


@blueprint.post("/replica/orders/<order_id>/end")
def end_order(order_id: str) -> Response:
    """End a pause before its time."""
    standing = next((one for one in context().copies.orders() if one.id == order_id), None)
    if standing is not None:
        detail = {"kind": str(standing.kind), "order": order_id}
        _recorded("copy_order_ended", standing.destination, detail, request_key.posted_form(request.form), order_id)
        context().copies.withdraw(order_id)
    return redirect(url_for("console.replica", _anchor="orders"))


def _recorded(action: str, destination: str, detail: Mapping[str, Any], token: str, order_id: str) -> str:
    """Record it in the audit log; the id of the order that this form has given, now or at its first posting."""
    person, now = who(), audit.moment()

    def work(conn: Connection) -> str:
        audit.record(
            conn, person, action, f"destination:{destination}", detail, at=now.at, clock_state=now.clock_state
        )  # fmt: skip
        return order_id

    return write(lambda conn: request_key.once(conn, token, work, at=now.at))


def _chosen(names: Sequence[str]) -> str:
    """Whose restore points are asked for: of the first destination where nobody is named, since it is outside."""
    asked = request.values.get("copy", "")
    if asked in names:
        return asked
    return next((name for name in names if name != LOCAL), LOCAL)


def _page(values: Mapping[str, str], problems: Sequence[FieldProblem] = ()) -> str:
    ctx, status = context(), node_status()
    now, known = ctx.clock.wall_ms(), ctx.copies.known()
    details = copy_rules.details(status, known, now)
    names = [one.copy.name for one in details] or [one.name for one in known]
    chosen, past = _chosen(names), ctx.copies.drills()
    return render_template(
        "console/replica.html",
        status=status,
        now=now,
        copies=details,
        names=names,
        destination_options=[(name, name) for name in names],
        chosen=chosen,
        points=copy_rules.points(status, chosen),
        look=next((one.look for one in details if one.copy.name == chosen), None),
        missing=past if isinstance(past, NotRecorded) else None,
        drills=[] if isinstance(past, NotRecorded) else copy_rules.drill_rows(past),
        drilling=ctx.copies.drilling(),
        pictures={name: ctx.copies.behind(name, language=language()) for name in names},
        is_missing=lambda answer: isinstance(answer, NotRecorded),
        problems_of_copies=copy_rules.problems(status),
        orders=copy_rules.standing(ctx.copies.orders(), status),
        pauses=copy_forms.PAUSES,
        used_bytes=copy_rules.local_bytes(status),
        budget_bytes=ctx.copies.budget_bytes(),
        may_order=current_staff().may(Role.ADMIN),
        values={"destination": chosen, **values},
        problems=problems,
        errors=by_field(problems),
        labels={field: say(words) for field, words in LABELS.items()},
        superseded=ctx.superseded(),
    )
