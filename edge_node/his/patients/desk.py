"""The desk at which a record is written: who, when, and with which node's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from edge_node.base.clock import utc_text
from edge_node.his import audit, numbering
from edge_node.his.audit import Moment, Who
from edge_node.his.context import context
from edge_node.his.language import local
from edge_node.his.patients import message
from edge_node.his.patients.queries import Patient
from edge_node.his.security import who
from edge_node.outbox import queue as outbox
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who writes, when, and with which node's numbers."""

    who: Who
    moment: Moment
    today: date
    node_code: str
    epoch: int
    upstreams: Sequence[Route] = ()

    @property
    def staff_id(self) -> str:
        """The person at the desk. Raises LookupError when nobody is signed in."""
        if self.who.staff_id is None:
            raise LookupError("a record was to be written without anybody signed in")
        return self.who.staff_id

    def trace(self, conn: Connection, action: str, object: str, **detail: object) -> None:  # noqa: A002
        """One row of the audit log, in this transaction."""
        audit.record(conn, self.who, action, object, detail, at=self.moment.at, clock_state=self.moment.clock_state)

    def tell(self, conn: Connection, patient: Patient, *, into: Patient | None = None) -> None:
        """Put the message about a record as it is now, in this transaction; `into` is what it was merged into."""
        body = message.of_patient(patient, at=utc_text(self.moment.at), into=into)
        outbox.put(
            conn, topic=message.TOPIC, key=patient.id, body=body, upstreams=self.upstreams, at=self.moment.at
        )  # fmt: skip

    def number(self, conn: Connection, name: str) -> str:
        """The next number of a kind."""
        return numbering.take(conn, name, node_code=self.node_code, epoch=self.epoch, year=self.today.year)


def this_desk() -> Desk:
    """The desk of this request; the clock is read once, for everything that the request writes."""
    ctx, moment = context(), audit.moment()
    return Desk(
        who=who(), moment=moment, today=local(moment.at).date(), node_code=ctx.node_code, epoch=ctx.epoch(),
        upstreams=ctx.upstreams,
    )  # fmt: skip
