"""The power goes in the middle of an upgrade, and nobody is there in the morning: the clinic works by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_node import __version__
from edge_node.release.plan import SERVICES, Action, Step
from tests.support.installed import Installed
from tests.support.machine import Machine
from tests.support.machine_image import missing
from tests.support.next_releases import BROKEN, GOOD, upgradable
from tests.support.reception import reception_at
from tests.support.upgrading import (
    STARTS_WITHIN_S,
    URL,
    all_on,
    begin,
    in_use,
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

OLD, NEW = __version__, GOOD[0]
# Of how many patients each cut may find the phone numbers given away.
PATIENTS = 10_000
ALREADY = 3


@dataclass
class Clinic:
    """Patients are registered all the time; what was confirmed is counted over all cuts."""

    machine: Machine
    made: Installed
    folder: Path
    cuts: int = 0
    confirmed: list[str] = field(default_factory=list)

    def power_cut(self, version: str, step: Step) -> None:
        """Everything ends at once when an upgrade begins this step, and starts anew; no command is given."""
        self.cuts += 1
        folder, password = self.folder / f"desks-{self.cuts}", self.made.passwords["zhoumin"]
        with reception_at(self.machine, folder, url=URL, password=password, after=self.cuts * PATIENTS) as desks:
            until(lambda: len(desks.answered()) > ALREADY, within_s=STARTS_WITHIN_S, every_s=0.1)
            assert begin(self.machine, self.cuts, version, step), f"it ended before it would {step}"
            self.machine.kill()
            self.confirmed += desks.answered()
        self.machine.boot()

    def works_with(self, version: str) -> None:
        """Every service runs this release and is well, a patient is registered, and none is lost."""
        machine = self.machine
        until(lambda: running(machine) == all_on(version), within_s=STARTS_WITHIN_S, every_s=0.5)
        until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
        assert in_use(machine) == version
        found = {row["phone"] for row in rows(machine, "SELECT phone FROM patient WHERE phone LIKE '139%'")}
        assert set(self.confirmed) <= found, "what was confirmed is there"
        assert machine.systemctl("--failed", "--plain", "--no-legend").stdout == ""
        assert machine.run("test", "-e", "/opt/edge-node/fallback", check=False).returncode != 0
        # It was decided before any service began.
        settled = int(machine.show("edge-settle.service", "ExecMainExitTimestampMonotonic") or 0)
        began = [int(machine.show(f"edge-{name}.service", "ExecMainStartTimestampMonotonic")) for name in SERVICES]
        assert settled < min(began)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What `status` says of upgrades."""
        said = self.machine.run("edge-node", "status", "--json", check=False).stdout
        return [(one["code"], one["args"]) for one in json.loads(said)["problems"] if "upgrade" in one["code"]]


def cut_off(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str, str]]:
    return [(code, args["release"], args["kept"]) for code, args in told]


# While the new HIS cannot start; when the new one has been found well; half-way back.
DEAD = Step(action=Action.RESTART, subject="his")
BACK = [
    Step(action=Action.SWITCH_BACK, subject=NEW),
    Step(action=Action.UNITS, subject=NEW),
    DEAD,
    Step(action=Action.WATCH, subject=NEW),
]
FOUND_WELL = Step(action=Action.PRUNE, subject=NEW)
EVERY = [step for step in steps(NEW, since=OLD) if step != FOUND_WELL]


@pytest.mark.parametrize(
    "forward, way_back",
    [
        pytest.param([], BACK[:1], id="some"),
        pytest.param(EVERY, BACK, id="every", marks=pytest.mark.long),
    ],
)
def test_after_a_power_cut_in_an_upgrade_the_clinic_works_by_itself(
    tmp_path: Path, forward: list[Step], way_back: list[Step]
) -> None:
    with upgradable(tmp_path / "machine") as (machine, made):
        until(lambda: well(machine), within_s=STARTS_WITHIN_S, every_s=1)
        clinic = Clinic(machine, made, tmp_path)

        # The worst first: what is switched to does not work, and nobody would ever have seen to it.
        clinic.power_cut(BROKEN, DEAD)
        clinic.works_with(OLD)
        assert cut_off(clinic.told()) == [("upgrade-cut-off", BROKEN, OLD)]
        said = machine.journal("edge-settle.service")
        assert f"the upgrade to release {BROKEN} was cut off" in said
        assert f"release {OLD} is in use; the upgrade may be given again" in said
        doctor = json.loads(machine.run("edge-node", "doctor", "--json", check=False).stdout)
        assert [one["level"] for one in doctor if one["code"] == "upgrade-cut-off"] == ["warn"]

        for step in forward:
            if step.action is Action.STAGE:
                machine.run("rm", f"/opt/edge-node/releases/{NEW}/.whole")
            clinic.power_cut(NEW, step)
            clinic.works_with(OLD)
            assert cut_off(clinic.told()) == [("upgrade-cut-off", NEW, OLD)]

        clinic.power_cut(NEW, FOUND_WELL)
        clinic.works_with(NEW)
        assert clinic.told() == []
        code, words = upgrade(machine, NEW)
        assert (code, words.splitlines()[0]) == (0, f"release {NEW} is in use already, and was found well")

        for step in way_back:
            clinic.power_cut(BROKEN, step)
            clinic.works_with(NEW)
            assert cut_off(clinic.told()) == [("upgrade-cut-off", BROKEN, NEW)]
        assert machine.run("edge-node", "db", "check").returncode == 0
