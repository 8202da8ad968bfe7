"""The load: several pairs of a registrar and a doctor who do whole visits through the pages, at a constant rate.

    python -m tests.lab.staff --url https://192.168.77.1:8443 --ca ca.pem --accounts accounts.json --out FOLDER

Runs until SIGTERM. Under --out it keeps `requests.jsonl` (every request, answered or not) and `answered.jsonl` (what
the clinic was promised: a registration, a signature). Requests are due at fixed times, whatever became of those before:
a slow server is not spared the ones that it delays.
"""

from __future__ import annotations

import argparse
import json
import signal
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.lab.visits import Doctor, Persistence, Registrar, Stopped, doctor_of
from tests.support.desk import Desk, Exchange, phone_number

PAIRS, RATE_PER_S = 6, 30.0
REGISTRAR = "zhoumin"
# Codes and names of the training clinic's doctors.
DOCTORS = {"shenliqun": "沈立群", "guoning": "郭宁", "taoran": "陶然", "qinhanmin": "秦汉民"}
# Of a pair's visits, one in so many is of somebody who was there before, and one in so many is amended.
RETURNS_EVERY, AMENDED_EVERY = 4, 5
PATIENTS_PER_PAIR = 100_000
# One at a time: a code whose sign-ins are under way counts as one that is being guessed at.
_SIGNING_IN = threading.Lock()


@dataclass(slots=True)
class Pace:
    """Requests of one pair, due at fixed times."""

    every_s: float
    due_s: float
    is_over: threading.Event

    def wait(self) -> None:
        """Until the next request is due; at once when it was due before."""
        self.due_s += self.every_s
        self.is_over.wait(max(0.0, self.due_s - time.monotonic()))

    def from_now(self) -> None:
        """Forget what was due while nobody answered: people do not make up for it."""
        self.due_s = max(self.due_s, time.monotonic())


@dataclass
class Ledger:
    """Lines of JSON, whole ones, as they happen."""

    requests: TextIO
    answered: TextIO
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def heard(self, exchange: Exchange, late_s: float) -> None:
        self._write(self.requests, {**asdict(exchange), "late_s": late_s})

    def promised(self, **what: Any) -> None:
        self._write(self.answered, {"at_s": time.monotonic(), **what})

    def _write(self, file: TextIO, row: Mapping[str, Any]) -> None:
        with self._lock:
            file.write(json.dumps(row) + "\n")
            file.flush()


@dataclass
class Pair:
    """One registrar and one doctor, who work hand in hand."""

    number: int
    url: str
    tls: ssl.SSLContext
    accounts: Mapping[str, str]
    ledger: Ledger
    pace: Pace
    first_number: int = 0
    _done: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Visits, one after the other, until it is over."""
        until_answered = Persistence(is_over=self.pace.is_over.is_set)
        try:
            self._visits(*self._sit_down(until_answered))
        except Stopped:
            return

    def _sit_down(self, until_answered: Persistence) -> tuple[Registrar, Doctor]:
        code, name = list(DOCTORS.items())[self.number % len(DOCTORS)]
        registrar, doctor = self._browser(), self._browser()
        with _SIGNING_IN:
            registrar.sign_in(REGISTRAR, self.accounts[REGISTRAR], station=str(self.number))
            doctor.enter(code, self.accounts[code], station=f"r{self.number}", first="/encounters/")
        doctor_id, department_id = doctor_of(registrar.get("/reception").body, name)
        for desk in (registrar, doctor):
            desk.before, desk.heard = self.pace.wait, self._heard
        return Registrar(desk=registrar, until_answered=until_answered), Doctor(
            desk=doctor, until_answered=until_answered, id=doctor_id, department_id=department_id
        )

    def _browser(self) -> Desk:
        return Desk(self.url, tls=self.tls)

    def _heard(self, exchange: Exchange) -> None:
        self.ledger.heard(exchange, max(0.0, exchange.began_s - self.pace.due_s))
        if exchange.failed:
            self.pace.from_now()

    def _visits(self, registrar: Registrar, doctor: Doctor) -> None:
        count = 0
        self.ledger.promised(what="seated", pair=self.number)
        self.pace.from_now()
        while True:
            count += 1
            again = count % RETURNS_EVERY == 0 and bool(self._done)
            number = self.first_number + self.number * PATIENTS_PER_PAIR + count
            phone = self._done[number * 7 % len(self._done)] if again else phone_number(number)
            registration = registrar.registers(phone, again=again, doctor=doctor)
            self.ledger.promised(what="registration", id=registration, phone=phone)
            encounter, signed = doctor.sees_the_next(amends=count % AMENDED_EVERY == 0)
            self.ledger.promised(what="encounter", id=encounter, versions=signed)
            self._done.append(phone)


def work(
    url: str,
    tls: ssl.SSLContext,
    accounts: Mapping[str, str],
    out: Path,
    *,
    pairs: int,
    rate_per_s: float,
    first_number: int,
) -> int:
    """Work until SIGTERM; the number of pairs that stopped for a reason of their own."""
    is_over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_over.set())
    signal.signal(signal.SIGINT, lambda *_: is_over.set())
    broken: list[BaseException] = []
    with (out / "requests.jsonl").open("a") as requests, (out / "answered.jsonl").open("a") as answered:
        ledger = Ledger(requests=requests, answered=answered)
        every_s, now = pairs / rate_per_s, time.monotonic()

        def run(pair: Pair) -> None:
            try:
                pair.work()
            except BaseException as error:
                broken.append(error)
                ledger.promised(what="broken", pair=pair.number, why=f"{type(error).__name__}: {error}"[:2000])

        threads = [
            threading.Thread(
                target=run,
                args=(
                    Pair(
                        number=number, url=url, tls=tls, accounts=accounts, ledger=ledger, first_number=first_number,
                        pace=Pace(every_s=every_s, due_s=now + every_s * number / pairs, is_over=is_over),
                    ),
                ),
            )
            for number in range(pairs)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return len(broken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca", required=True, type=Path)
    parser.add_argument("--accounts", required=True, type=Path, help="JSON: code to password")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--rate-per-s", type=float, default=RATE_PER_S)
    parser.add_argument("--first-number", type=int, default=0, help="of the patients; a second shift takes other ones")
    asked = parser.parse_args()
    accounts = json.loads(asked.accounts.read_text())
    tls = ssl.create_default_context(cafile=str(asked.ca))
    broken = work(
        asked.url, tls, accounts, asked.out, pairs=asked.pairs, rate_per_s=asked.rate_per_s,
        first_number=asked.first_number,
    )  # fmt: skip
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
