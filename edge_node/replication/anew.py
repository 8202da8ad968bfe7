"""When Litestream must begin anew: a HIS that was killed may have left it frames that SQLite forgot. Pure."""

from __future__ import annotations

# A HIS that dies at every start would have whole copies made without end; one that lives this long is followed.
SETTLED_MS = 2_000


def is_due(began_after_kill_at: object, *, begun_for: int | None, done_for: int, now_ms: int) -> bool:
    """Must Litestream begin anew now?

    `began_after_kill_at` is what the HIS says in its status file: the wall time (ms) at which it found that the one
    before it had been killed; anything but a number when it says nothing of the kind. `begun_for` is the kill for which
    a new beginning is under way, None while none is; `done_for` the one for which it was made last, 0 for none.
    """
    if not isinstance(began_after_kill_at, int) or isinstance(began_after_kill_at, bool):
        return False
    is_heeded = began_after_kill_at == (done_for if begun_for is None else begun_for)
    return not is_heeded and now_ms - began_after_kill_at >= SETTLED_MS
