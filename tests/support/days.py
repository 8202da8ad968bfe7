"""A clinic's day played at a timed HIS, with a bare page of the same server asked all the while."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from edge_node.simulation.browser import Browser
from edge_node.simulation.day import Day, Outcome, Staff
from edge_node.simulation.desks import Account
from edge_node.simulation.plan import plan
from edge_node.simulation.tally import quantile
from tests.support.node import RunningNode
from tests.support.timed_his import BARE, BARE_KIND, timed_his

DOCTORS = ("shenliqun", "guoning", "taoran", "qinhanmin")
# Often enough for a 95th percentile, seldom enough to cost the desks nothing.
BARE_EVERY_S = 0.03
ASKED_BEFORE = 100
# What no person waits for; the first of each page, which compiles its template, is a person's.
_NOT_PAGES = ("GET /static/", "GET /readyz", "GET /healthz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a day, and the server's own times in seconds: of the pages by kind, and of the bare page, while the
    desks worked and before, when nobody did."""

    outcome: Outcome
    pages: Mapping[str, Sequence[float]]
    bare: Sequence[float]
    bare_before: Sequence[float]
    load: float

    def ratio(self, q: float) -> float:
        """A quantile of all pages in that of the bare page."""
        return quantile((s for of_kind in self.pages.values() for s in of_kind), q) / quantile(self.bare, q)


def staff_of(node: RunningNode) -> Staff:
    """The training clinic's own people."""
    passwords = node.passwords()

    def accounts(*codes: str) -> list[Account]:
        return [Account(code=code, password=passwords[code]) for code in codes]

    return Staff(registrars=accounts("zhoumin"), nurses=accounts("linfang"), doctors=accounts(*DOCTORS))


def play(folder: Path, *, visits: int, desks: int = 3, seed: int = 1) -> Played:
    """A day at a new clinic, from its first page to the last."""
    with timed_his(folder / "clinic") as node:
        day = Day(plan(visits, seed=seed, today=date.today()), url=node.url)
        with Browser(node.url) as browser:
            for _ in range(ASKED_BEFORE):
                browser.get(BARE)
        with _asked_all_the_while(node.url):
            outcome = day.play(staff_of(node), desks=desks)
        node.stop()
        seconds = node.seconds()
    bare = seconds.pop(BARE_KIND)
    pages = {kind: found for kind, found in seconds.items() if not kind.startswith(_NOT_PAGES)}
    return Played(
        outcome=outcome, pages=pages, bare=bare[ASKED_BEFORE:], bare_before=bare[:ASKED_BEFORE], load=os.getloadavg()[0]
    )


@contextmanager
def _asked_all_the_while(url: str) -> Iterator[None]:
    over = threading.Event()

    def ask() -> None:
        with Browser(url) as browser:
            while not over.wait(BARE_EVERY_S):
                browser.get(BARE)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
