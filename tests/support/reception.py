"""A reception at work, as a process that can sit in another machine's network: two desks, and what each request met.

    python -m tests.support.reception --url https://127.0.0.1 --authority FILE --password P --out FOLDER

Runs until SIGTERM. One desk registers patients, each request on a connection of its own; the other looks at the page
of the day on one connection, as a browser keeps it. `requests.jsonl` has every request, `answered.jsonl` the phone
numbers of those whose registration was confirmed. Nobody gives up early: a page that waits for a restart is no failure.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.desk import Desk, name_of, new_key, phone_number
from tests.support.installed import AUTHORITY
from tests.support.machine import Machine
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
REGISTRAR = "zhoumin"
EVERY_S = 0.25
# Longer than any restart on a machine that is busy with other tests.
PATIENCE_S = 240.0
SEATED_WITHIN_S, ENDS_WITHIN_S = 120.0, PATIENCE_S


class Notes:
    """Lines of JSON, whole ones, as they happen."""

    def __init__(self, folder: Path) -> None:
        self._requests = (folder / "requests.jsonl").open("a", buffering=1)
        self._answered = (folder / "answered.jsonl").open("a", buffering=1)
        self._lock = threading.Lock()

    def request(self, kind: str, began_s: float, outcome: str) -> None:
        with self._lock:
            record = {"kind": kind, "began_s": began_s, "seconds": time.monotonic() - began_s, "outcome": outcome}
            self._requests.write(json.dumps(record) + "\n")

    def answered(self, phone: str) -> None:
        with self._lock:
            self._answered.write(json.dumps({"phone": phone}) + "\n")


def register(desk: Desk, notes: Notes, over: threading.Event, *, after: int) -> None:
    """One patient after the other; who got no answer presses the button again, on the same form."""
    number = after
    while not over.wait(EVERY_S):
        number += 1
        phone, key = phone_number(number), new_key()
        while not over.is_set():
            desk.hang_up()
            began_s, outcome, confirmed = time.monotonic(), "", False
            try:
                answer = desk.register(name_of(phone), phone, request_key=key)
                outcome = str(answer.status)
                confirmed = answer.status == 302 and bool(re.search(r"registered=", answer.location))
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
            notes.request("register", began_s, outcome)
            if confirmed:
                notes.answered(phone)
                break
            over.wait(EVERY_S)


def look(desk: Desk, notes: Notes, over: threading.Event) -> None:
    """The page of the day, again and again.

    A server may end a connection that nobody uses; where it is found ended before a byte of an answer, a browser asks
    again on a new one, and nobody notices. So does this desk, once.
    """
    while not over.wait(EVERY_S):
        began_s, outcome = time.monotonic(), ""
        for fresh in (False, True):
            if fresh:
                desk.hang_up()
            try:
                outcome = str(desk.get("/reception").status)
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                outcome = type(error).__name__
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
                break
        notes.request("look", began_s, outcome)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--url", "--authority", "--password", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--after", type=int, default=0)
    given = parser.parse_args()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    notes = Notes(Path(given.out))
    threads = []
    works: Sequence[Callable[[Desk, Notes, threading.Event], None]] = (
        functools.partial(register, after=given.after),
        look,
    )
    for station, work in enumerate(works, start=1):
        trust = ssl.create_default_context(cafile=given.authority)
        desk = Desk(given.url, tls=trust, answers_within_s=PATIENCE_S)
        desk.sign_in(REGISTRAR, given.password, station=str(station))
        threads.append(threading.Thread(target=work, args=(desk, notes, over)))
    for thread in threads:
        thread.start()
    (Path(given.out) / "seated").touch()
    for thread in threads:
        thread.join()


@dataclass
class Reception:
    """The desks, as a test sees them."""

    folder: Path
    process: subprocess.Popen[bytes]

    def requests(self) -> list[dict[str, Any]]:
        return _rows(self.folder / "requests.jsonl")

    def answered(self) -> list[str]:
        return [row["phone"] for row in _rows(self.folder / "answered.jsonl")]

    def failed(self) -> list[dict[str, Any]]:
        """Requests that got no answer, or one of a server that has a fault."""
        return [row for row in self.requests() if not row["outcome"].isdigit() or row["outcome"] >= "500"]

    def stop(self) -> None:
        """Everybody goes home, after the answer that they wait for."""
        self.process.terminate()
        assert self.process.wait(timeout=ENDS_WITHIN_S) == 0, (self.folder / "log").read_text()


@contextlib.contextmanager
def reception_at(machine: Machine, folder: Path, *, url: str, password: str, after: int = 0) -> Iterator[Reception]:
    """Desks in the machine's own network, which trust its authority and have signed in; until the end, or `stop`.

    after: how many of the phone numbers have been given away by others.
    """
    folder.mkdir()
    machine.fetch(AUTHORITY, folder / "authority.pem")
    argv = [
        *("setpriv", "--pdeathsig", "KILL", "nsenter", "-t", str(machine.leader), "-n", "--"),
        *(sys.executable, "-m", "tests.support.reception"),
        *("--url", url, "--authority", str(folder / "authority.pem"), "--password", password),
        *("--out", str(folder), "--after", str(after)),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: (folder / "seated").exists() or process.poll() is not None, within_s=SEATED_WITHIN_S)
        assert process.poll() is None, (folder / "log").read_text()
        yield Reception(folder, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _rows(path: Path) -> list[dict[str, Any]]:
    """Whole lines of JSON; one that is being written is not there yet."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
