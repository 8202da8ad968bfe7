"""An upgrade as whoever types it sees it, and a machine after it: what is in use, what runs, what is in the data."""

from __future__ import annotations

import json

from edge_node.release.plan import SERVICES, Action, Step
from tests.support.machine import Machine
from tests.support.next_releases import archive
from tests.support.waiting import until

URL = "https://127.0.0.1"
# A quiet machine needs 20 s for one, and a service 2 s to start.
UPGRADES_WITHIN_S, STARTS_WITHIN_S = 600.0, 240.0
WATCH = "3s"


def upgrade(machine: Machine, version: str) -> tuple[int, str]:
    """Exit code, and everything that it said."""
    done = machine.run(
        "edge-node", "upgrade", archive(version), "--watch", WATCH, "--reason", "row 3",
        check=False, timeout_s=UPGRADES_WITHIN_S,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def running(machine: Machine) -> dict[str, str]:
    """The release that each service's process was started from."""
    found = {}
    for name in SERVICES:
        pid = machine.show(f"edge-{name}.service", "MainPID")
        argv = machine.read(f"/proc/{pid}/cmdline") if pid != "0" else ""
        found[name] = argv.removeprefix("/opt/edge-node/releases/").partition("/")[0]
    return found


def all_on(version: str) -> dict[str, str]:
    return dict.fromkeys(SERVICES, version)


def in_use(machine: Machine) -> str:
    return machine.run("readlink", "/opt/edge-node/current").stdout.strip().removeprefix("releases/")


def well(machine: Machine) -> bool:
    """Nothing but copies and lines may be wrong: a training clinic has none to speak of."""
    return machine.run("edge-node", "status", check=False).returncode != 4


def rows(machine: Machine, sql: str) -> list[dict[str, str]]:
    """Of the clinical database, as its owner."""
    script = (
        "import json, sys; from edge_node.store.connection import connect_reader; from pathlib import Path\n"
        "conn = connect_reader(Path('/var/lib/edge-node/data/his.db'))\n"
        "print(json.dumps([dict(row) for row in conn.execute(sys.argv[1])]))"
    )
    said = machine.run("/opt/edge-node/current/bin/python", "-c", script, sql, user="edge").stdout
    return list(json.loads(said))


def migrations(machine: Machine) -> list[str]:
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'his' AND name > 'm9' ORDER BY rowid"
    return [row["name"] for row in rows(machine, sql)]


def releases(machine: Machine) -> set[str]:
    return set(machine.run("ls", "/opt/edge-node/releases").stdout.split())


def begin(machine: Machine, number: int, version: str, step: Step) -> bool:
    """Begin an upgrade or go on with it, as unit `upgrade-N`, until it begins this step; False where it ends before."""
    unit = f"upgrade-{number}"
    machine.run(
        "systemd-run", "--quiet", f"--unit={unit}", "--property=RemainAfterExit=yes",
        "edge-node", "upgrade", archive(version), "--watch", WATCH,
    )  # fmt: skip

    def begun() -> str | None:
        ended = machine.show(f"{unit}.service", "SubState") in ("exited", "failed")
        if str(step) in machine.journal(f"{unit}.service").splitlines():
            return "begun"
        return "ended" if ended else None

    return until(begun, within_s=UPGRADES_WITHIN_S, every_s=0.1) == "begun"


def steps(target: str, *, since: str) -> list[Step]:
    """Every step of an upgrade from one release to another, in order, but for the last, which takes no time."""
    fallback = Step(action=Action.FALLBACK, subject=since)
    before = [Step(action=each, subject=target) for each in (Action.STAGE, Action.CHECK, Action.MIGRATE, Action.SWITCH)]
    after = [Step(action=each, subject=target) for each in (Action.WATCH, Action.PRUNE)]
    units = Step(action=Action.UNITS, subject=target)
    return [fallback, *before, units, *(Step(action=Action.RESTART, subject=name) for name in SERVICES), *after]
