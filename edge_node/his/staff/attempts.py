"""One attempt to prove who one is, by a password or a code: noted as failed before anything is looked at."""

from __future__ import annotations

from edge_node.his import audit
from edge_node.his.forms import FieldProblem
from edge_node.his.language import duration
from edge_node.his.staff import queries
from edge_node.his.staff.rules import FAILURES_PER_ADDRESS, FAILURES_PER_CODE, locked_until
from edge_node.his.staff.tries import Tries
from edge_node.i18n import text
from edge_node.store.connection import Connection


def begin(conn: Connection, tries: Tries, *, code: str, typed: str, address: str, now: int) -> int | FieldProblem:
    """Note the attempt and return its id, unless the staff code or the address is locked.

    The same typed again before the answer is the same attempt. In the writing thread, before `typed` is looked at: so
    sixteen guesses at once count as sixteen.
    """
    # Who tries passwords elsewhere locks the code there, and not where its owner works.
    here = address if queries.is_known_at(conn, code, address, now=now) else None
    until = locked_until(queries.failures_of_code(conn, code, now=now, address=here), FAILURES_PER_CODE, now)
    if until is not None:
        wait = duration((until - now) / 1000)
        return FieldProblem(
            field="code", text=text("This code is locked for another %(wait)s after five failures", wait=wait)
        )
    until = locked_until(queries.failures_of_address(conn, address, now=now), FAILURES_PER_ADDRESS, now)
    if until is not None:
        wait = duration((until - now) / 1000)
        return FieldProblem(field="code", text=text("Too many failures from this computer; wait %(wait)s", wait=wait))
    again = tries.unanswered(code, typed, now=now)
    if again is not None and queries.is_failure(conn, again, code):
        return again
    attempt = queries.begin_attempt(conn, code=code, address=address, at=now)
    tries.begin(code, typed, attempt, now=now)
    return attempt


def failed(
    conn: Connection,
    tries: Tries,
    *,
    code: str,
    typed: str,
    who: audit.Who,
    now: audit.Moment,
    action: str = "sign_in_failed",
) -> None:
    """The attempt stays a failure: its trace, in the writing thread."""
    tries.answer(code, typed)
    # Only codes that exist are written down: people type their password into the wrong field.
    found = queries.find_by_code(conn, code)
    audit.record(conn, who, action, f"staff:{found.id}" if found else "", {}, at=now.at, clock_state=now.clock_state)
