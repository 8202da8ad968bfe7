"""`doctor` on the node itself: folders, credentials, certificates, databases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from edge_node.base.clock import SystemClock
from edge_node.base.errors import EdgeError, ExitCode
from edge_node.base.secret import read_secret
from edge_node.base.systemd import credential_path
from edge_node.base.units import format_size
from edge_node.base.users import user_name
from edge_node.cli.doctor_finding import Finding, Level, Look, fail, of_error, ok, warn
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.services.certificates import look
from edge_node.services.folders import need_folders, too_wide
from edge_node.services.his_secrets import cipher, session_secret
from edge_node.store import inspect, migrate
from edge_node.store.connection import connect_reader
from edge_node.store.databases import DATABASES, db_path
from edge_node.tls import kept
from edge_node.tls.judged import Shown, problems

SOON = "certificate-expiring"


def _folders(config: Config) -> Iterator[Finding]:
    state = config.node.state_dir
    need_folders(config)
    for folder in (state, state / "data", state / "credentials"):
        if folder.is_dir():
            yield ok(f"{folder}, of user {user_name(folder.stat().st_uid)}")
        else:
            yield fail(
                f"{folder} is missing",
                "edge-node init makes the node's folders; systemd-tmpfiles --create those of units",
                ExitCode.DATA,
                code="folder-missing",
            )
    for wide in too_wide(config):
        yield fail(
            f"{wide.path} may be used by others",
            f"chmod {wide.meant & 0o777:o} {wide.path}",
            ExitCode.NETWORK,
            evidence=f"its mode is {wide.mode:04o}, at most {wide.meant:04o} is meant",
            code="folder-open",
        )
    me = os.geteuid()
    foreign = [path for path in (state / "data").glob("*") if path.stat().st_uid != me] if me else []
    if foreign:
        yield fail(
            f"{len(foreign)} files in {state / 'data'} belong to another user",
            f"sudo chown {user_name(me)} {foreign[0]}",
            ExitCode.NETWORK,
            evidence=", ".join(path.name for path in foreign[:5]),
            code="file-foreign",
        )


def _credentials(config: Config) -> Iterator[Finding]:
    """What the HIS cannot start without, as the HIS reads it; then every other that is named, whatever is in it."""
    state_dir = config.node.state_dir
    own: tuple[tuple[str, Callable[[], object]], ...] = (
        ("data-key", lambda: cipher(state_dir)),
        ("his-secret", lambda: session_secret(state_dir)),
    )
    for name, read in own:
        yield from _one(name, read)
    for name, hint in _named(config).items():
        path = credential_path(name, state_dir=state_dir)
        yield from _one(name, lambda path=path, hint=hint: read_secret(path, hint=hint))  # type: ignore[misc]


def _one(name: str, read: Callable[[], object]) -> Iterator[Finding]:
    try:
        read()
    except EdgeError as error:
        yield of_error(error)
    else:
        yield ok(f"credential {name}")


def _named(config: Config) -> dict[str, str]:
    """Every other credential that the configuration names, with where a lost one comes from."""
    folder = kept.folder_of(config)
    names = {"node-identity": f"edge-node replica identity, or another from the recovery kit, into {folder}"}
    for destination in config.replica.destination:
        if destination.credential:
            names[destination.credential] = f"the key of the bucket at {destination.name}, as TOML, into {folder}"
    for upstream in config.upstream:
        if upstream.credential:
            names[upstream.credential] = f"the token of {upstream.name} into {folder}"
    if config.monitor.remote_write and config.monitor.remote_write.credential:
        names[config.monitor.remote_write.credential] = f"the token of the metrics' receiver into {folder}"
    return names


def _certificates(config: Config) -> Iterator[Finding]:
    if config.his.tls is None:
        yield ok("the pages are served without TLS, to this machine alone")
        return
    now = datetime.fromtimestamp(SystemClock().wall_ms() / 1000, UTC)
    found = look(config, config.his.tls, now=now)
    renews = found.authority is not None
    for shown in found.shown:
        wrong = list(problems(shown, now=now))
        for reason in wrong:
            said = translate(reason_text(reason.code, reason.args), ENGLISH)
            if renews and not shown.is_authority and reason.code != "certificate-mismatch":
                yield warn(said, "edge-his issues another one at its next start", code=reason.code)
            elif reason.code == SOON:
                yield warn(said, _mends(shown, renews=renews), code=reason.code)
            else:
                yield fail(said, _mends(shown, renews=renews), ExitCode.CONFIG, code=reason.code)
        if not wrong:
            yield ok(f"certificate {shown.name}, until {shown.found.ends:%Y-%m-%d}")
    if found.issue is not None and len(found.shown) == 1:
        yield ok(f"certificate {found.place.name} is issued at the start of edge-his")


def _mends(shown: Shown, *, renews: bool) -> str:
    if shown.is_authority:
        return f"{kept.MAKE_AUTHORITY} --replace; every computer must then trust the new one (page /trust)"
    if renews:
        return f"its authority may not certify that name: leave it out of his.names, or {kept.MAKE_AUTHORITY} --replace"
    return f"copy a new certificate and its key over credentials {shown.name}; the HIS shows it within 10 s"


def _databases(config: Config) -> Iterator[Finding]:
    for name, migrations in DATABASES.items():
        path = db_path(config.node.state_dir, name)
        try:
            migrate.check(path, migrations)
            conn = connect_reader(path)
            try:
                inspect.quick_check(conn)
            finally:
                conn.close()
        except EdgeError as error:
            # One that is older is brought up to date by the next start.
            yield replace(of_error(error), level=Level.WARN) if error.code == "db-behind" else of_error(error)
        else:
            size = format_size(inspect.size_bytes(path))
            yield ok(f"{name}.db is sound and at this program's version ({size})")


LOOKS: tuple[Look, ...] = (_folders, _credentials, _certificates, _databases)
