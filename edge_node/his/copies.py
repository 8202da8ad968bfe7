"""What the console asks about the clinic's copies beside their live state, and the orders that it gives.

The HIS knows neither the journal, nor how charts are drawn, nor where orders lie. Whoever composes it hands it a
`Copies` (`services/copy_desk.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_node.base.errors import ServiceError
from edge_node.his.line_history import NotRecorded
from edge_node.i18n import text
from edge_node.proof_orders import ProofOrder

LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCopy:
    """A destination as the configuration has it; the local replica is the first, and is not sealed."""

    name: str
    place: str
    is_sealed: bool
    may_expire: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDrill:
    """A restore drill. `why` is what made it other than ok, in English; `checks` and `checks_ok` count."""

    destination: str
    at_ms: int
    outcome: str
    rto_s: float | None
    newest_at_ms: int | None
    why: str
    checks: int
    checks_ok: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BehindPicture:
    """How far a destination was behind in the last 24 hours, drawn and said."""

    svg: str
    sentence: str


NO_COPIES = NotRecorded(why=text("This program was started without a history of the copies."))


class Copies(Protocol):
    """Answers never raise, since a console must open when everything else is broken; orders do."""

    def known(self) -> Sequence[KnownCopy]:
        """The local replica, and the destinations in the order of the configuration."""

    def budget_bytes(self) -> int | None:
        """What the local replica may take of its disk."""

    def drills(self) -> Sequence[PastDrill] | NotRecorded:
        """The last restore drills, the newest first."""

    def drilling(self) -> str | None:
        """The destination from which a drill restores at this moment."""

    def behind(self, destination: str, *, language: str) -> BehindPicture | NotRecorded:
        """The picture of a destination."""

    def orders(self) -> Sequence[ProofOrder]:
        """The orders to the replicator that hold now, whether they were carried out or not."""

    def order(self, order: ProofOrder) -> None:
        """Give an order. Raises ServiceError orders-unwritable."""

    def withdraw(self, order_id: str) -> bool:
        """Take an order back; false when it does not stand any more. Raises ServiceError orders-unwritable."""


class NoCopies:
    """Of a HIS that was given none."""

    def known(self) -> Sequence[KnownCopy]:
        return ()

    def budget_bytes(self) -> int | None:
        return None

    def drills(self) -> Sequence[PastDrill] | NotRecorded:
        return NO_COPIES

    def drilling(self) -> str | None:
        return None

    def behind(self, destination: str, *, language: str) -> BehindPicture | NotRecorded:
        return NO_COPIES

    def orders(self) -> Sequence[ProofOrder]:
        return ()

    def order(self, order: ProofOrder) -> None:
        raise ServiceError(
            "orders-unwritable", "there is nobody to order a drill or a pause from", context=None, hint=None
        )

    def withdraw(self, order_id: str) -> bool:
        return False
