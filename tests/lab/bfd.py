"""FRR's bfdd beside our watcher, on the same line and for the same black hole: what a fast detector is measured by.

One bfdd in the clinic and one in the cloud, a multihop session between the line's two ends; without zebra, without a
route of its own. It says when it lost the session in its log, in microseconds of the wall clock.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.lab.namespace import Namespace
from tests.lab.topology import LabLine, Laboratory
from tests.support.waiting import until

PROGRAM = Path("/usr/lib/frr/bfdd")
_USER = "frr"
# Sessions say hello once a second until they are up.
_UP_WITHIN_S = 20.0


def is_installed() -> bool:
    return PROGRAM.exists() and shutil.which("vtysh") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bfd:
    """The session as the clinic's bfdd has it."""

    folder: Path
    interval_ms: int

    def until_up(self) -> None:
        """Wait until it is up and both ends have left the slow pace of its beginning."""
        until(self._is_at_pace, within_s=_UP_WITHIN_S, every_s=0.2)

    def _is_at_pace(self) -> bool:
        asked = ["vtysh", "--vty_socket", str(self.folder), "-d", "bfdd", "-c", "show bfd peers json"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False).stdout
        with contextlib.suppress(ValueError, LookupError):
            (peer,) = json.loads(said)
            paces = {peer["transmit-interval"], peer["receive-interval"]}
            paces |= {peer["remote-transmit-interval"], peer["remote-receive-interval"]}
            return peer["status"] == "up" and paces == {self.interval_ms}
        return False

    def downs(self) -> list[float]:
        """When it found the line dead, each time so far, by the monotonic clock."""
        apart_s = time.time() - time.monotonic()
        found = []
        for row in (self.folder / "bfdd.log").read_text().splitlines():
            if "state-change" in row and "up -> down" in row:
                at = datetime.strptime(" ".join(row.split()[:2]), "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
                found.append(at.timestamp() - apart_s)
        return found


@contextlib.contextmanager
def bfd_session(lab: Laboratory, line: LabLine, *, interval_ms: int = 100, multiplier: int = 3) -> Iterator[Bfd]:
    """A session over this line; both daemons are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgelab-bfd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # Beside the watcher's rule for the line's address, which comes and goes with it.
        lab.clinic.configure(f"route replace {line.far_address} via {line.gateway} dev {line.name}\n")
        daemons = [
            _start(space, folder / role, local, peer, interval_ms, multiplier)
            for space, role, local, peer in (
                (lab.clinic, "clinic", line.address, line.far_address),
                (lab.cloud, "cloud", line.far_address, line.address),
            )
        ]
        try:
            yield Bfd(folder=folder / "clinic", interval_ms=interval_ms)
        finally:
            for daemon in daemons:
                daemon.kill()
                daemon.wait()
            lab.clinic.run("ip", "route", "del", line.far_address, check=False)


def _start(
    space: Namespace, folder: Path, local: str, peer: str, interval_ms: int, multiplier: int
) -> subprocess.Popen[bytes]:
    folder.mkdir()
    settings = folder / "bfdd.conf"
    settings.write_text(
        f"log timestamp precision 6\nlog file {folder}/bfdd.log debugging\ndebug bfd peer\n"
        f"bfd\n peer {peer} multihop local-address {local}\n  detect-multiplier {multiplier}\n"
        f"  receive-interval {interval_ms}\n  transmit-interval {interval_ms}\n  no shutdown\n exit\n!\n"
    )
    # It gives up root's rights for those of its own user.
    for path in (folder, settings):
        shutil.chown(path, _USER, _USER)
    return space.popen(
        str(PROGRAM), "-f", str(settings), "-i", str(folder / "pid"), "-z", str(folder / "zebra"),
        "--vty_socket", str(folder), "--bfdctl", str(folder / "control"), "-P", "0",
        stderr=subprocess.DEVNULL, env={"TZ": "UTC"},
    )  # fmt: skip
