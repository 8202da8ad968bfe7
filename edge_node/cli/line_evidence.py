"""`edge-node line evidence`: one incident as a file that a carrier must accept; and whether such a file was changed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edge_node.base.clock import SystemClock
from edge_node.base.errors import EdgeError, StoreError, UsageError
from edge_node.base.files import atomic_write
from edge_node.base.units import format_size
from edge_node.cli.main import Where, where_options
from edge_node.cli.node_file import node_history
from edge_node.cli.output import answer, talk
from edge_node.config.schema import Config
from edge_node.journal import bundle
from edge_node.journal.clock_facts import clock_facts
from edge_node.journal.freeze import folder_of, frozen, make_bundle
from edge_node.journal.incidents import find
from edge_node.journal.traces import TraceFolder
from edge_node.services.recorder import about_node
from edge_node.store.connection import Connection


@click.command("evidence")
@click.argument("incident", required=False)
@click.option("--to", type=click.Path(path_type=Path), help="The file; by default one in this folder.")
@click.option("--verify", type=click.Path(path_type=Path), help="Check such a file instead: names what differs first.")
@where_options
@click.pass_obj
def evidence(where: Where, incident: str | None, to: Path | None, verify: Path | None) -> None:
    """One incident (its id is in `line history`) as a zip for the carrier: what happened, samples, digests."""
    if verify is not None:
        _verify(where, verify)
        return
    if incident is None:
        raise UsageError(
            "usage", "say which incident", context=None, hint="edge-node line history shows them with their ids"
        )
    config = where.load()
    with node_history(config) as conn:
        packed, is_kept = _bundle(config, conn, incident)
    to = to or Path(f"{config.node.id}-incident-{incident}.zip")
    try:
        atomic_write(to, packed.content)
    except OSError as error:
        raise UsageError(
            "usage",
            f"{to} cannot be written",
            context=f"{type(error).__name__}: {error.strerror}",
            hint="give a path in a folder that the owner of the node's data may write: --to /tmp/evidence.zip",
        ) from error
    answer(f"{to}   {format_size(len(packed.content))}   SHA-256 {packed.sha256}")
    answer(f"digest {packed.digest}")
    if not is_kept:
        talk(
            "made from the traces now; it is kept, and its digest with it, a minute and a half after the incident ends"
        )


def _bundle(config: Config, conn: Connection, ref: str) -> tuple[bundle.Packed, bool]:
    """The bundle that was kept, or one that is made now."""
    now_ms, clock = SystemClock().wall_ms(), SystemClock()
    one = find(conn, ref, now_ms=now_ms)
    kept = [row for row in frozen(conn, one.ref if one else ref) if not row.goes_on]
    if kept:
        path = folder_of(config.node.state_dir) / kept[-1].file
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            talk(f"{path} is gone; what is made now has what is still known")
        else:
            if bundle.sha256(content) != kept[-1].sha256:
                raise StoreError(
                    "evidence-altered",
                    f"{path} is not as this node has kept it",
                    context=f"SHA-256 {bundle.sha256(content)}, recorded is {kept[-1].sha256}",
                    hint=f"edge-node line evidence --verify {path} names what differs; a copy may lie elsewhere",
                )
            opened = bundle.unpack(content, name=path.name)
            return bundle.Packed(content=content, sha256=kept[-1].sha256, digest=opened.digest,
                                 previous=opened.previous), True  # fmt: skip
    if one is None:
        raise UsageError(
            "incident-unknown",
            f'there is no incident "{ref}"',
            context=None,
            hint="edge-node line history --since 30d shows them with their ids",
        )
    before = frozen(conn)
    packed = make_bundle(
        conn, one, TraceFolder(config.node.links_dir / "traces"), about_node(config), clock=clock,
        facts=clock_facts(), previous=before[-1].digest if before else bundle.NO_PREVIOUS,
    )  # fmt: skip
    return packed, False


def _verify(where: Where, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError("usage", f"{path} cannot be read", context=error.strerror, hint=None) from error
    opened = bundle.unpack(content, name=path.name)
    answer(f"{path}: incident {opened.incident} of {opened.node}; every file is as its manifest says")
    answer(f"digest {opened.digest}")
    try:
        config = where.load()
    except EdgeError:
        talk("this machine has no node: the digest is not compared with a record; ask the node's operator for it")
        return
    if config.node.id != opened.node:
        talk(f"this machine is {config.node.id}: the digest is not compared with the record of {opened.node}")
        return
    # The file may be one that only the caller can read: so nothing is executed anew, unlike elsewhere.
    _become_owner(config)
    with node_history(config) as conn:
        _compare(conn, opened, path.name)


def _compare(conn: Connection, opened: bundle.Opened, name: str) -> None:
    """With what this node has recorded. Raises StoreError evidence-altered."""
    rows = frozen(conn)
    same = [row for row in rows if row.incident == opened.incident]
    if row := next((row for row in same if row.digest == opened.digest), None):
        before = next((other.digest for other in rows if other.number == row.number - 1), bundle.NO_PREVIOUS)
        if before != opened.previous:
            raise StoreError(
                "evidence-altered",
                "the record of this node is broken: the evidence before is another one than this file names",
                context=f"recorded is {before}, the file names {opened.previous}",
                hint="restore node.db beside (edge-node replica restore) and compare",
            )
        answer(f"it is what this node kept as number {row.number}, and follows the evidence before")
    elif same:
        raise StoreError(
            "evidence-altered",
            f"{name} is whole, but not what this node has kept of incident {opened.incident}",
            context=f"recorded is {', '.join(row.digest for row in same)}",
            hint="it was made before the incident ended, or made up; edge-node line evidence writes what was kept",
        )
    else:
        talk("this node has kept nothing of that incident yet: the digest is not compared")


def _become_owner(config: Config) -> None:
    try:
        owner = config.node.state_dir.stat()
    except FileNotFoundError:
        return
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([owner.st_gid])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
