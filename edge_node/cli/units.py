"""`edge-node units install`: the units and what they need of the system, from the release that is in use.

Safe to run again: what is right already is left alone, and every step is printed. Units are links into the release's
own folder, so that an upgrade changes them together with the program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from edge_node.base.errors import ExitCode, ServiceError
from edge_node.base.files import atomic_write
from edge_node.base.shared_key import ABSENT
from edge_node.cli.main import Where, where_options
from edge_node.cli.output import answer, talk
from edge_node.config.schema import Config

RELEASE = Path("/opt/edge-node/current")
SERVICES = ("links", "his", "replica", "outbox", "monitor")
# What timers start.
PROOFS = ("drill", "verify")
UNITS = (
    *(f"edge-{name}.service" for name in (*SERVICES, *PROOFS)),
    *(f"edge-{name}.timer" for name in PROOFS),
    "edge-his.socket",
    "edge-node.target",
    "edge-node.slice",
)
# Where the rest of the system looks for it; what the package ships, and under which name.
BESIDE = {
    "edge-node.sysusers.conf": "etc/sysusers.d/edge-node.conf",
    "edge-node.tmpfiles.conf": "etc/tmpfiles.d/edge-node.conf",
    "edge-node.sysctl.conf": "etc/sysctl.d/60-edge-node.conf",
    "edge-node.networkd.conf": "etc/systemd/networkd.conf.d/60-edge-node.conf",
    "edge-node.rt_protos.conf": "etc/iproute2/rt_protos.d/edge-node.conf",
}
SYSTEM = "etc/systemd/system"
AFTERWARDS = (
    ("systemd-sysusers",),
    ("systemd-tmpfiles", "--create", "edge-node.conf"),
    ("sysctl", "-q", "-p", "/etc/sysctl.d/60-edge-node.conf"),
    ("systemctl", "daemon-reload"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """`path` is a symbolic link to `target`."""

    path: Path
    target: Path

    def is_done(self, root: Path) -> bool:
        place = root / self.path
        return place.is_symlink() and place.readlink() == self.target

    def do(self, root: Path) -> None:
        place = root / self.path
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(self.target)
        beside.replace(place)

    def __str__(self) -> str:
        return f"/{self.path} -> {self.target}"


@dataclass(frozen=True, slots=True)
class Text:
    """`path` holds exactly `content`."""

    path: Path
    content: str

    def is_done(self, root: Path) -> bool:
        try:
            return (root / self.path).read_text(encoding="utf-8") == self.content
        except OSError:
            return False

    def do(self, root: Path) -> None:
        place = root / self.path
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(place, self.content.encode(), mode=0o644)

    def __str__(self) -> str:
        return f"/{self.path} (written)"


Step = Link | Text


def steps(config: Config, source: Path) -> Iterator[Step]:
    """What must be there, in an order that is safe to stop within; pure. `source` holds the package's units."""
    for shipped, place in BESIDE.items():
        yield Link(Path(place), source / shipped)
    for name in (*SERVICES, *PROOFS):
        yield Link(Path(SYSTEM, f"edge-{name}.service.d", "10-hardening.conf"), source / "hardening.conf")
    head = "# Written by edge-node units install from his.listen.\n[Socket]\n"
    listen = f"{head}ListenStream=\nListenStream={config.his.listen}\n"
    yield Text(Path(SYSTEM, "edge-his.socket.d", "listen.conf"), listen)
    yield Text(Path(SYSTEM, "edge-links.service.d", "20-credentials.conf"), _line_credentials(config))
    for unit in UNITS:
        yield Link(Path(SYSTEM, unit), source / unit)


def _line_credentials(config: Config) -> str:
    """The keys of signed targets, for a service that cannot look into the folder of credentials.

    The second line of each is what systemd gives where there is no file: the service then says so itself, and ends.
    """
    text = "# Written by edge-node units install from the targets of the lines: their keys.\n[Service]\n"
    names = sorted({target.credential for line in config.line for target in line.target if target.credential})
    for name in names:
        text += f"LoadCredential={name}:{config.node.state_dir / 'credentials' / name}\nSetCredential={name}:{ABSENT}\n"
    return text


def shipped_units() -> Path:
    """The folder of the units of the release that runs: in its environment, or beside the sources."""
    for folder in (Path(sys.prefix, "lib/systemd/system"), Path(__file__).resolve().parents[2] / "systemd"):
        if (folder / UNITS[0]).exists():
            return folder
    raise ServiceError(
        "units-missing",
        "this installation has no units",
        context=f"looked in {sys.prefix}/lib/systemd/system",
        hint="install the release with its bundle",
    )


@click.group("units")
def units_group() -> None:
    """The systemd units."""


@units_group.command("install")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), help="Another root than /, for an image.")
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@click.option("--reason", default="", help="Why, for the record.")
@where_options
@click.pass_obj
def install(where: Where, root: Path, dry_run: bool, reason: str) -> None:
    """Link the units, users, folders and kernel settings into the system; run it again when his.listen or a target's
    credential has changed."""
    config = where.load()
    source = shipped_units()
    if root == Path("/") and source.is_relative_to(sys.prefix) and RELEASE.exists():
        source = RELEASE / source.relative_to(sys.prefix)
    todo = [step for step in steps(config, source) if not step.is_done(root)]
    for step in todo:
        if not dry_run:
            try:
                step.do(root)
            except OSError as error:
                raise ServiceError(
                    "privilege-missing",
                    f"/{step.path} cannot be made: {error.strerror}",
                    context=None,
                    hint="sudo edge-node units install",
                    exit_code=ExitCode.NETWORK,
                ) from error
        answer(f"{'would link' if dry_run else 'linked'} {step}")
    if not todo:
        answer("everything is in place")
    if not dry_run and root == Path("/") and Path("/run/systemd/system").is_dir():
        _afterwards()
    if reason:
        talk(f"reason: {reason}")


def _afterwards() -> None:
    for argv in AFTERWARDS:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env={"PATH": os.defpath}
        )
        if done.returncode:
            talk(f"{' '.join(argv)} returned {done.returncode}: {done.stderr.strip()}")
        else:
            answer(f"ran {' '.join(argv)}")
