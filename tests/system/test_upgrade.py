"""Upgrades of a machine that works: under load, one that fails, and cut off wherever that can happen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_node import __version__
from edge_node.release.plan import SERVICES, Action, Step
from tests.support.machine import Machine
from tests.support.machine_image import missing
from tests.support.next_releases import BROKEN, GOOD, archive, upgradable
from tests.support.reception import reception_at
from tests.support.waiting import until

lacking = missing()
pytestmark = [
    pytest.mark.alone,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(lacking is not None, reason=lacking or ""),
]

URL = "http://127.0.0.1:8080"
# A quiet machine needs 20 s for one, and a service 2 s to start.
UPGRADES_WITHIN_S, STARTS_WITHIN_S = 600.0, 240.0
WATCH = "3s"
LONG = pytest.mark.long


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


def test_three_upgrades_and_one_that_fails_under_load(tmp_path: Path) -> None:
    """Nobody at a desk meets more than a page that takes its time, and what was confirmed is there afterwards."""
    with upgradable(tmp_path / "machine") as (machine, clinic):
        until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
        with reception_at(machine, tmp_path / "desks", url=URL, password=clinic.passwords["zhoumin"]) as desks:
            for version in GOOD:
                code, said = upgrade(machine, version)
                assert code == 0, said
                assert (in_use(machine), running(machine)) == (version, all_on(version))

            code, said = upgrade(machine, BROKEN)
            assert code == 4, said
            assert f"error: release-unwell: release {BROKEN} was not well; {GOOD[-1]} is in use again and works" in said
            assert (in_use(machine), running(machine)) == (GOOD[-1], all_on(GOOD[-1]))
            until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
            desks.stop()

        requests = desks.requests()
        longest = max(request["seconds"] for request in requests)
        print(f"{len(requests)} requests, none failed; the longest took {longest:.1f} s")
        assert desks.failed() == []
        assert {request["kind"] for request in requests} == {"register", "look"}
        # What was confirmed is there, once, in a database that has what every release has added.
        assert desks.answered()
        found = [
            row["phone"] for row in rows(machine, "SELECT phone FROM patient WHERE phone LIKE '139%' ORDER BY phone")
        ]
        assert found == sorted(desks.answered())
        assert migrations(machine) == ["m9001_hint", "m9002_room", "m9003_bed"]
        assert releases(machine) == {"0.3.0", "0.4.0", BROKEN}, "the last two, and what failed, to be looked at"


def cut_off(machine: Machine, number: int, version: str, step: Step) -> bool:
    """Begin or go on, and kill it with all that it started when it begins this step; False where it ends before."""
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

    state = until(begun, within_s=UPGRADES_WITHIN_S, every_s=0.1)
    machine.systemctl("kill", "--signal=KILL", f"{unit}.service", check=False)
    until(lambda: machine.show(f"{unit}.service", "SubState") in ("exited", "failed", "dead"), within_s=60)
    machine.systemctl("stop", f"{unit}.service", check=False)
    return state == "begun"


def steps(target: str) -> list[Step]:
    """Every step of an upgrade, in order."""
    before = [Step(action=each, subject=target) for each in (Action.STAGE, Action.CHECK, Action.MIGRATE, Action.SWITCH)]
    after = [Step(action=each, subject=target) for each in (Action.WATCH, Action.PRUNE)]
    units = Step(action=Action.UNITS, subject=target)
    return [*before, units, *(Step(action=Action.RESTART, subject=name) for name in SERVICES), *after]


# Half-way through the databases, between the link and what runs, on the way back.
SOME = (Action.MIGRATE, Action.UNITS, Action.SWITCH_BACK)


@pytest.mark.parametrize("which", [pytest.param(SOME, id="some"), pytest.param(tuple(Action), id="every", marks=LONG)])
def test_cut_off_and_given_again(tmp_path: Path, which: tuple[Action, ...]) -> None:
    """The same end as of one that nobody disturbed; and so it is with the way back from a release that fails."""
    target = GOOD[0]
    with upgradable(tmp_path / "machine") as (machine, _clinic):
        until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
        if Action.STAGE in which:
            machine.run("rm", f"/opt/edge-node/releases/{target}/.whole")  # It is to be put there by the upgrade.
        cuts = [step for step in steps(target) if step.action in which]
        missed = [str(step) for i, step in enumerate(cuts) if not cut_off(machine, i, target, step)]
        assert missed == []
        code, said = upgrade(machine, target)
        assert code == 0, said
        assert (in_use(machine), running(machine)) == (target, all_on(target))
        assert migrations(machine) == ["m9001_hint"]
        assert well(machine)
        assert __version__ in releases(machine), "what it would go back to"
        assert machine.run("test", "-e", "/opt/edge-node/incoming", check=False).returncode != 0

        back = [
            Step(action=Action.RESTART, subject="his"),
            Step(action=Action.SWITCH_BACK, subject=target),
            Step(action=Action.UNITS, subject=target),
            Step(action=Action.WATCH, subject=target),
        ]
        cuts = [step for step in back if step.action in which]
        missed = [str(step) for i, step in enumerate(cuts, start=100) if not cut_off(machine, i, BROKEN, step)]
        assert missed == []
        code, said = upgrade(machine, BROKEN)
        assert code == 4, said
        assert (in_use(machine), running(machine)) == (target, all_on(target))
        assert migrations(machine) == ["m9001_hint", "m9002_room", "m9003_bed"]
        assert well(machine)
        assert machine.run("edge-node", "db", "check").returncode == 0
