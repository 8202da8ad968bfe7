"""`edge-node upgrade`: from the release in use to that of a bundle, and back where that is not well."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ExitCode, ServiceError, UsageError
from edge_node.base.files import disk_free_bytes, file_lock
from edge_node.base.units import parse_duration
from edge_node.cli.main import Where, caller, where_options
from edge_node.cli.output import answer, talk
from edge_node.config.schema import Config
from edge_node.release.bundle import own_schemas, read_manifest, unpack, unsound
from edge_node.release.machine import Machine, call
from edge_node.release.preflight import Facts, obstacles
from edge_node.release.releases import Releases, mark_of
from edge_node.release.settle import settle as settle_releases
from edge_node.release.signature import makers_of, why_untrusted
from edge_node.release.upgrade import Upgrade, Wish
from edge_node.status import status_reader
from edge_node.store import inspect
from edge_node.store.databases import DATABASES, db_path

# The databases' check reads every page of them.
CHECKED_WITHIN_S = 3600.0
# A replicator that has just been restarted catches up within seconds.
CURRENT_WITHIN_S = 30.0


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--back", is_flag=True, help="Return to the release before, because somebody wants it so.")
@click.option(
    "--settle",
    is_flag=True,
    help="Put right what an upgrade has left that was cut off by a power cut, as "
    "the start of the machine does by itself.",
)
@click.option(
    "--unsigned", is_flag=True, help="Take BUNDLE although nobody whom the release in use knows has signed it."
)
@click.option("--watch", default="30s", show_default=True, help="How long the new release must be well at a stretch.")
@click.option("--dry-run", is_flag=True, help="Look at everything, say what would be done, and change nothing.")
@click.option("--reason", default="", help="Why, for the record.")
@where_options
@click.pass_obj
def upgrade(
    where: Where,
    bundle: Path | None,
    back: bool,
    settle: bool,
    unsigned: bool,
    watch: str,
    dry_run: bool,
    reason: str,
) -> None:
    """Take this machine to the release of BUNDLE (an archive, or what it unpacks to), and back if that is not well.

    The pages wait for seconds, and are not refused. Killed at any step it is given again, and ends the same; where the
    power goes meanwhile, the start of the machine returns to the release before, or stays with the new one if that had
    been found well. Nothing of the data is taken back: what a release adds to the databases, the release before can
    live with.
    """
    if sum((bundle is not None, back, settle)) != 1:
        raise UsageError("usage", "give a bundle, or --back", context=None, hint="edge-node upgrade ARCHIVE --dry-run")
    try:
        watch_s = parse_duration(watch)
    except ValueError as error:
        raise UsageError("usage", f"--watch {watch!r}: {error}", context=None, hint="such as 30s") from error
    releases = Releases()
    if settle:
        with _alone(releases):
            # Without a look at the configuration: one that is wrong is no reason to start what may not work.
            settle_releases(releases, where=where.arguments(), by=caller(), reason=reason, tell=answer, dry_run=dry_run)
        return
    config = where.load()
    machine = Machine(
        releases.root, status=status_reader(config, SystemClock()), listen=config.his.listen, tls=bool(config.his.tls)
    )
    with _alone(releases):
        if bundle is None:
            before = releases.previous() or ""
            wish = Wish(
                target=before, bundle=None, watch_s=watch_s, where=where.arguments(), reason=reason, by=caller()
            )
            _go_back(Upgrade(releases, machine, wish, answer), dry_run=dry_run)
            return
        folder = unpack(bundle, releases.root / "incoming")
        try:
            _upgrade(config, releases, machine, folder, Wish(
                target=read_manifest(folder).version, bundle=folder, watch_s=watch_s, where=where.arguments(),
                reason=f"{reason} (--unsigned)".strip() if unsigned else reason, by=caller(),
            ), unsigned=unsigned, dry_run=dry_run)  # fmt: skip
        finally:
            shutil.rmtree(releases.root / "incoming", ignore_errors=True)


@contextlib.contextmanager
def _alone(releases: Releases) -> Iterator[None]:
    """Root, and the only one who installs or upgrades. Raises ServiceError."""
    if os.geteuid() != 0:
        raise ServiceError(
            "privilege-missing",
            "only root can upgrade the node",
            context=None,
            hint=f"sudo edge-node {' '.join(sys.argv[1:])}",
            exit_code=ExitCode.NETWORK,
        )
    try:
        with file_lock(releases.lock, wait=False):
            yield
    except FileNotFoundError:
        raise ServiceError(
            "not-installed",
            f"there is no {releases.root}: this node was not installed by a bundle",
            context=None,
            hint="install.sh of a bundle installs the first release; edge-node up has none to upgrade",
            exit_code=ExitCode.USAGE,
        ) from None
    except BlockingIOError:
        raise ServiceError(
            "already-running",
            "another installation or upgrade runs",
            context=f"it holds the lock {releases.lock}",
            hint="wait until it is through",
        ) from None


def _go_back(work: Upgrade, *, dry_run: bool) -> None:
    before = work.found().previous
    if dry_run:
        answer(f"would return to release {before}" if before else "there is no release to return to")
        return
    work.go_back()
    answer(f"release {before} is in use again")


def _upgrade(
    config: Config, releases: Releases, machine: Machine, folder: Path, wish: Wish, *, unsigned: bool, dry_run: bool
) -> None:
    work = Upgrade(releases, machine, wish, answer)
    found = work.found()
    # One that is under way has been asked already whether it may begin, and is not stopped half-way.
    if found.current != wish.target:
        if not dry_run:
            work.settle()
        _refuse(_look(config, releases, wish, folder, found.current, unsigned=unsigned))
        _tell_restore_point(config)
    steps = work.plan()
    if dry_run:
        for step in steps:
            answer(f"would {step}")
    else:
        work.carry_out()
    if not steps:
        answer(f"release {wish.target} is in use already, and was found well")
    elif not dry_run:
        answer(f"release {wish.target} is in use and well")
    if wish.reason:
        talk(f"reason: {wish.reason}")


def _look(config: Config, releases: Releases, wish: Wish, folder: Path, current: str, *, unsigned: bool) -> Facts:
    manifest, state_dir = read_manifest(folder), config.node.state_dir
    return Facts(
        manifest=manifest,
        unsound=unsound(folder),
        untrusted=None if unsigned else why_untrusted(folder, makers_of(releases.folder(current))),
        mark=mark_of(folder),
        installed_mark=releases.whole().get(manifest.version),
        current=current,
        own=own_schemas(),
        arch=platform.machine(),
        python=".".join(platform.python_version_tuple()[:2]),
        now_s=time.time(),
        program_free_bytes=disk_free_bytes(releases.root),
        data_free_bytes=disk_free_bytes(state_dir),
        database_bytes=sum(inspect.size_bytes(db_path(state_dir, name)) for name in DATABASES),
        damage=_damage(releases.program(current), wish.where),
        replica_lag=_replica_lag(config),
    )


def _damage(program: Path, where: Sequence[str]) -> str | None:
    """What `db check` finds, which reads every page as the owner of the databases."""
    done = call((str(program), *where, "db", "check"), timeout_s=CHECKED_WITHIN_S, check=False)
    return (done.tail or done.sentence()) if done.returncode else None


def _replica_lag(config: Config) -> str | None:
    """Why the copy on site does not hold everything; waits until it does, for a while."""
    read = status_reader(config, SystemClock())
    give_up_at = time.monotonic() + CURRENT_WITHIN_S
    while True:
        replica = read().replica
        state = next((one["state"] for one in replica["destinations"] if one["name"] == "local"), "not known")
        if replica["litestream"] == "running" and state == "current":
            return None
        if time.monotonic() > give_up_at:
            return f"is {state}, Litestream is {replica['litestream']}: edge-node replica status"
        time.sleep(1)


def _tell_restore_point(config: Config) -> None:
    """What everything could be taken back to by hand; migrations make a copy of their own beside."""
    replica = status_reader(config, SystemClock())().replica
    answer(
        f"restore point: his.db at TXID {replica['txid']} of {replica['captured_at'] or 'now'}, in the local replica"
    )
    for one in replica["destinations"]:
        if one["state"] != "current":
            answer(f"  {one['name']} is {one['state']}: the point is not there yet")


def _refuse(facts: Facts) -> None:
    found = obstacles(facts)
    if found:
        raise ServiceError(
            "upgrade-impossible",
            f"the upgrade from {facts.current} to {facts.manifest.version} cannot begin; nothing was changed",
            context=None,
            hint="mend these, and give it again",
            problems=[one.problem for one in found],
            exit_code=found[0].exit_code,
        )
