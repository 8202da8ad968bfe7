"""When Litestream must begin anew: a writer that was killed may have left it frames that SQLite forgot. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A writer that dies at every start would have whole copies made without end; one that lives this long is followed.
SETTLED_MS = 2_000

# Who writes each database: a kill of any of them may leave frames in its WAL that SQLite forgets.
WRITERS: Mapping[str, tuple[str, ...]] = {"his": ("his", "outbox"), "node": ("monitor",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heeded:
    """Which kill of each writer was heeded: `begun`, a new beginning is under way for it; `done`, one was made."""

    begun: Mapping[str, int] = field(default_factory=dict)
    done: Mapping[str, int] = field(default_factory=dict)


def finished(heeded: Heeded, *, beginning: Collection[str]) -> Heeded:
    """What was under way for databases that are not `beginning` any more is done."""
    over = {
        writer: at
        for name, writers in WRITERS.items()
        if name not in beginning
        for writer, at in heeded.begun.items()
        if writer in writers
    }
    begun = {writer: at for writer, at in heeded.begun.items() if writer not in over}
    return Heeded(begun=begun, done={**heeded.done, **over})


def heed(said: Mapping[str, object], heeded: Heeded, *, now_ms: int) -> tuple[Heeded, tuple[str, ...]]:
    """What is heeded from now on, and the databases for which Litestream must begin anew for it.

    `said` is what each writer says of a kill before it (`is_due`).
    """
    known = {writer: said.get(writer) for writers in WRITERS.values() for writer in writers}
    new = due(known, begun_for=heeded.begun, done_for=heeded.done, now_ms=now_ms)
    names = tuple(name for name, writers in WRITERS.items() if new.keys() & set(writers))
    return Heeded(begun={**heeded.begun, **new}, done=heeded.done), names


def due(
    said: Mapping[str, object], *, begun_for: Mapping[str, int], done_for: Mapping[str, int], now_ms: int
) -> dict[str, int]:
    """The kills, by writer, for which Litestream must begin anew now."""
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
