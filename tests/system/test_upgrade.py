"""Upgrades of a machine that works: under load, one that fails, and cut off wherever that can happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node import __version__
from edge_node.release.plan import Action, Step
from tests.support.machine import Machine
from tests.support.machine_image import missing
from tests.support.next_releases import BROKEN, GOOD, archive, upgradable
from tests.support.reception import reception_at
from tests.support.upgrading import (
    STARTS_WITHIN_S,
    URL,
    all_on,
    begin,
    in_use,
    migrations,
    releases,
    rows,
    running,
    steps,
    upgrade,
    well,
)
from tests.support.waiting import until

lacking = missing()
pytestmark = [
    pytest.mark.alone,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(lacking is not None, reason=lacking or ""),
]

LONG = pytest.mark.long
SHOWN = """
import hashlib, socket, ssl
trust = ssl.create_default_context(cafile="/var/lib/edge-node/credentials/ca-cert")
with trust.wrap_socket(socket.create_connection(("127.0.0.1", 443), 60), server_hostname="127.0.0.1") as tls:
    print(hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest())
"""


def credentials(machine: Machine) -> str:
    """Digests, owners and modes of all keys and certificates of the node."""
    folder = "/var/lib/edge-node/credentials"
    names = machine.run("sh", "-c", f"cd {folder} && sha256sum * && stat -c '%n %U %G %a' *").stdout
    assert "ca-key" in names and "data-key" in names
    return names


def certificate(machine: Machine) -> str:
    """The one that a browser is shown, which trusts the clinic's authority."""
    return machine.run("python3", "-c", SHOWN).stdout


def test_three_upgrades_and_one_that_fails_under_load(tmp_path: Path) -> None:
    """Nobody at a desk meets more than a page that takes its time, and what was confirmed is there afterwards.

    Over TLS, on port 443, by the clinic's own authority: each registration makes a connection of its own.
    """
    with upgradable(tmp_path / "machine") as (machine, clinic):
        until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
        secrets, shown = credentials(machine), certificate(machine)
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
        assert (credentials(machine), certificate(machine)) == (secrets, shown), "no computer must trust anything anew"

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
    has_begun = begin(machine, number, version, step)
    unit = f"upgrade-{number}.service"
    machine.systemctl("kill", "--signal=KILL", unit, check=False)
    until(lambda: machine.show(unit, "SubState") in ("exited", "failed", "dead"), within_s=60)
    machine.systemctl("stop", unit, check=False)
    return has_begun


def takes_nothing_that_nobody_signed(machine: Machine, version: str) -> None:
    """The release in use names its maker, and the bundle is that maker's but for the signature."""
    place = "/root/unsigned"
    machine.run("mkdir", place)
    machine.run("tar", "--extract", "--file", archive(version), "--directory", place, "--strip-components=1")
    machine.run("rm", f"{place}/SHA256SUMS.sig")
    refused = machine.run("edge-node", "upgrade", place, "--dry-run", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is not signed, and the release in use takes what maker (" in refused.stderr
    taken = machine.run("edge-node", "upgrade", place, "--unsigned", "--dry-run")
    assert f"would make release {version} the one that is started" in taken.stdout
    machine.run("rm", "-r", place)


# Half-way through the databases, between the link and what runs, on the way back.
SOME = (Action.MIGRATE, Action.UNITS, Action.SWITCH_BACK)


@pytest.mark.parametrize("which", [pytest.param(SOME, id="some"), pytest.param(tuple(Action), id="every", marks=LONG)])
def test_cut_off_and_given_again(tmp_path: Path, which: tuple[Action, ...]) -> None:
    """The same end as of one that nobody disturbed; and so it is with the way back from a release that fails."""
    target = GOOD[0]
    with upgradable(tmp_path / "machine") as (machine, _clinic):
        until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
        takes_nothing_that_nobody_signed(machine, target)
        if Action.STAGE in which:
            machine.run("rm", f"/opt/edge-node/releases/{target}/.whole")  # It is to be put there by the upgrade.
        cuts = [step for step in steps(target, since=__version__) if step.action in which]
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
