"""What pages cost in a clinic of a hundred thousand patients and ten thousand visits, beside one of a thousand.

Both clinics are there at once, and their pages are asked in turns by the same browser, for the same few patients with
the same past: what else the machine does meets both. CPU is that of the thread which makes the page.

    python -m tests.bench.bench_clinic [--patients 100000] [--visits 10000] [--asked 200] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flask.testing import FlaskClient

from edge_node.cli.output import table
from edge_node.his import seed
from edge_node.his.language import local
from edge_node.his.patients import pinyin
from edge_node.his.patients.queries import Patient
from edge_node.his.staff.model import Role
from edge_node.i18n import CHINESE
from edge_node.store.connection import connect, transaction
from tests.support.grown import Staffed, grow, waits
from tests.support.his import His, a_his, look_for

GOAL_RATIO = 2.0
SMALL_PATIENTS, SMALL_VISITS = 1_000, 200
# What the goal is for. The list shows twenty rows here and seven there, which is most of what it costs more.
JUDGED = ("the doctor's page", "search by initials", "search by one letter", "the desk, by initials")
# Today's queue is as long whatever the clinic's past.
WAITING = 15


@dataclass
class Grown:
    """A clinic with its past, and who asks for its pages."""

    his: His
    people: list[Patient]
    encounters: list[str]
    registrar: FlaskClient
    doctor: FlaskClient
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)


def initials(patient: Patient) -> str:
    return min((key for key in pinyin.keys(patient.name) if pinyin.is_likely(patient.name, key)), key=len)


def found(clinic: Grown, typed: str, *, at: str = "/patients") -> tuple[FlaskClient, str]:
    """The page of what the registrar finds; posting it is not part of what is measured."""
    return clinic.registrar, look_for(clinic.his, clinic.registrar, typed, at=at)


# A page by what it is called; given the clinic and a number that goes up.
PAGES: Mapping[str, Callable[[Grown, int], tuple[FlaskClient, str]]] = {
    "the doctor's page": lambda c, n: (c.doctor, f"/encounters/{c.encounters[n % len(c.encounters)]}"),
    "search by initials": lambda c, n: found(c, initials(c.people[n % 20])),
    "search by one letter": lambda c, n: found(c, initials(c.people[n % 20])[0]),
    "the desk, by initials": lambda c, n: found(c, initials(c.people[n % 20]), at="/reception"),
    "initials and year": lambda c, n: found(
        c, f"{initials(c.people[n % 20])} {c.people[n % 20].birth_date.year}", at="/reception"
    ),
    "the desk": lambda c, n: (c.registrar, "/reception"),
    "a chosen patient": lambda c, n: (c.registrar, f"/reception?patient={c.people[n % 20].id}"),
    "the doctor's queue": lambda c, n: (c.doctor, "/encounters/?all=1"),
}


@contextmanager
def grown(folder: Path, *, people: int, visits: int) -> Iterator[Grown]:
    """A clinic of that size; a hundred thousand take a minute."""
    folder.mkdir()
    with a_his(folder) as his:
        at = his.clock.wall_ms()
        today = local(at).date()
        his.write(lambda conn: seed.plant(conn, at=at, training=True, hash_password=str, make_password=str))
        (department,) = his.conn.execute("SELECT id FROM department WHERE code = 'internal'").fetchone()
        registrar = his.add_staff("reg", Role.REGISTRAR, department_id=department)
        doctor = his.add_staff("doc", Role.DOCTOR, department_id=department)
        staffed, conn = Staffed(registrar=registrar, doctor=doctor, department=department), connect(folder / "his.db")
        try:
            with transaction(conn):
                made = grow(conn, staffed, people=people, visits=visits, today=today, at=at)
                waiting = waits(conn, staffed, made[:WAITING], today=today, at=at)
        finally:
            conn.close()
        desks = {code: his.sign_in(code, client=his.browser()) for code in ("reg", "doc")}
        for desk in desks.values():
            desk.set_cookie("lang", CHINESE)
        begun = [his.post(desks["doc"], f"/encounters/queue/{one}").location for one in waiting[:5]]
        yield Grown(his, made, [address.rsplit("/", 1)[-1] for address in begun], desks["reg"], desks["doc"])


def ask(clinic: Grown, name: str, n: int) -> None:
    client, path = PAGES[name](clinic, n)
    began, cpu = time.perf_counter(), time.thread_time()
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    clinic.cpu.setdefault(name, []).append(time.thread_time() - cpu)
    clinic.seconds.setdefault(name, []).append(time.perf_counter() - began)


def main() -> int:
    """Print a line for each page; 1 when one of JUDGED costs more than the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--visits", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, ExitStack() as stack:
        began = time.perf_counter()
        small = stack.enter_context(grown(Path(folder) / "small", people=SMALL_PATIENTS, visits=SMALL_VISITS))
        large = stack.enter_context(grown(Path(folder) / "large", people=options.patients, visits=options.visits))
        print(f"{options.patients} patients in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        for n in range(5):
            for name in PAGES:
                for clinic in (small, large):
                    ask(clinic, name, n)
        for clinic in (small, large):
            clinic.seconds.clear()
            clinic.cpu.clear()
        for n in range(options.asked):
            for name in PAGES:
                for clinic in (small, large) if n % 2 else (large, small):
                    ask(clinic, name, n)
    rows, missed = [], False
    for name in PAGES:
        figures = [statistics.median(clinic.seconds[name]) for clinic in (small, large)]
        cpu = [statistics.median(clinic.cpu[name]) for clinic in (small, large)]
        ratio = figures[1] / figures[0]
        missed |= name in JUDGED and ratio > GOAL_RATIO
        rows.append((name, *(f"{s * 1000:.1f}" for s in figures), f"{ratio:.2f}", f"{cpu[1] / cpu[0]:.2f}"))
    print(table(("PAGE", f"{SMALL_PATIENTS} MS", f"{options.patients} MS", "RATIO", "CPU RATIO"), rows))
    judged = ", ".join(JUDGED)
    print(f"medians of {options.asked}; {judged}: at most {GOAL_RATIO:g}; load {os.getloadavg()[0]:.1f}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
