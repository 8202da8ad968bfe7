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
from edge_node.cli.unit_files import BESIDE, JOBS, PLAIN_STORE, SEALED_STORE, SERVICES, SYSTEM, UNITS
from edge_node.cli.units import shipped_units, units_group
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


SECRETS = """
tls = { certificate = "our-cert", key = "our-key" }

[[replica.destination]]
name = "cloud"
url = "s3://bucket/prefix"
credential = "cloud-key"

[[upstream]]
name = "platform"
url = "https://platform.example.com"
credential = "platform-key"

[monitor]
remote_write = { url = "https://metrics.example.com/write", credential = "prom-key" }
"""


def install(root: Path, *options: str, more: str = "") -> Result:
    home = root / "home"
    if not home.exists():
        home.mkdir(parents=True)
        text = '[node]\nid = "clinic-0042"\n[replica]\nplain = true\n[his]\nlisten = "127.0.0.1:8443"\n'
        atomic_write(home / "edge-node.toml", (text + more).encode())
    arguments = ["install", "--root", str(root), "--home", str(home), *options]
    return CliRunner().invoke(units_group, arguments, obj=Where())


def remove(root: Path, *options: str) -> Result:
    return CliRunner().invoke(units_group, ["remove", "--root", str(root), *options], obj=Where())


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


def drop_in(root: Path, service: str, name: str) -> list[str]:
    """What was written beside a unit, without its head."""
    head, *lines = (root / SYSTEM / f"edge-{service}.service.d" / name).read_text().splitlines()
    assert head.startswith("# Written by edge-node units install from the configuration: ")
    assert lines[0] == "[Service]"
    return lines[1:]


def test_the_key_of_a_signed_target_reaches_the_service_that_may_not_look_for_it(tmp_path: Path) -> None:
    """Without its file the service starts all the same, and says what is missing: systemd would say nothing useful."""
    install(tmp_path, more=SIGNED)
    assert drop_in(tmp_path, "links", "20-credentials.conf") == [
        f"LoadCredential=stamp-key:{tmp_path}/home/credentials/stamp-key",
        "SetCredential=stamp-key:absent",
    ]
    (tmp_path / "home/edge-node.toml").write_text('[node]\nid = "clinic-0042"\n')
    assert "edge-links.service.d/20-credentials.conf" in install(tmp_path).stdout
    assert drop_in(tmp_path, "links", "20-credentials.conf") == [], "a key that is not named is not handed out"


def test_each_service_is_handed_the_credentials_that_it_reads_and_no_other(tmp_path: Path) -> None:
    """A name without a path is looked for in systemd's store, where it is no mistake that there is none."""
    install(tmp_path, more=SECRETS)
    assert {service: drop_in(tmp_path, service, "20-credentials.conf") for service in (*SERVICES, *JOBS)} == {
        "links": [],
        "his": ["LoadCredential=cloud-key", "LoadCredential=our-cert", "LoadCredential=our-key"],
        "replica": ["LoadCredential=cloud-key"],
        "outbox": ["LoadCredential=cloud-key", "LoadCredential=platform-key"],
        "monitor": ["LoadCredential=cloud-key", "LoadCredential=prom-key"],
        "drill": ["LoadCredential=cloud-key"],
        "verify": ["LoadCredential=cloud-key"],
        "report": [],
    }


def test_what_lies_encrypted_in_the_store_is_handed_out_from_there(tmp_path: Path) -> None:
    for place in (SEALED_STORE / "cloud-key", SEALED_STORE / "stamp-key", PLAIN_STORE / "platform-key"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("secret")
    install(tmp_path, more=SECRETS + SIGNED)
    assert drop_in(tmp_path, "replica", "20-credentials.conf") == ["LoadCredentialEncrypted=cloud-key"]
    assert drop_in(tmp_path, "links", "20-credentials.conf") == ["LoadCredentialEncrypted=stamp-key"]
    (tmp_path / SEALED_STORE / "stamp-key").rename(tmp_path / PLAIN_STORE / "stamp-key")
    install(tmp_path)
    assert drop_in(tmp_path, "links", "20-credentials.conf") == ["LoadCredential=stamp-key"]


def test_copies_on_another_disk_may_be_written(tmp_path: Path) -> None:
    """The services see the machine read-only but for their own folders; a disk that is out stops none of them."""
    more = '[[replica.destination]]\nname = "nas"\nurl = "file:///mnt/nas/clinic copies"\n'
    install(tmp_path, more=more)
    text = (tmp_path / "home/edge-node.toml").read_text()
    (tmp_path / "home/edge-node.toml").write_text(
        text.replace("plain = true", 'plain = true\nlocal = "/mnt/ssd/replica"')
    )
    install(tmp_path)
    for service in ("his", "replica", "outbox", "monitor", "drill", "verify"):
        assert drop_in(tmp_path, service, "30-folders.conf") == [
            'ReadWritePaths="-/mnt/ssd/replica"',
            'ReadWritePaths="-/mnt/nas/clinic copies"',
        ]
    for service in ("links", "report"):
        assert drop_in(tmp_path, service, "30-folders.conf") == []
    folders = (tmp_path / "etc/tmpfiles.d/edge-node-replica.conf").read_text().splitlines()
    assert folders[1:] == ['d "/mnt/ssd/replica" 0700 edge edge']


def test_removing_leaves_nothing_but_what_is_somebody_elses(tmp_path: Path) -> None:
    install(tmp_path)
    theirs = tmp_path / SYSTEM / "edge-his.service.d/90-clinic.conf"
    theirs.write_text("[Service]\nNice=-5\n")
    planned, done, again = remove(tmp_path, "--dry-run"), remove(tmp_path), remove(tmp_path)
    assert planned.stdout.replace("would remove", "removed") == done.stdout
    assert again.stdout == "nothing of ours is there\n"
    left = [path for path in (tmp_path / "etc").rglob("*") if not path.is_dir()]
    assert left == [theirs]
    assert [path for path in (tmp_path / SYSTEM).iterdir() if path != theirs.parent] == []


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
    said = [line for line in done.stderr.splitlines() if "/opt/edge-node/current/bin/edge-node is not exec" not in line]
    assert said == []

    (tmp_path / SYSTEM / "edge-his.service.d/20-wrong.conf").write_text("[Service]\nProtectHomes=yes\n")
    again = judged(tmp_path, "verify", str(tmp_path / SYSTEM / "edge-his.service"))
    assert "ProtectHomes" in again.stderr, "the judge looks at other files"


@needs_systemd
@pytest.mark.parametrize("service", (*SERVICES, *JOBS))
def test_exposure(tmp_path: Path, service: str) -> None:
    install(tmp_path)
    done = judged(
        tmp_path, "security", "--offline=yes", "--no-pager", str(tmp_path / SYSTEM / f"edge-{service}.service")
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= (WITH_CAPABILITY if service == "links" else WITHOUT_CAPABILITY)
