"""What the views work with: the application's parts, a reading connection per thread, and the writing thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from flask import current_app

from edge_node.base.clock import Clock
from edge_node.his.cipher import Cipher
from edge_node.his.copies import Copies, NoCopies
from edge_node.his.line_history import LineHistory, NoHistory
from edge_node.outbox.model import Route
from edge_node.status import NodeStatus
from edge_node.status.superseded import Superseded
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.writer import Writer
from edge_node.tls.trusted import ClinicAuthority

T = TypeVar("T")
EXTENSION = "edge_his"


@dataclass(frozen=True, kw_only=True)
class HisContext:
    """Everything that the composition root hands to the HIS. `node_status` reads the status files when called.

    `superseded` says whether another machine has replaced this one; asked before each write.
    `authority` is the clinic's own, by which the pages' certificate is issued; `contact` whom staff call.
    `upstreams` is who is told about which topics: the HIS puts messages, and never sends one. `line_history` answers
    the console from the node's history, `copies` what it asks of the copies, and takes its orders.
    """

    db_path: Path
    writer: Writer
    clock: Clock
    node_status: Callable[[], NodeStatus]
    cipher: Cipher
    clinic_name: str
    node_code: str
    epoch: Callable[[], int]
    language: str
    idle_lock_s: float
    upstreams: Sequence[Route] = ()
    superseded: Callable[[], Superseded | None] = lambda: None
    authority: Callable[[], ClinicAuthority | None] = lambda: None
    contact: str | None = None
    line_history: LineHistory = field(default_factory=NoHistory)
    copies: Copies = field(default_factory=NoCopies)
    _readers: threading.local = field(default_factory=threading.local)

    def reader(self) -> Connection:
        """This thread's reading connection."""
        conn = getattr(self._readers, "conn", None)
        if conn is None:
            conn = self._readers.conn = connect_reader(self.db_path)
        return cast(Connection, conn)


def context() -> HisContext:
    """The context of the application that serves this request."""
    return cast(HisContext, current_app.extensions[EXTENSION])


def reader() -> Connection:
    """A reading connection for this request; it never writes."""
    return context().reader()


def write(work: Callable[[Connection], T]) -> T:
    """Do one piece of work in the writing thread; returns after the COMMIT.

    The work runs in a SAVEPOINT of its own: what it raises undoes it alone and is raised here. Raises StoreError
    superseded when another machine has replaced this one: it takes no writes any more.
    """
    if (owner := context().superseded()) is not None:
        raise owner.refusal()
    return context().writer.submit(work)


def write_trace(work: Callable[[Connection], T]) -> T:
    """As `write`, for what only says who was here and looked at what: also while this machine is superseded.

    Reading goes on there, and it takes somebody signed in.
    """
    return context().writer.submit(work)
