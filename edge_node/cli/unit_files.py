"""What `edge-node units install` puts where: a pure list of links and texts, from the configuration and the release.

Units are links into the release's own folder, so that an upgrade changes them together with the program. What depends
on the configuration is written beside them as drop-ins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.files import atomic_write
from edge_node.base.shared_key import ABSENT
from edge_node.config.schema import Config, Node

SERVICES = ("links", "his", "replica", "outbox", "monitor")
# What timers start.
JOBS = ("drill", "verify", "report")
TARGET, SOCKET = "edge-node.target", "edge-his.socket"
# Before the services, where an upgrade was cut off; none of the node's users, and not confined as they are.
SETTLE = "edge-settle.service"
UNITS = (
    *(f"edge-{name}.service" for name in (*SERVICES, *JOBS)),
    *(f"edge-{name}.timer" for name in JOBS),
    SOCKET,
    SETTLE,
    TARGET,
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
SYSTEM = Path("etc/systemd/system")
# What each is wanted by, as `systemctl enable` would link it: the target starts all, the machine starts the target.
WANTED_BY = {
    **{f"edge-{name}.service": TARGET for name in SERVICES},
    **{f"edge-{name}.timer": TARGET for name in JOBS},
    SETTLE: TARGET,
    SOCKET: "sockets.target",
    TARGET: "multi-user.target",
}
# systemd's own places for secrets that it hands to services: plain (0600 root), and encrypted by `systemd-creds`.
PLAIN_STORE, SEALED_STORE = Path("etc/credstore"), Path("etc/credstore.encrypted")
_WRITTEN = "# Written by edge-node units install from the configuration: "


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The names of the secrets in systemd's stores."""

    plain: Set[str] = frozenset()
    sealed: Set[str] = frozenset()


def stored(root: Path) -> Stored:
    """What lies in systemd's stores of a machine, or of an image."""
    return Stored(plain=_names(root / PLAIN_STORE), sealed=_names(root / SEALED_STORE))


def _names(folder: Path) -> Set[str]:
    with contextlib.suppress(OSError):
        return {path.name for path in folder.iterdir()}
    return frozenset()


def steps(config: Config, source: Path, secrets: Stored) -> Iterator[Step]:
    """What must be there, in an order that is safe to stop within; pure. `source` holds the release's units.

    The paths are the same whatever the configuration says.
    """
    for shipped, place in BESIDE.items():
        yield Link(Path(place), source / shipped)
    yield Text(Path("etc/tmpfiles.d/edge-node-replica.conf"), _replica_folder(config))
    for name in (*SERVICES, *JOBS):
        drop_ins = SYSTEM / f"edge-{name}.service.d"
        yield Link(drop_ins / "10-hardening.conf", source / "hardening.conf")
        yield Text(drop_ins / "20-credentials.conf", _credentials(config, name, secrets))
        yield Text(drop_ins / "30-folders.conf", _folders(config, name))
    listen = f"{_WRITTEN}his.listen.\n[Socket]\nListenStream=\nListenStream={config.his.listen}\n"
    yield Text(SYSTEM / f"{SOCKET}.d" / "listen.conf", listen)
    for unit in UNITS:
        yield Link(SYSTEM / unit, source / unit)
    for unit, wanting in WANTED_BY.items():
        yield Link(SYSTEM / f"{wanting}.wants" / unit, "/" / SYSTEM / unit)


def places() -> list[Path]:
    """Every path that `steps` makes, and the folders for drop-ins that it leaves empty; the last made first."""
    made = [step.path for step in steps(Config(node=Node(id="any")), Path("/"), Stored())]
    folders = {path.parent for path in made if path.parent.name.endswith((".service.d", ".socket.d", ".target.wants"))}
    return [*reversed(made), *sorted(folders)]


def credential_names(config: Config) -> Mapping[str, tuple[str, ...]]:
    """Which credentials of the configuration each service reads.

    Those that begin with `db ensure` may have to fetch a lost database from a destination.
    """
    destinations = {one.credential for one in config.replica.destination}
    own: dict[str, set[str | None]] = {
        "links": {target.credential for line in config.line for target in line.target},
        "his": {*destinations, *_certificate(config)},
        "replica": destinations,
        "outbox": {*destinations, *(one.credential for one in config.upstream)},
        "monitor": {*destinations, config.monitor.remote_write.credential if config.monitor.remote_write else None},
        "drill": destinations,
        "verify": destinations,
        "report": set(),
    }
    return {service: tuple(sorted(name for name in names if name)) for service, names in own.items()}


def _certificate(config: Config) -> tuple[str, ...]:
    """What the node issues itself lies in its own folder, and changes while the service runs."""
    tls = config.his.tls
    return () if tls is None or tls.issue else (tls.certificate, tls.key)


def _credentials(config: Config, service: str, secrets: Stored) -> str:
    """Hand out what lies in systemd's stores. No line keeps the service from starting when its file is gone.

    The service then looks into the node's own folder, and where there is nothing either, says so itself. `edge-links`
    may not look there: its keys are handed to it from the folder.
    """
    text = f"{_WRITTEN}credentials.\n[Service]\n"
    for name in credential_names(config)[service]:
        # A name without a path means systemd's store, where a missing file is no mistake.
        if name in secrets.sealed:
            text += f"LoadCredentialEncrypted={name}\n"
        elif service == "links" and name not in secrets.plain:
            own = config.node.state_dir / "credentials" / name
            text += f"LoadCredential={name}:{own}\nSetCredential={name}:{ABSENT}\n"
        else:
            text += f"LoadCredential={name}\n"
    return text


def _folders(config: Config, service: str) -> str:
    """Copies outside the state folder: another disk, a NAS. With "-": a disk that is out stops no service."""
    text = f"{_WRITTEN}folders.\n[Service]\n"
    if service in ("links", "report"):
        return text
    destinations = (one.folder for one in config.replica.destination)
    for folder in (config.replica.local, *(folder for folder in destinations if folder)):
        if not folder.is_relative_to(config.node.state_dir):
            text += f'ReadWritePaths="-{folder}"\n'
    return text


def _replica_folder(config: Config) -> str:
    """The local replica where it lies on another disk: patient data, as the folders of edge-node.tmpfiles.conf are."""
    text = f"{_WRITTEN}replica.local.\n"
    local = config.replica.local
    return text if local.is_relative_to(config.node.state_dir) else f'{text}d "{local}" 0700 edge edge\n'
