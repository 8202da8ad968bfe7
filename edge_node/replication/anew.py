"""When Litestream must begin anew: a writer that was killed may have left it frames that SQLite forgot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

# A writer that dies at every start would have whole copies made without end; one that lives this long is followed.
SETTLED_MS = 2_000


def due(
    said: Mapping[str, object], *, begun_for: Mapping[str, int], done_for: Mapping[str, int], now_ms: int
) -> dict[str, int]:
    """The kills, by writer, for which Litestream must begin anew now; pure, as is `is_due` for one writer."""
    return {
        writer: at
        for writer, at in said.items()
        if isinstance(at, int)
        and is_due(at, begun_for=begun_for.get(writer), done_for=done_for.get(writer, 0), now_ms=now_ms)
    }


def is_due(began_after_kill_at: object, *, begun_for: int | None, done_for: int, now_ms: int) -> bool:
    """Must Litestream begin anew now?

    `began_after_kill_at` is what the writer says in its status file: the wall time (ms) at which it found that the one
    before it had been killed; anything but a number when it says nothing of the kind. `begun_for` is the kill for which
    a new beginning is under way, None while none is; `done_for` the one for which it was made last, 0 for none.
    """
    if not isinstance(began_after_kill_at, int) or isinstance(began_after_kill_at, bool):
        return False
    is_heeded = began_after_kill_at == (done_for if begun_for is None else begun_for)
    return not is_heeded and now_ms - began_after_kill_at >= SETTLED_MS


def read_done(path: Path) -> dict[str, int]:
    """For which kill of each writer it was done last; nothing where that cannot be read: then it is done once more."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if isinstance(document, int):
        return {"his": document}  # as the first version wrote it
    return {str(name): at for name, at in document.items() if isinstance(at, int)} if isinstance(document, dict) else {}
