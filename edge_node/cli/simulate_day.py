"""`edge-node simulate-day`: a made-up day of a clinic, played through the pages of a running node or of a new one.

The people at the desks have accounts of their own, made for the day and shut after it, so that nobody's password is
needed and every trace says who it was.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import click

from edge_node.base.errors import ExitCode, ServiceError, UsageError
from edge_node.base.process import ProgramTimedOut, run, spawn
from edge_node.base.units import parse_duration
from edge_node.cli.his_file import database, this_moment, writing
from edge_node.cli.main import Where, caller, where_options
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.cli.user import changing
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.his import audit
from edge_node.his.staff import queries as staff
from edge_node.his.staff.model import Role
from edge_node.his.staff.passwords import hash_password
from edge_node.simulation.browser import Browser
from edge_node.simulation.day import DONE, LEAST_DESKS, Day, Outcome, Staff, Staffing, staffing
from edge_node.simulation.desks import Account, Stuck
from edge_node.simulation.plan import Fate, Visit, plan
from edge_node.simulation.tally import Figures, tally
from edge_node.store.connection import Connection

# What `init --training` and the first start of `up` call a node.
TRAINING = "training-"
# What everybody of one role is called, and signs in with before a number.
_CALLED = {Role.REGISTRAR: "模拟挂号员", Role.NURSE: "模拟护士", Role.DOCTOR: "模拟医师"}
MOST_VISITS, MOST_DESKS = 5_000, 60
STARTS_WITHIN_S, MADE_WITHIN_S, STOPS_WITHIN_S = 60.0, 120.0, 12.0
_SAID = {
    "registered": "registered", "returning": "of them here before", "measured": "measured by the nurse",
    "late": "called twice", "cancelled": "cancelled", "signed": "seen and signed", "drugs": "drugs prescribed",
    "amended": "changed after the signature", "strangers": "others who were waiting", "stuck": "stuck",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the day is played, and by whom."""

    url: str
    tls: ssl.SSLContext | None
    staff: Staff


@click.command("simulate-day")
@click.option("--visits", type=click.IntRange(1, MOST_VISITS), default=60, show_default=True)
@click.option("--desks", type=click.IntRange(LEAST_DESKS, MOST_DESKS), default=LEAST_DESKS, show_default=True,
              help="Registrars, nurses and doctors at work at once.")  # fmt: skip
