"""TLS by the clinic's own authority on a booted machine, with real units and users, and what `doctor` says there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.installed import installed, serve_over_tls
from tests.support.machine import Machine, booted
from tests.support.machine_image import missing
from tests.support.machine_node import STATE, unit
from tests.support.waiting import until

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.alone,
    # The first one that boots builds the image, and the first one that installs the bundle.
    pytest.mark.timeout(900),
]

WITHIN_S = 120.0
FIRST, SECOND = "192.168.77.10", "192.168.77.11"
ASK = """
import ssl, sys, urllib.request
trust = ssl.create_default_context(cafile="/var/lib/edge-node/credentials/ca-cert")
sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=30, context=trust).read().decode())
"""


def doctor(machine: Machine) -> list[dict[str, Any]]:
    return list(json.loads(machine.run("edge-node", "doctor", "--json", check=False).stdout))


def wrong(machine: Machine) -> list[str]:
    """What is neither well nor merely to be looked at."""
    return [finding["what"] for finding in doctor(machine) if finding["level"] == "fail"]


def test_a_clinic_without_dns_is_served_over_tls_by_its_own_authority(tmp_path: Path) -> None:
    with booted(tmp_path, layers=(installed().disk,)) as machine:
        until(lambda: machine.run("edge-node", "status", check=False).returncode == 0, within_s=WITHIN_S, every_s=1)
        assert wrong(machine) == []
        units = [finding["what"] for finding in doctor(machine) if finding["part"] == "machine"]
        assert any(re.search(r"\d+ units, and what they need", what) for what in units)
        assert "kernel settings of the node" in units and "users edge and edge-links, group edge-share" in units

        # To other computers: with an authority made by root's command, and a key that is the service's all the same.
        machine.run("ip", "address", "add", f"{FIRST}/24", "dev", "lo")
        serve_over_tls(machine)
        said = machine.run("stat", "--format=%U %a", f"{STATE}/credentials/ca-key").stdout
        assert said.split() == ["edge", "600"]
        assert machine.run("python3", "-c", ASK, f"https://{FIRST}/healthz").stdout == "ok\n"
        assert wrong(machine) == []

        # An address that comes later is in the certificate without anybody's doing.
        machine.run("ip", "address", "add", f"{SECOND}/24", "dev", "lo")

        def is_served() -> bool:
            return machine.run("python3", "-c", ASK, f"https://{SECOND}/healthz", check=False).returncode == 0

        until(is_served, within_s=WITHIN_S, every_s=1)

        sheet = machine.run("edge-node", "handover", "--language", "en").stdout
        fingerprint = machine.run("edge-node", "certificate", "list", "--json").stdout
        ours = next(one["sha256"] for one in json.loads(fingerprint) if one["name"] == "ca-cert")
        assert f"https://{FIRST}/" in sheet
        assert ours.replace(":", " ") in re.sub(r"\s+", " ", sheet)

        # And what is broken on purpose is named, each with its remedy.
        machine.systemctl("stop", unit("outbox"))
        machine.run("sysctl", "-q", "-w", "net.ipv4.tcp_mtu_probing=0")
        machine.run("rm", "/etc/systemd/system/edge-drill.timer")
        machine.run("chmod", "755", f"{STATE}/data")
        found = {finding["what"]: finding for finding in doctor(machine) if finding["level"] != "ok"}
        assert found["edge-outbox.service is inactive"]["remedy"].startswith("systemctl status edge-outbox.service")
        assert "tcp_mtu_probing = 0, wanted 1" in found["kernel settings of the node are not in force"]["evidence"]
        assert found[f"{STATE}/data may be used by others"]["remedy"] == f"chmod 700 {STATE}/data"
        (pieces,) = [finding for what, finding in found.items() if "pieces of the units" in what]
        assert "edge-drill.timer" in pieces["evidence"] and pieces["remedy"] == "sudo edge-node units install"
