"""Who promotes from one destination is told that another holds more: afterwards it would be in no database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge_node.cli.elsewhere import Elsewhere, Reach, look_elsewhere
from edge_node.replication.destination import Destination
from edge_node.replication.sealing import Sealer
from edge_node.store.connection import close_keeping_wal, connect
from tests.support.owners import NODE, made_clinic, promote_command, shipping, url
from tests.support.replicated import Replicated, replicating
from tests.support.waiting import until


def asked(clinic: Replicated, origin: str) -> Elsewhere:
    async def ask() -> Elsewhere:
        there = Destination(origin, origin, Sealer(()))
        await there.open_to_read()
        return await look_elsewhere(there, clinic.config)

    return asyncio.run(ask())


def test_a_destination_that_holds_more_is_named(tmp_path: Path) -> None:
    clinic = made_clinic(tmp_path / "a")
    nas = tmp_path / "nas"
    with (clinic.home / "edge-node.toml").open("a") as config:
        config.write(f'\n[[replica.destination]]\nname = "nas"\nurl = "file://{nas}"\n')
    with shipping(clinic):
        until(lambda: clinic.destination("nas").get("confirmed_txid") == clinic.local_head())
    assert asked(clinic, url(clinic.home)) == Elsewhere(highest=1)
    # While the cloud is away.
    cloud = tmp_path / "cloud"
    cloud.rename(tmp_path / "away")
    before = clinic.local_head()
    with replicating(clinic):
        conn = connect(clinic.his)
        conn.execute("INSERT INTO icd (code, name, name_en, initials) VALUES ('X99', '试', 'trial', 's')")
        close_keeping_wal(conn)
        until(lambda: int(clinic.destination("nas").get("confirmed_txid") or 0) > before)
    (tmp_path / "away").rename(cloud)
    head = clinic.local_head()
    ahead = Reach(name="nas", url=f"file://{nas}", epoch=1, txid=head)
    assert asked(clinic, url(clinic.home)) == Elsewhere(highest=1, ahead=(ahead,))
    assert asked(clinic, f"file://{nas}").ahead == ()
    said = promote_command(clinic, tmp_path / "b", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert f"nas holds more of the clinic, epoch 1 up to TXID {head}" in said.stdout
    assert f"--from file://{nas}" in said.stdout
    assert NODE in said.stdout