@click.option("--pace", help="Spread the arrivals over so long, such as 30min; else as fast as it goes.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another one is another day.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where the pages are, if not as configured (up --port).")
@click.option("--fresh", is_flag=True, help="On a new training clinic, which is gone afterwards.")
@click.option("--real-data", is_flag=True, help="Also where it is no training clinic: made-up patients stay there.")
@click.option("--json", "as_json", is_flag=True, help="The same as a document.")
@changing
@where_options
@click.pass_obj
def simulate_day(
    where: Where,
    visits: int,
    desks: int,
    pace: str | None,
    seed: int,
    port: int | None,
    fresh: bool,
    real_data: bool,
    as_json: bool,
    dry_run: bool,
    reason: str,
) -> None:
    """Play a made-up day through the pages, and print what each page cost."""
    pace_s = _duration(pace) if pace else 0.0
    planned, seats = plan(visits, seed=seed, today=date.today()), staffing(desks)
    if not fresh:
        _refuse_real_data(where, real_data)
    if dry_run:
        talk(f"would play {_said_plan(planned)} at {_said_seats(seats)}")
        return
    with _fresh(seats) if fresh else _running(where, port, seats, reason) as place:
        talk(f"{_said_plan(planned)} at {_said_seats(seats)}, {place.url}")
        try:
            outcome = Day(planned, url=place.url, tls=place.tls, pace_s=pace_s).play(place.staff, desks=desks)
        except Stuck as error:
            raise _cannot_begin(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _unheard(place.url, error) from error
    figures = tally(outcome.exchanges)
    if as_json:
        answer_json(_document(outcome, figures, seed=seed, desks=desks))
    else:
        _show(outcome, figures)
    if outcome.stuck or any(row.errors for row in figures):
        raise click.exceptions.Exit(int(ExitCode.BUG))


def _refuse_real_data(where: Where, real_data: bool) -> None:
    node_id = where.load().node.id
    if node_id.startswith(TRAINING) or real_data:
        return
    raise UsageError(
        "not-training",
        f"{node_id} is no training clinic: made-up patients would stay among the real ones",
        context=f'a training clinic is one whose id begins with "{TRAINING}"',
        hint="edge-node simulate-day --fresh plays on a new one; --real-data plays here all the same",
    )


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError("usage", f"--pace {error}", context=None, hint="--pace 30min") from None


# ---- where it is played


@contextlib.contextmanager
def _running(where: Where, port: int | None, seats: Staffing, reason: str) -> Iterator[_Place]:
    """The node of the configuration, which runs; nobody can sign in with the day's accounts afterwards."""
    config = where.load()
    path, url = database(where, writes=True), _url(config, port)
    tls = _anybody() if config.his.tls else None
    with Browser(url, tls=tls) as browser:
        try:
            browser.get("/healthz")
        except (OSError, http.client.HTTPException) as error:
            raise _unheard(url, error) from error
    engaged = _engage(path, seats, reason)
    try:
        yield _Place(url=url, tls=tls, staff=engaged)
    finally:
        _dismiss(path, engaged, reason)


def _anybody() -> ssl.SSLContext:
    """On this machine it is known who answers; whether others should trust the certificate is for `doctor` to say."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _url(config: Config, port: int | None) -> str:
    listen = config.his.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    return f"{'https' if config.his.tls else 'http'}://{Endpoint(host, port or listen.port)}"


@contextlib.contextmanager
def _fresh(seats: Staffing) -> Iterator[_Place]:
    """The HIS of a new training clinic, alone: no line, no copy, nothing left afterwards."""
    with tempfile.TemporaryDirectory(prefix="simulated-day-") as folder:
        home = Path(folder) / "clinic"
        here = ("--home", str(home))
        try:
            made = run((sys.executable, "-m", "edge_node", "init", "--training", *here), timeout_s=MADE_WITHIN_S)
        except ProgramTimedOut as error:
            raise _not_started(str(error)) from error
        if made.returncode:
            raise _not_started(made.tail)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            listen = Endpoint("127.0.0.1", probe.getsockname()[1])
        argv = (sys.executable, "-m", "edge_node", "run", "his", *here, "--listen", str(listen))
        log = Path(folder) / "log"
        with log.open("wb") as said, spawn(argv, grace_s=STOPS_WITHIN_S, stderr=said) as child:
            url = f"http://{listen}"
            if not _answers(url, child):
                raise _not_started(log.read_text(errors="replace")[-2000:])
            yield _Place(url=url, tls=None, staff=_engage(home / "data" / "his.db", seats, "simulate-day --fresh"))


def _answers(url: str, child: subprocess.Popen[bytes]) -> bool:
    give_up_at = time.monotonic() + STARTS_WITHIN_S
    while child.poll() is None and time.monotonic() < give_up_at:
        with contextlib.suppress(OSError, http.client.HTTPException), Browser(url) as browser:
            if browser.get("/readyz").status == 200:
                return True
        time.sleep(0.1)
    return False


def _engage(path: Path, seats: Staffing, reason: str) -> Staff:
    """Accounts for the day, with passwords that nobody else learns."""
    wanted = {Role.REGISTRAR: seats.registrars, Role.NURSE: seats.nurses, Role.DOCTOR: seats.doctors}
    accounts = {
        role: [Account(code=f"day-{role}{n}", password=secrets.token_urlsafe(18)) for n in range(1, count + 1)]
        for role, count in wanted.items()
    }
    # A hash costs 50 ms by design: all before the transaction.
    stored = {one.code: hash_password(one.password) for seated in accounts.values() for one in seated}
    now = this_moment()
    with writing(path) as conn:
        for role, seated in accounts.items():
            for n, one in enumerate(seated, start=1):
                _engage_one(conn, one.code, f"{_CALLED[role]} {n}", role, stored[one.code], now, reason)
    return Staff(
        registrars=accounts[Role.REGISTRAR], nurses=accounts[Role.NURSE], doctors=accounts[Role.DOCTOR]
    )  # fmt: skip


def _engage_one(
    conn: Connection, code: str, name: str, role: Role, stored: str, now: audit.Moment, reason: str
) -> None:
    known = staff.find_by_code(conn, code)
    if known is not None:
        staff.set_password(conn, known.id, stored, must_change=False)
        staff.set_active(conn, known.id, True)
        _trace(conn, "password_reset", known.id, {"reason": reason, "second_factor_removed": False}, now)
        return
    staff_id = staff.insert(
        conn, code=code, name=name, title="", department_id=None, roles=[role], password_hash=stored,
        must_change=False, at=now.at,
    )  # fmt: skip
    _trace(conn, "staff_added", staff_id, {"code": code, "roles": [str(role)], "reason": reason}, now)


def _dismiss(path: Path, engaged: Staff, reason: str) -> None:
    """Lock the day's accounts: nobody signs in with them, and nobody is signed in."""
    now = this_moment()
    with writing(path) as conn:
        for account in (*engaged.registrars, *engaged.nurses, *engaged.doctors):
            one = staff.find_by_code(conn, account.code)
            assert one is not None, "an account is never deleted"
            staff.set_active(conn, one.id, False)
            staff.end_sessions_of(conn, one.id, at=now.at)
            _trace(conn, "staff_locked", one.id, {"reason": reason}, now)


def _trace(conn: Connection, action: str, staff_id: str, detail: dict[str, object], now: audit.Moment) -> None:
    who = audit.Who(staff_id=None, station="edge-node simulate-day", address=caller())
    audit.record(conn, who, action, f"staff:{staff_id}", detail, at=now.at, clock_state=now.clock_state)


# ---- what is said


def _said_plan(planned: Sequence[Visit]) -> str:
    again = sum(visit.is_return for visit in planned)
    cancelled = sum(visit.fate is Fate.CANCELLED for visit in planned)
    return f"{len(planned)} visits of {len(planned) - again} people, {cancelled} to be cancelled,"


def _said_seats(seats: Staffing) -> str:
    return ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for word, count in (("registrar", seats.registrars), ("nurse", seats.nurses), ("doctor", seats.doctors))
    )


