"""Desks that ask without a pause, each on one connection that is kept: four pages, then something is saved.

Half of them are registrars, who correct a phone number; half are doctors, who keep a draft. Nobody meets anybody else:
each has a patient of their own, so that whatever waits, waits for the server.
"""

from __future__ import annotations

import http.client
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from edge_node.simulation.tally import quantile
from tests.support.days import DOCTORS
from tests.support.desk import Desk, Exchange, hidden, new_key, phone_number
from tests.support.node import RunningNode

# Of so many requests one saves something.
WRITES_EVERY = 5
REGISTRAR = "zhoumin"
# A machine that is busy otherwise is not what is judged.
ANSWERS_WITHIN_S = 60.0


@dataclass
class Asked:
    """What the clients met."""

    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def writes_s(self) -> list[float]:
        return [one.seconds for one in self.exchanges if one.kind.startswith("POST")]

    @property
    def reads_s(self) -> list[float]:
        return [one.seconds for one in self.exchanges if one.kind.startswith("GET")]

    @property
    def failed(self) -> list[Exchange]:
        """No answer, a fault, or a form that was refused: nobody else has touched what it is about."""
        return [one for one in self.exchanges if one.status == 0 or one.status >= 400]

    def said(self) -> str:
        """Milliseconds."""
        parts = []
        for name, seconds in (("reads", self.reads_s), ("writes", self.writes_s)):
            figures = " ".join(f"p{q * 100:.0f} {quantile(seconds, q) * 1000:.1f}" for q in (0.5, 0.95, 0.99))
            parts.append(f"{len(seconds)} {name}: {figures}")
        return "; ".join(parts)


@dataclass
class Client:
    """A registrar or a doctor with a patient of their own; `turn` is one round of requests, one of them a write."""

    desk: Desk
    turn: Callable[[], None]


@contextmanager
def seated(node: RunningNode, count: int) -> Iterator[list[Client]]:
    """So many clients who have signed in, each with a patient. Registrars and doctors by turns."""
    passwords = node.passwords()
    with ExitStack() as stack:

        def sits_down(code: str, n: int, first: str) -> Desk:
            desk = stack.enter_context(Desk(node.url, answers_within_s=ANSWERS_WITHIN_S))
            if first == "/reception":
                desk.sign_in(code, passwords[code], station=f"desk {n}")
            else:
                desk.enter(code, passwords[code], station=f"room {n}", first=first)
            return desk

        registrar, clients = sits_down(REGISTRAR, 0, "/reception"), []
        for n in range(count):
            name = f"病人{'甲乙丙丁戊己庚辛壬癸'[n % 10]}{'子丑寅卯辰巳'[n // 10 % 6]}"
            answer = registrar.register(name, phone_number(n + 1))
            registered = re.search(r"registered=([0-9A-Z]{26})", answer.location)
            assert registered, answer.body
            if n % 2 == 0:
                patient = re.search(r"/patients/([0-9A-Z]{26})", registrar.get(f"/reception/{registered[1]}").body)
                assert patient, "a registration leads to the record"
                desk = sits_down(REGISTRAR, n, "/reception")
                clients.append(Client(desk, _registrar(desk, patient[1])))
            else:
                desk = sits_down(DOCTORS[n // 2 % len(DOCTORS)], n, "/encounters/")
                begun = desk.post(f"/encounters/queue/{registered[1]}", {"request_key": new_key()})
                assert re.search(r"/encounters/[0-9A-Z]{26}$", begun.location), begun.body
                clients.append(Client(desk, _doctor(desk, begun.location)))
        yield clients


def _registrar(desk: Desk, patient_id: str) -> Callable[[], None]:
    count, edit, found = itertools.count(1), f"/patients/{patient_id}/edit", _found(desk)

    def turn() -> None:
        page = desk.get(edit).body
        fields = {name: hidden(page, name) for name in ("version", "request_key")}
        typed = {name: _typed(page, name) for name in ("name", "birth_date")}
        phone = f"137{next(count):08}"
        desk.get("/reception")
        desk.get(found)
        desk.post(edit, {**fields, **typed, "sex": "2", "id_type": "none", "phone": phone})
        desk.get(f"/patients/{patient_id}")

    return turn


def _doctor(desk: Desk, address: str) -> Callable[[], None]:
    count, found = itertools.count(1), _found(desk)

    def turn() -> None:
        page = desk.get(address).body
        fields = {name: hidden(page, name) for name in ("revision", "version", "request_key")}
        desk.get("/encounters/")
        desk.get(found)
        desk.post(
            address, {**fields, "action": "save", "complaint": f"咳嗽 {next(count)} 天", "history": "受凉后咳嗽。" * 20}
        )
        desk.get(address)

    return turn


def _found(desk: Desk) -> str:
    """The address of a list of people; looked at again and again, as by whoever goes back to it."""
    return desk.post("/patients/find", {"q": "br"}).location


def _typed(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)
    assert found, f"no field {name} in:\n{page[:2000]}"
    return found[1]


def ask(clients: list[Client], *, requests: int) -> Asked:
    """Every client at once, without a pause, until so many requests were asked altogether."""
    asked, lock, left = Asked(), threading.Lock(), _countdown(requests)
    problems: list[BaseException] = []

    def work(client: Client, place: int) -> None:
        mine: list[Exchange] = []
        try:
            # Else all of them would write at once, and then again.
            for _ in range(place % WRITES_EVERY):
                client.desk.get("/patients")
            client.desk.heard = mine.append
            while left():
                client.turn()
        except (OSError, http.client.HTTPException, AssertionError) as error:
            problems.append(error)
        with lock:
            asked.exchanges += mine

    threads = [threading.Thread(target=work, args=one) for one in zip(clients, range(len(clients)), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for problem in problems:
        raise problem
    return asked


def _countdown(requests: int) -> Callable[[], bool]:
    """True for as many rounds as that makes; from any thread."""
    rounds: Iterator[int] = iter(range(requests // WRITES_EVERY))
    lock = threading.Lock()

    def left() -> bool:
        with lock:
            return next(rounds, None) is not None

    return left
