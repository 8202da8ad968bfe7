"""Who does what stands for good proves once more who it is, when the last proof is too long ago.

In a form, beside its button, the macro `_macros/proof.html`: its field is there only when it is needed. In the view,
before anything is decided, so that a right password counts whatever else is wrong with the form:

    unproven = proofs.prove()
    problems = [*rules.problems(form), *([unproven] if unproven else [])]

The field's name keeps it out of everything that gives a form back.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from flask import request

from edge_node.his import audit, security
from edge_node.his.context import context, reader, write
from edge_node.his.forms import FieldProblem
from edge_node.his.staff import attempts, factors, passwords, queries, second_factor
from edge_node.his.staff.model import Staff
from edge_node.his.staff.renewals import Renewals
from edge_node.his.staff.rules import PASSWORD_MAX_LENGTH, proof_counts
from edge_node.i18n import Text, text
from edge_node.store.connection import Connection

FIELD = "proof_password"


def is_needed() -> bool:
    """Would an act of this person, now, ask for a proof?"""
    found = security.signed_in()
    return found is not None and not proof_counts(
        confirmed_at=found.confirmed_at,
        now=context().clock.wall_ms(),
        for_ms=security.session_limits().proof_ms,
    )


def prove() -> FieldProblem | None:
    """Take the proof that came with this form, unless the last one still counts; None when all is well.

    A right one counts for the acts after it too, and gives the session a new id. A wrong one counts as a failed
    sign-in does. Raises as `write`.
    """
    if not is_needed():
        return None
    staff, now, by, tries = security.current_staff(), audit.moment(), security.who(), security.tries()
    typed, came_with = request.form.get(FIELD, ""), security.browsers_session_id() or ""
    if not typed:
        return _problem(text("Type your password: the last proof of who you are is too long ago"))
    renewals = security.renewals()
    if (same := _same(reader(), renewals, came_with, typed, now.at)) is not None:
        _carry_on(same, now.at)
        return None
    step = _step(staff, typed, now.at)
    # A code is another guess in the next half minute; a password is the same one.
    guess = typed if step is None else second_factor.guess(typed, now=now.at)
    attempt = write(
        lambda conn: attempts.begin(conn, tries, code=staff.code, typed=guess, address=by.address, now=now.at)
    )
    if isinstance(attempt, FieldProblem):
        return replace(attempt, field=FIELD)
    is_right = step is not None or (
        len(typed) <= PASSWORD_MAX_LENGTH
        and passwords.verify_password(queries.password_hash(reader(), staff.id), typed)
    )
    new_id, session_id = secrets.token_urlsafe(32), security.current_session_id() or ""

    def work(conn: Connection) -> str | None:
        if (same := _same(conn, renewals, came_with, typed, now.at)) is not None:
            # Another click was quicker by so much that it had not been noted above.
            queries.attempt_succeeded(conn, attempt)
            return same
        if step is not None and not queries.use_step(conn, staff.id, step.factor, step.step, at=now.at):
            return None
        if not queries.renew_session(conn, session_id, new_id, at=now.at):
            return None
        queries.attempt_succeeded(conn, attempt)
        audit.record(conn, by, "identity_confirmed", f"staff:{staff.id}", {}, at=now.at, clock_state=now.clock_state)
        renewals.note(session_id, new_id, typed, now=now.at)
        return new_id

    renewed = write(work) if is_right else None
    if renewed is not None:
        _carry_on(renewed, now.at)
        return None
    write(
        lambda conn: attempts.failed(
            conn, tries, code=staff.code, typed=guess, who=by, now=now, action="confirmation_failed"
        )
    )
    if staff.has_second_factor:
        return _problem(text("That is neither your password nor a code that fits now"))
    return _problem(text("That is not your password"))


def _same(conn: Connection, renewals: Renewals, came_with: str, typed: str, now: int) -> str | None:
    """The id that the same proof gave this session a moment ago; None where that was lost with its transaction, as on a
    full disk: the browser would get the id of nothing."""
    new_id = renewals.of(came_with, now=now) if renewals.is_same_proof(came_with, typed, now=now) else None
    return new_id if new_id is not None and queries.session(conn, new_id) is not None else None


def _carry_on(new_id: str, at: int) -> None:
    """In the session under its new id."""
    security.renew_session(new_id, at=at)


def _problem(said: Text) -> FieldProblem:
    return FieldProblem(field=FIELD, text=said)


def _step(staff: Staff, typed: str, now: int) -> factors.Use | None:
    """The step of a code, where the person has a telephone that shows them and has typed one."""
    factor = queries.factor(reader(), staff.id) if staff.has_second_factor else None
    if factor is None or len(second_factor.digits(typed)) != second_factor.DIGITS:
        return None
    seed = factors.opened(context().cipher, staff.id, factor)
    step = second_factor.step_of(seed, typed, now=now, last_step=factor.last_step)
    return None if step is None else factors.Use(factor=factor, step=step)
