"""The units as systemd itself judges them, and what `units install` puts where."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.files import atomic_write
from edge_node.cli.main import Where
from edge_node.cli.units import BESIDE, PROOFS, SERVICES, SYSTEM, UNITS, shipped_units, units_group
from edge_node.status import SERVICES as KNOWN_SERVICES

WITHOUT_CAPABILITY, WITH_CAPABILITY = 1.5, 2.0
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: make test-deps"
)


SIGNED = """
[[line]]
name = "telecom"
preferred = 1
interface = "enp2s0"
target = [{ address = "10.100.0.1", kind = "stamp", credential = "stamp-key" }]
"""


def install(root: Path, *options: str, more: str = "") -> Result:
    home = root / "home"
    if not home.exists():
        home.mkdir(parents=True)
        text = '[node]\nid = "clinic-0042"\n[replica]\nplain = true\n[his]\nlisten = "127.0.0.1:8443"\n'
        atomic_write(home / "edge-node.toml", (text + more).encode())
    arguments = ["install", "--root", str(root), "--home", str(home), *options]
    return CliRunner().invoke(units_group, arguments, obj=Where())


def judged(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze over the units below a root."""
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{root / SYSTEM}:"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_every_service_has_its_unit() -> None:
    assert set(SERVICES) == set(KNOWN_SERVICES)
    shipped = {path.name for path in shipped_units().iterdir() if path.name != "README.md"}
    assert shipped == {*UNITS, *BESIDE, "hardening.conf"}


def test_installing_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    planned = install(tmp_path, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert not (tmp_path / "etc").exists()

    first, second = install(tmp_path), install(tmp_path)

    assert first.stdout.replace("linked", "would link") == planned.stdout
    assert second.stdout == "everything is in place\n"
    assert "ListenStream=127.0.0.1:8443" in (tmp_path / SYSTEM / "edge-his.socket.d/listen.conf").read_text()
    for unit in UNITS:
        assert (tmp_path / SYSTEM / unit).resolve() == (shipped_units() / unit).resolve()


def test_the_key_of_a_signed_target_reaches_the_service_that_may_not_look_for_it(tmp_path: Path) -> None:
    """Without its file the service starts all the same, and says what is missing: systemd would say nothing useful."""
    install(tmp_path, more=SIGNED)
    drop_in = tmp_path / SYSTEM / "edge-links.service.d/20-credentials.conf"
    assert drop_in.read_text().splitlines()[1:] == [
        "[Service]",
        f"LoadCredential=stamp-key:{tmp_path}/home/credentials/stamp-key",
        "SetCredential=stamp-key:absent",
    ]
    (tmp_path / "home/edge-node.toml").write_text('[node]\nid = "clinic-0042"\n')
    assert "20-credentials.conf" in install(tmp_path).stdout
    assert drop_in.read_text().splitlines()[1:] == ["[Service]"], (
        "a key that is no longer named is no longer handed out"
    )


def test_a_link_that_somebody_changed_is_mended(tmp_path: Path) -> None:
    install(tmp_path)
    unit = tmp_path / SYSTEM / "edge-his.service"
    unit.unlink()
    unit.write_text("[Service]\nExecStart=/bin/false\n")
    assert install(tmp_path).stdout == f"linked /{SYSTEM}/edge-his.service -> {shipped_units()}/edge-his.service\n"


@needs_systemd
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    """An unknown key is only a warning to systemd, and its exit code is 0: nothing at all may be said."""
    install(tmp_path, more=SIGNED)
    done = judged(tmp_path, "verify", *(str(tmp_path / SYSTEM / unit) for unit in UNITS))
    # The interpreter of the release is not on this machine; that is all that may be missed.
    said = [line for line in done.stderr.splitlines() if "/opt/edge-node/current/bin/python is not exec" not in line]
    assert said == []

    (tmp_path / SYSTEM / "edge-his.service.d/20-wrong.conf").write_text("[Service]\nProtectHomes=yes\n")
    again = judged(tmp_path, "verify", str(tmp_path / SYSTEM / "edge-his.service"))
    assert "ProtectHomes" in again.stderr, "the judge looks at other files"


@needs_systemd
@pytest.mark.parametrize("service", (*SERVICES, *PROOFS))
def test_exposure(tmp_path: Path, service: str) -> None:
    install(tmp_path)
    done = judged(
        tmp_path, "security", "--offline=yes", "--no-pager", str(tmp_path / SYSTEM / f"edge-{service}.service")
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= (WITH_CAPABILITY if service == "links" else WITHOUT_CAPABILITY)
