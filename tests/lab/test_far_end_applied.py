"""The far end's texts, applied to the cloud's router as they are printed: answers return as the questions came."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_node.cli.line import line_group
from edge_node.cli.main import Where
from failover import far_end
from tests.lab.measure import ping
from tests.lab.namespace import Namespace
from tests.lab.topology import (
    CLOUD_PREFIX,
    FAR_END,
    LINES,
    SERVICE_IP,
    SERVICE_PREFIX,
    TARGETS,
    TELECOM,
    UNICOM,
    LabLine,
    Laboratory,
)
from tests.lab.watched import configuration
from tests.support.waiting import until

FAR = replace(FAR_END, program=f"{sys.executable} -m edge_node")


def commands(unit: str, kind: str) -> Iterator[tuple[bool, list[str]]]:
    """The commands of a unit, and whether each may fail."""
    for line in unit.splitlines():
        name, _, command = line.partition("=")
        if name == kind:
            yield command.startswith("-"), command.removeprefix("-").split()


def run(space: Namespace, unit: str, kind: str, rules: Path) -> None:
    for may_fail, argv in commands(unit, kind):
        space.run(*(str(rules) if word == far_end.NFT_PATH else word for word in argv), check=not may_fail)


def installed(lab: Laboratory, rules: Path) -> None:
    """Start the unit of the routes, with what its command lines say."""
    rules.write_text(far_end.nft_rules(FAR))
    run(lab.cloud, far_end.routes_unit(FAR), "ExecStart", rules)


@pytest.fixture
def bare(lab: Laboratory, tmp_path: Path) -> Laboratory:
    """The cloud's router without what the laboratory itself put there; the clinic has its service address."""
    lab.cloud.nft("flush ruleset\n")
    for command in far_end.removal_commands(FAR):
        lab.cloud.run("ip", *command.split())
    lab.clinic.configure(f"addr add {SERVICE_IP}/32 dev lo\n")
    return lab


def lead(lab: Laboratory, line: LabLine) -> None:
    lab.clinic.configure(f"route replace {CLOUD_PREFIX} via {line.gateway} dev {line.name} src {SERVICE_IP}\n")


def came_by(lab: Laboratory, line: LabLine) -> int:
    """How many packets the clinic has received from this line."""
    return int(lab.clinic.run("cat", f"/sys/class/net/{line.name}/statistics/rx_packets").stdout)


def test_answers_return_on_the_line_of_the_question(bare: Laboratory, tmp_path: Path) -> None:
    lead(bare, UNICOM)
    assert ping(bare.clinic, TARGETS[0], count=2, wait_s=0.1).loss_ratio == 1, "without it there is no way back"
    installed(bare, tmp_path / "rules")
    for line, other in ((UNICOM, TELECOM), (TELECOM, UNICOM), (UNICOM, TELECOM)):
        lead(bare, line)
        # Neighbours ask for each other's hardware address now and then; 50 answers are told from that.
        before, beside = came_by(bare, line), came_by(bare, other)
        assert ping(bare.clinic, TARGETS[0], count=50, interval_s=0.002).loss_ratio == 0
        assert came_by(bare, line) - before >= 50
        assert came_by(bare, other) - beside < 5
    bare.fault(TELECOM.name, "blackhole")
    lead(bare, UNICOM)
    assert ping(bare.clinic, TARGETS[0], count=5).loss_ratio == 0


def test_probes_with_a_lines_own_address_return_on_it(bare: Laboratory, tmp_path: Path) -> None:
    installed(bare, tmp_path / "rules")
    for line in LINES:
        bare.clinic.configure(f"route replace {CLOUD_PREFIX} via {line.gateway} dev {line.name} src {line.address}\n")
        before = came_by(bare, line)
        assert ping(bare.clinic, TARGETS[1], count=10).loss_ratio == 0
        assert came_by(bare, line) - before >= 10


def test_starting_again_changes_nothing_and_stopping_leaves_nothing(bare: Laboratory, tmp_path: Path) -> None:
    def state() -> str:
        asked = (("ip", "rule"), ("ip", "route", "show", "table", "all"), ("nft", "list", "ruleset"))
        return "\n".join(bare.cloud.run(*argv).stdout for argv in asked)

    clean = state()
    installed(bare, tmp_path / "rules")
    once = state()
    assert once != clean
    installed(bare, tmp_path / "rules")
    assert state() == once
    run(bare.cloud, far_end.routes_unit(FAR), "ExecStop", tmp_path / "rules")
    assert state() == clean


def test_what_the_cloud_begins_goes_by_the_first_line_that_is_up(bare: Laboratory, tmp_path: Path) -> None:
    settings = [line.split(" = ") for line in far_end.sysctls(FAR).splitlines() if not line.startswith("#")]
    bare.cloud.sysctl(dict(settings))
    installed(bare, tmp_path / "rules")

    def way() -> str:
        return bare.cloud.run("ip", "route", "get", SERVICE_IP).stdout

    assert f"dev {TELECOM.name}" in way()
    bare.carrier(TELECOM.name).configure("link set wan down\n")
    until(lambda: f"dev {UNICOM.name}" in way())


def test_the_reflectors_command_line_is_one_that_it_takes(bare: Laboratory, tmp_path: Path) -> None:
    installed(bare, tmp_path / "rules")
    unit = far_end.reflector_unit(FAR).replace("\\\n", "")
    ((_, argv),) = commands(unit, "ExecStart")
    log = tmp_path / "log"
    with log.open("wb") as said:
        child = bare.cloud.popen(*argv, stderr=said, cwd=Path.cwd())
    until(lambda: "reflecting" in log.read_text())
    assert child.poll() is None


def test_the_laboratory_s_cloud_is_what_the_command_prints(tmp_path: Path) -> None:
    """From the clinic's own configuration, and from what only the cloud knows: devices and next hops there."""
    configuration(tmp_path, "enforce")
    text = (tmp_path / "edge-node.toml").read_text(encoding="utf-8")
    first = f'[{{ address = "{TARGETS[0]}" }}'
    assert first in text
    stamp = f'[{{ address = "{TARGETS[0]}", kind = "stamp" }}'
    (tmp_path / "edge-node.toml").write_text(text.replace(first, stamp), encoding="utf-8")
    ways = [word for line in LINES for word in ("--line", f"{line.name}={line.name},{line.near_address}")]
    arguments = ["far-end", "--print", *ways, "--clinic", SERVICE_PREFIX, "--home", str(tmp_path)]
    said = CliRunner().invoke(line_group, arguments, obj=Where())
    assert said.exit_code == 0, said.output
    assert said.stdout == far_end.printed(FAR_END)


def test_systemd_has_nothing_to_say_about_the_units(can_build: None, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: make test-deps (Debian: systemd)")
    for path, text in (
        (far_end.ROUTES_PATH, far_end.routes_unit(FAR)),
        (far_end.REFLECTOR_PATH, far_end.reflector_unit(FAR)),
    ):
        unit = tmp_path / Path(path).name
        unit.write_text(text)
        said = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )  # fmt: skip
        about = [line for line in said.stderr.splitlines() if unit.name in line]
        assert said.returncode == 0 and not about, said.stderr
