"""A day at several desks at once: who works where, and what came of it."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from edge_node.simulation import plan
from edge_node.simulation.browser import Browser, Exchange
from edge_node.simulation.desks import Account, Called, Desk, Doctor, Nurse, Registrar, Stuck
from edge_node.simulation.hall import Hall
from edge_node.simulation.page import NoSuchControl
from edge_node.simulation.plan import Fate, Visit

AnyDesk = TypeVar("AnyDesk", bound=Desk)

# One of each: nobody measures and treats the patients whom they register.
LEAST_DESKS = 3
# What is said in a page's address bar of a training clinic's language; the plan names departments in Chinese.
_LANGUAGE = "zh_Hans_CN"
_TROUBLES = (Stuck, NoSuchControl, OSError, http.client.HTTPException)
# What is counted, in the order in which it is told.
DONE = ("registered", "returning", "measured", "late", "cancelled", "signed", "drugs", "amended", "strangers", "stuck")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """How many desks of each kind."""

    registrars: int
    nurses: int
    doctors: int


def staffing(desks: int) -> Staffing:
    """So many desks shared out: a visit takes its doctor longest. At least one of each."""
    registrars, nurses = max(1, desks // 4), max(1, desks // 6)
    return Staffing(registrars=registrars, nurses=nurses, doctors=max(1, desks - registrars - nurses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Who works there; when there are more desks than accounts, somebody sits at two."""

    registrars: Sequence[Account]
    nurses: Sequence[Account]
    doctors: Sequence[Account]


@dataclass(kw_only=True)
class Outcome:
    """What came of a day: how often each of DONE, what stuck in words, every request, and how long it took."""

    counts: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, by: int = 1) -> None:
        with self._lock:
            self.counts[what] += by

    def trouble(self, where: str, why: Exception) -> None:
        with self._lock:
            self.counts["stuck"] += 1
            self.stuck.append(f"{where}: {why or type(why).__name__}")

    def heard(self, exchange: Exchange) -> None:
        with self._lock:
            self.exchanges.append(exchange)


class Day:
    """The visits of a plan, played at a node's pages. `pace_s` spreads the arrivals; 0 is as fast as it goes."""

    def __init__(
        self, visits: Sequence[Visit], *, url: str, tls: ssl.SSLContext | None = None, pace_s: float = 0.0
    ) -> None:
        self._visits = visits
        self._url, self._tls, self._pace_s = url, tls, pace_s
        self._outcome, self._hall = Outcome(), Hall(len(visits))
        self._ends = threading.Event()

    def play(self, staff: Staff, *, desks: int) -> Outcome:
        """The whole day. Raises Stuck when somebody cannot sign in, OSError when nobody answers."""
        seats = staffing(desks)
        registrars = [self._seat(Registrar, staff.registrars, n) for n in range(seats.registrars)]
        nurses = [self._seat(Nurse, staff.nurses, n) for n in range(seats.nurses)]
        doctors = [self._seat(Doctor, staff.doctors, n) for n in range(seats.doctors)]
        began_s = time.monotonic()
        work: list[Callable[[], None]] = [
            *(self._at_reception(one, n, len(registrars), began_s) for n, one in enumerate(registrars)),
            *(self._at_triage(one) for one in nurses),
            *(self._in_the_room(one) for one in doctors),
        ]
        threads = [threading.Thread(target=one, daemon=True) for one in work]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._ends.set()
            self._hall.close()
            for desk in (*registrars, *nurses, *doctors):
                desk.browser.hang_up()
        self._outcome.seconds = time.monotonic() - began_s
        return self._outcome

    def _seat(self, kind: type[AnyDesk], accounts: Sequence[Account], n: int) -> AnyDesk:
        browser = Browser(self._url, tls=self._tls, heard=self._outcome.heard)
        browser.keep_cookie("lang", _LANGUAGE)
        desk = kind(browser=browser, account=accounts[n % len(accounts)])
        desk.sign_in(f"{kind.__name__} {n + 1}")
        return desk

    def _at_reception(self, desk: Registrar, place: int, registrars: int, began_s: float) -> Callable[[], None]:
        mine = plan.of_registrar(self._visits, place, registrars)

        def work() -> None:
            for visit in mine:
                due_s = began_s + self._pace_s * (visit.number - 1) / len(self._visits)
                self._ends.wait(max(0.0, due_s - time.monotonic()))
                if self._ends.is_set():
                    return
                with self._hall.registering():
                    self._registers(desk, visit)

        return work

    def _registers(self, desk: Registrar, visit: Visit) -> None:
        try:
            arrived = desk.registers(visit)
            self._hall.arrived(arrived)
            self._outcome.add("registered")
            self._outcome.add("returning", int(visit.is_return))
            if visit.fate is Fate.CANCELLED and desk.cancels(arrived):
                self._outcome.add("cancelled")
                self._hall.over()
            elif visit.fate is Fate.CANCELLED or not visit.measures:
                self._hall.to_doctor()
            else:
                self._hall.to_nurse(arrived)
        except _TROUBLES as why:
            self._outcome.trouble(f"visit {visit.number} at the reception", why)
            self._hall.over()

    def _at_triage(self, desk: Nurse) -> Callable[[], None]:
        def work() -> None:
            while (arrived := self._hall.next_for_nurse()) is not None:
                try:
                    self._outcome.add("measured", int(desk.measures(arrived)))
                except _TROUBLES as why:
                    self._outcome.trouble(f"visit {arrived.visit.number} at the triage", why)
                # Also whoever could not be measured sits down and waits.
                self._hall.to_doctor()

        return work

    def _in_the_room(self, desk: Doctor) -> Callable[[], None]:
        def work() -> None:
            while self._hall.next_for_doctor():
                try:
                    called = desk.calls()
                except _TROUBLES as why:
                    self._outcome.trouble("calling the next", why)
                    self._hall.over()
                    continue
                if called is None:
                    # Somebody who is not of this day has seen them.
                    self._hall.over()
                    continue
                self._sees(desk, called)

        return work

    def _sees(self, desk: Doctor, called: Called) -> None:
        arrived = self._hall.who(called.visit_no)
        try:
            if arrived is None:
                # Somebody waits from before; a doctor sees whoever is called, and the place is free again.
                self._outcome.add("strangers")
                desk.sees(called, self._visits[0])
                self._hall.to_doctor()
                return
            visit = arrived.visit
            if visit.fate is Fate.LATE and not self._hall.is_late(called.visit_no) and desk.puts_back(called):
                self._outcome.add("late")
                self._hall.to_doctor()
                return
            self._outcome.add("drugs", desk.sees(called, visit))
            self._outcome.add("signed")
            self._outcome.add("amended", int(visit.is_amended))
        except _TROUBLES as why:
            who = "a stranger" if arrived is None else f"visit {arrived.visit.number}"
            self._outcome.trouble(f"{who} with the doctor", why)
            if arrived is None:
                self._hall.to_doctor()
                return
        self._hall.over()