def _show(outcome: Outcome, figures: Sequence[Figures]) -> None:
    rows = [
        (row.kind or "all", str(row.count), *(f"{s * 1000:.0f}" for s in (row.p50_s, row.p95_s, row.max_s)),
         str(row.errors) if row.errors else "-")
        for row in figures
    ]  # fmt: skip
    answer(table(("PAGE", "COUNT", "P50 MS", "P95 MS", "MAX MS", "ERRORS"), rows))
    counted = [f"{outcome.counts[what]} {_SAID[what]}" for what in DONE if outcome.counts[what]]
    answer(f"\n{', '.join(counted)}; {outcome.seconds:.0f} s")
    for sentence in outcome.stuck:
        talk(sentence)


def _document(outcome: Outcome, figures: Sequence[Figures], *, seed: int, desks: int) -> dict[str, object]:
    return {
        "schema": 1, "seed": seed, "desks": desks, "seconds": round(outcome.seconds, 3),
        "counts": {what: outcome.counts[what] for what in DONE}, "stuck": outcome.stuck,
        "pages": [{key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(row).items()}
                  for row in figures if row.kind],
    }  # fmt: skip


def _cannot_begin(why: str) -> ServiceError:
    return ServiceError(
        "his-unheard",
        "nobody could begin to work",
        context=why,
        hint="where the clinic asks a role for a second factor, play with --fresh",
        exit_code=ExitCode.DATA,
    )


def _unheard(url: str, error: Exception) -> ServiceError:
    return ServiceError(
        "his-unheard",
        f"no pages at {url}",
        context=str(error) or type(error).__name__,
        hint="start the node (edge-node up), or play on a new one: edge-node simulate-day --fresh",
        exit_code=ExitCode.NETWORK,
    )


def _not_started(why: str) -> ServiceError:
    return ServiceError(
        "his-unheard", "the new clinic did not start", context=why or None, hint="edge-node doctor looks for reasons"
    )
