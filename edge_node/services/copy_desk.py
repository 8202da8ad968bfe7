"""`his.copies.Copies` over the configuration, node.db, the status file of drills, and the file of orders."""

from __future__ import annotations

from collections.abc import Sequence

from edge_node.base.clock import Clock
from edge_node.base.files import read_status
from edge_node.config.schema import Config
from edge_node.his.copies import LOCAL, BehindPicture, KnownCopy, PastDrill
from edge_node.his.line_history import NotRecorded
from edge_node.i18n import text
from edge_node.journal import drills as history
from edge_node.journal.behind import STEP_MS, behind_between
from edge_node.journal.words import rpo_words
from edge_node.proof_orders import (
    ProofOrder,
    place_proof_order,
    read_proof_orders,
    replica_orders,
    withdraw_proof_order,
)
from edge_node.services.history_file import ask_history
from edge_node.status import shapes
from edge_node.store.connection import Connection
from edge_node.store.databases import db_path
from monitoring.rpo_chart import Rpo, rpo_sentence, rpo_svg
from monitoring.smoke import Span

DRILLS_SHOWN = 12
DAY_MS = 86_400_000
NOTHING_YET = NotRecorded(why=text("Nothing has been recorded yet. The service monitor writes it, every five minutes."))


class CopyDesk:
    """For the console; answers are read anew for each page."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._path = db_path(config.node.state_dir, "node")
        self._orders = replica_orders(config.node.state_dir)
        self._goals = {one.name: one.rpo_limit_s for one in config.replica.destination}

    def known(self) -> Sequence[KnownCopy]:
        replica = self._config.replica
        here = KnownCopy(name=LOCAL, place=str(replica.local), is_sealed=False, may_expire=False)
        return (
            here,
            *(
                KnownCopy(name=one.name, place=one.url, is_sealed=not replica.plain, may_expire=one.expire)
                for one in replica.destination
            ),
        )

    def budget_bytes(self) -> int | None:
        return self._config.replica.disk_budget_bytes

    def drills(self) -> Sequence[PastDrill] | NotRecorded:
        def read(conn: Connection) -> Sequence[PastDrill] | NotRecorded:
            return tuple(_past(one) for one in history.last_drills(conn, limit=DRILLS_SHOWN))

        return ask_history(self._path, read)

    def drilling(self) -> str | None:
        file = read_status(self._config.node.run_dir, "drill")
        return shapes.words(file.state.get("running")) if file and not file.stopped else None

    def behind(self, destination: str, *, language: str) -> BehindPicture | NotRecorded:
        now_ms = self._clock.wall_ms()
        window = Span(start_ms=now_ms - DAY_MS, end_ms=now_ms)

        def draw(conn: Connection) -> BehindPicture | NotRecorded:
            points = behind_between(conn, destination, window.start_ms - STEP_MS, window.end_ms)
            if not points:
                return NOTHING_YET
            rpo, words = Rpo(window=window, points=points, goal_s=self._goals.get(destination)), rpo_words(language)
            svg = rpo_svg(rpo, words, key=f"rpo-{destination}", now_ms=now_ms)
            return BehindPicture(svg=svg, sentence=rpo_sentence(rpo, words))

        return ask_history(self._path, draw)

    def orders(self) -> Sequence[ProofOrder]:
        return read_proof_orders(self._orders, now_ms=self._clock.wall_ms())

    def order(self, order: ProofOrder) -> None:
        place_proof_order(self._orders, order, now_ms=self._clock.wall_ms())

    def withdraw(self, order_id: str) -> bool:
        return withdraw_proof_order(self._orders, order_id, now_ms=self._clock.wall_ms())


def _past(one: history.PastDrill) -> PastDrill:
    return PastDrill(
        destination=one.destination,
        at_ms=one.at_ms,
        outcome=one.outcome,
        rto_s=one.rto_s,
        newest_at_ms=one.newest_at_ms,
        why=one.why,
        checks=len(one.checks),
        checks_ok=sum(check.outcome == history.OK for check in one.checks),
    )
