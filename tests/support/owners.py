"""A clinic whose machine is replaced: a training node, its copies, and the promotion of another machine from them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_node.cli import init
from edge_node.cli.promotion import Promoted, Wish, look, promote
from edge_node.config.load import load
from edge_node.replication.destination import Destination
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer, read_identity
from edge_node.store.connection import connect_reader
from tests.support.replicated import Replicated, replicating
from tests.support.s3 import BUCKET, S3Server, write_key
from tests.support.waiting import until

NODE = init.TRAINING_ID


def made_clinic(home: Path, server: S3Server | None = None) -> Replicated:
    """A new training clinic that ships to the folder beside its home, or to a bucket."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        init.first_start(home, node_id=NODE, name=init.TRAINING_NAME, admin="admin", training=True)
    found = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", said.getvalue())
    assert found
    config = home / "edge-node.toml"
    where = f'url = "{url(home, server)}"'
    if server is not None:
        write_key(home / "credentials" / "cloud-key")
        where += f'\nendpoint = "{server.endpoint}"\ncredential = "cloud-key"'
    config.write_text(re.sub(r'url = "file://[^"]+"', where, config.read_text(), count=1))
    load(config, home=home)
    return Replicated(home=home, identity=found[0])


def url(home: Path, server: S3Server | None = None) -> str:
    return f"s3://{BUCKET}/{home.parent.name}" if server else f"file://{home.parent}/cloud"


@contextmanager
def shipping(clinic: Replicated) -> Iterator[subprocess.Popen[bytes]]:
    """Its replicator, once it has shipped everything, the recovery kit among it."""
    with replicating(clinic) as process:
        until(lambda: clinic.destination().get("kit"), within_s=30)
        clinic.wait_until_shipped()
        yield process


def a_wish(clinic: Replicated, home: Path, *, cloud: str | None = None, server: S3Server | None = None) -> Wish:
    """To promote the machine whose folder is `home`."""
    origin = cloud or url(clinic.home, server)
    access = server.access() if server else S3Access()
    return Wish(
        origin=Destination(origin, origin, Sealer(()), s3=access),
        identity=read_identity(clinic.identity_file()),
        node_id=None,
        home=home,
        config_path=home / "edge-node.toml",
        credential=access.credential,
        reason="the machine burnt",
        by="a test",
    )


def promoted(wish: Wish, *, tell: Callable[[str], None] = lambda _step: None) -> Promoted:
    """One run of the promotion."""

    async def run() -> Promoted:
        try:
            return await promote(wish, await look(wish, tries_conditions=True), tell=tell)
        finally:
            await wish.origin.close()

    return asyncio.run(run())


def promote_command(
    clinic: Replicated, home: Path, *more: str, cloud: str | None = None, timeout_s: float = 90
) -> subprocess.CompletedProcess[str]:
    """The command itself, as a process."""
    return subprocess.run(
        promote_argv(clinic, home, *more, cloud=cloud), capture_output=True, text=True, timeout=timeout_s, check=False
    )


def promote_argv(clinic: Replicated, home: Path, *more: str, cloud: str | None = None) -> list[str]:
    origin = cloud or url(clinic.home)
    identity = str(clinic.identity_file())
    common = ("--from", origin, "--identity", identity, "--home", str(home), "--reason", "the machine burnt")
    return [sys.executable, "-m", "edge_node", "replica", "promote", *common, *more]


def another_cloud(clinic: Replicated, to: Path) -> str:
    """A copy of the clinic's folder of copies, with its times."""
    shutil.copytree(clinic.home.parent / "cloud", to)
    return f"file://{to}"


def audited(path: Path, action: str) -> list[str]:
    """The details of the rows of the audit log with this action."""
    with contextlib.closing(connect_reader(path)) as conn:
        rows = conn.execute("SELECT detail FROM audit_log WHERE action = ? ORDER BY seq", (action,))
        return [row["detail"] for row in rows]
