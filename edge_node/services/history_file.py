"""node.db asked by the HIS: opened for reading only, once for each answer; what is wrong with it is a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_node.base.errors import StoreError
from edge_node.base.logs import event
from edge_node.his.line_history import NotRecorded
from edge_node.i18n import text
from edge_node.store.connection import Connection, DatabaseError, connect_reader

T = TypeVar("T")

MISSING = NotRecorded(why=text("There is no history: node.db is missing. edge-node db ensure brings it back."))
UNREADABLE = NotRecorded(why=text("The history cannot be read just now. edge-node doctor looks into it."))


def ask_history(path: Path, ask: Callable[[Connection], T | NotRecorded]) -> T | NotRecorded:
    """The answer of node.db at `path`; never an error, since a page must open when everything else is broken."""
    try:
        with contextlib.closing(connect_reader(path)) as conn:
            return ask(conn)
    except StoreError:
        return MISSING
    except (DatabaseError, ValueError) as error:
        # A disk that fails, a file of another version, a row that nobody foresaw: the rest of the page stands.
        event("history_unreadable", why=f"{type(error).__name__}: {error}", path=str(path))
        return UNREADABLE
