"""A person's own second factor: set up, confirmed by its first code, removed by another."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, security
from edge_node.his.context import context, reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.posture import node_status
from edge_node.his.security import current_staff, who
from edge_node.his.staff import attempts, factors, proofs, qr, queries, second_factor
from edge_node.i18n import text
from edge_node.store.connection import Connection

blueprint = Blueprint("factor", __name__, url_prefix="/second-factor")


@blueprint.get("")
def index() -> str:
    """Whether there is one, and what to do."""
    return _page()


@blueprint.post("/begin")
def begin() -> str | Response | tuple[str, int]:
    """A new seed, shown on this page only; it counts once its first code was typed.

    At a desk that somebody left open, nobody else's telephone becomes the owner's second factor.
    """
    if (unproven := proofs.prove()) is not None:
        return _page([unproven]), 422
    staff, cipher, seed = current_staff(), context().cipher, second_factor.new_seed()
    sealed = factors.sealed(cipher, staff.id, seed)
    if not write(lambda conn: queries.begin_factor(conn, staff.id, sealed)):
        return redirect(url_for(".index"))
    return _page(seed=seed)


@blueprint.post("/confirm")
def confirm() -> str | Response | tuple[str, int]:
    """The first code: from now on one is asked for at each sign-in, and other sessions of the person end."""
    staff, now, by, session_id = current_staff(), audit.moment(), who(), security.current_session_id()
    factor = queries.factor(reader(), staff.id)
    if factor is None or staff.has_second_factor:
        return redirect(url_for(".index"))
    seed = factors.opened(context().cipher, staff.id, factor)
    typed = request.form.get("one_time_code", "")
    step = second_factor.step_of(seed, typed, now=now.at, last_step=factor.last_step)

    def work(conn: Connection) -> bool:
        if step is None or not queries.use_step(conn, staff.id, factor, step, at=now.at):
            return False
        queries.end_sessions_of(conn, staff.id, at=now.at, but=session_id)
        _record(conn, by, "second_factor_added", now)
        return True

    if step is None or not write(work):
        return _page([FieldProblem(field="one_time_code", text=text("This code does not fit"))], seed=seed), 422
    return redirect(url_for(".index", done=1))


@blueprint.post("/remove")
def remove() -> str | Response | tuple[str, int]:
    """Sign in with the password alone from now on; takes a code, so that an open desk is not enough."""
    staff, now, by, tries = current_staff(), audit.moment(), who(), security.tries()
    factor = queries.factor(reader(), staff.id) if staff.has_second_factor else None
    if factor is None or security.needs_second_factor(staff):
        return redirect(url_for(".index"))
    typed = request.form.get("one_time_code", "")
    guess = second_factor.guess(typed, now=now.at)
    attempt = write(
        lambda conn: attempts.begin(conn, tries, code=staff.code, typed=guess, address=by.address, now=now.at)
    )
    if isinstance(attempt, FieldProblem):
        return _page([attempt]), 429
    seed = factors.opened(context().cipher, staff.id, factor)
    step = second_factor.step_of(seed, typed, now=now.at, last_step=factor.last_step)

    def work(conn: Connection) -> bool:
        if step is None or not queries.use_step(conn, staff.id, factor, step, at=now.at):
            return False
        queries.attempt_succeeded(conn, attempt)
        queries.remove_factor(conn, staff.id)
        _record(conn, by, "second_factor_removed", now)
        return True

    if step is None or not write(work):
        write(lambda conn: attempts.failed(conn, tries, code=staff.code, typed=guess, who=by, now=now))
        return _page([FieldProblem(field="one_time_code", text=text("This code does not fit, or was used"))]), 422
    return redirect(url_for(".index"))


def _record(conn: Connection, by: audit.Who, action: str, now: audit.Moment) -> None:
    audit.record(conn, by, action, f"staff:{by.staff_id}", {}, at=now.at, clock_state=now.clock_state)


def _page(problems: Sequence[FieldProblem] = (), *, seed: str | None = None) -> str:
    staff = current_staff()
    address = second_factor.address(seed, code=staff.code, clinic=context().clinic_name) if seed else None
    return render_template(
        "staff/second_factor.html",
        problems=problems,
        errors=by_field(problems),
        done="done" in request.args,
        is_required=security.needs_second_factor(staff),
        seed=second_factor.grouped(seed) if seed else None,
        address=address,
        picture=qr.picture(address) if address else None,
        status=node_status(),
        now=context().clock.wall_ms(),
    )
