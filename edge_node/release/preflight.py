"""May the upgrade begin? Everything that is in the way at once; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.base.errors import ExitCode, Problem
from edge_node.base.units import format_size
from edge_node.release.bundle import KnownSchema, Manifest, version_key
from edge_node.store.schema import number

# A release takes 170 MB; the rest is for what pip unpacks beside it.
RELEASE_NEEDS_BYTES = 300 * 1024 * 1024
# Beside the copies that are made before databases are migrated: below this a database soon cannot be written.
DATA_FLOOR_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was looked at before anything is changed."""

    manifest: Manifest
    unsound: Sequence[Problem]
    # Why nobody whom the release in use knows stands for the bundle; None: somebody does, or it was not asked.
    untrusted: str | None
    # The bundle's mark, and that of the release of the same version that is installed already, if one is.
    mark: str
    installed_mark: str | None
    current: str
    own: Mapping[str, KnownSchema]
    arch: str
    python: str
    now_s: float
    program_free_bytes: int | None
    data_free_bytes: int | None
    database_bytes: int
    # What the databases' own check found; None: nothing.
    damage: str | None
    # Why a restore from the local replica would not reach the present; None: it would.
    replica_lag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing that is in the way, and the exit code that it ends in."""

    problem: Problem
    exit_code: ExitCode


def obstacles(facts: Facts) -> list[Obstacle]:
    """Everything that is in the way, the bundle first; nothing where the upgrade may begin."""
    return [
        Obstacle(problem=Problem(path=where, text=text), exit_code=code)
        for where, text, code in (*_bundle(facts), *_schemas(facts), *_machine(facts))
    ]


Found = tuple[str, str, ExitCode]


def _bundle(facts: Facts) -> list[Found]:
    manifest = facts.manifest
    found: list[Found] = [(problem.path, problem.text, ExitCode.USAGE) for problem in facts.unsound]
    if facts.untrusted is not None:
        found.append(("the bundle", f"{facts.untrusted}: --unsigned takes it all the same", ExitCode.USAGE))
    new, now = version_key(manifest.version), version_key(facts.current)
    if new is None:
        found.append(("the bundle", f"{manifest.version!r} is no version: three numbers", ExitCode.USAGE))
    elif now is not None and new < now:
        older = f"brings {manifest.version}, older than {facts.current}, which is in use"
        found.append(("the bundle", f"{older}: edge-node upgrade --back returns to the release before", ExitCode.USAGE))
    if facts.installed_mark not in (None, facts.mark):
        text = f"brings another {manifest.version} than the one that is installed: build it under a version of its own"
        found.append(("the bundle", text, ExitCode.USAGE))
    for what, wanted, have in (("processor", manifest.arch, facts.arch), ("Python", manifest.python, facts.python)):
        if wanted != have:
            found.append(("the bundle", f"is for {what} {wanted}, this machine has {have}", ExitCode.USAGE))
    return found


def _schemas(facts: Facts) -> list[Found]:
    found: list[Found] = []
    for name, own in facts.own.items():
        new = facts.manifest.schemas.get(name)
        lost = [one for one in own.migrations if new is None or one not in new.migrations]
        if lost:
            text = (
                f"release {facts.manifest.version} does not know {', '.join(lost)}: it is not a successor of this one"
            )
            found.append((f"{name}.db", text, ExitCode.DATA))
        elif new is not None and number(new.needed) > max(map(number, own.migrations)):
            text = (
                f"release {facts.manifest.version} does more than add ({new.needed}), and nothing would lead back to "
                f"{facts.current}: upgrade to a release between them first"
            )
            found.append((f"{name}.db", text, ExitCode.DATA))
    return found


def _machine(facts: Facts) -> list[Found]:
    found: list[Found] = []
    if facts.now_s < facts.manifest.released:
        text = "is behind the time at which the release was made: chronyc tracking, timedatectl status"
        found.append(("the clock", text, ExitCode.DATA))
    needed = facts.database_bytes + DATA_FLOOR_BYTES
    for where, free, wanted in (
        ("/opt", facts.program_free_bytes, RELEASE_NEEDS_BYTES if facts.installed_mark is None else 0),
        ("the state folder", facts.data_free_bytes, needed),
    ):
        if free is not None and free < wanted:
            text = f"has {format_size(free)} free, {format_size(wanted)} are needed"
            found.append((where, text, ExitCode.DATA))
    if facts.damage is not None:
        found.append(("the databases", facts.damage, ExitCode.DATA))
    if facts.replica_lag is not None:
        found.append(("the local replica", facts.replica_lag, ExitCode.REPLICA))
    return found
