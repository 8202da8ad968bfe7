"""Two machines take the clinic over at once, each through a destination that the other does not see.

When both can see both, exactly one goes on, in an epoch of its own at every destination; the other takes no writes and
lays out all that it has written.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_node.replication.epoch import current_epoch, replica_path
from edge_node.replication.ltx import head, scan
from edge_node.status.superseded import read_superseded
from edge_node.store.connection import close_keeping_wal, connect
from tests.support.owners import NODE, a_wish, made_clinic, promote_command, promoted, shipping
from tests.support.replicated import Replicated, end, start_replicator
from tests.support.waiting import until

NAS = '\n[[replica.destination]]\nname = "nas"\nurl = "file://{folder}/nas"\n'
WITHIN_S = 90.0


def write_icd(clinic: Replicated, mark: str) -> None:
    conn = connect(clinic.his)
    try:
        conn.execute("INSERT INTO icd (code, name, name_en, initials) VALUES (?, '试', 'trial', 's')", (mark,))
    finally:
        close_keeping_wal(conn)


class Supervised:
    """A replicator that is started again when it ends, as `up` and systemd do."""

    def __init__(self, clinic: Replicated) -> None:
        self.clinic, self.starts = clinic, 0
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        if self.process is None or self.process.poll() is not None:
            assert self.process is None or self.process.returncode == 0
            self.process = start_replicator(self.clinic)
            self.starts += 1

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            end(self.process)

    def __enter__(self) -> Supervised:
        return self


@pytest.mark.timeout(400)
@pytest.mark.parametrize("nas_is_behind", [True, False], ids=["one-had-more", "both-had-all"])
def test_exactly_one_goes_on(tmp_path: Path, nas_is_behind: bool) -> None:
    old = made_clinic(tmp_path / "a")
    config = old.home / "edge-node.toml"
    config.write_text(config.read_text() + NAS.format(folder=tmp_path))
    cloud, nas = tmp_path / "cloud", tmp_path / "nas"
    with shipping(old):
        until(lambda: old.destination("nas").get("kit"), within_s=40)
        if nas_is_behind:
            until(lambda: old.destination("nas")["confirmed_txid"] == old.local_head(), within_s=40)
            nas.rename(tmp_path / "nas-away")
        write_icd(old, "T-more")
        old.wait_until_captured(beyond=old.local_head() if nas_is_behind else 1)
        names = ("cloud",) if nas_is_behind else ("cloud", "nas")
        until(lambda: all(old.destination(one)["confirmed_txid"] == old.local_head() for one in names), within_s=40)
    if not nas_is_behind:
        nas.rename(tmp_path / "nas-away")

    # Each sees one of them, and says so.
    said = promote_command(old, tmp_path / "b", cloud=f"file://{cloud}")
    assert said.returncode == 0, said.stderr
    assert "not asked who owns the clinic: nas" in said.stdout
    (tmp_path / "nas-away").rename(nas)
    cloud.rename(tmp_path / "cloud-away")
    cloud.write_text("a folder would be taken for a new destination")
    second = promoted(a_wish(old, tmp_path / "c", cloud=f"file://{nas}"))
    assert second.claim.epoch == 2

    winner, loser = (Replicated(home=tmp_path / name, identity=old.identity) for name in ("b", "c"))
    write_icd(winner, "T-of-b")
    with Supervised(winner) as b, Supervised(loser) as c:
        # It works for a while at the destination that it sees.
        c.look()
        until(lambda: captured(loser) > 0, within_s=60)
        write_icd(loser, "T-of-c")
        until(lambda: loser.destination("nas").get("confirmed_txid", 0) == captured(loser) > 1, within_s=60)
        cloud.unlink()
        (tmp_path / "cloud-away").rename(cloud)

        def turn(condition: Callable[[], object]) -> object:
            b.look()
            c.look()
            return condition()

        until(lambda: turn(lambda: read_superseded(tmp_path / "c")), within_s=WITHIN_S, every_s=0.2)
        # b had more, or claimed first: it goes on everywhere, in an epoch that nobody else has written.
        until(
            lambda: turn(
                lambda: (
                    current_epoch(winner.home) == winner.state().get("epoch") == 3
                    and all(list((store / NODE / "e0003" / "his").rglob("*.age")) for store in (cloud, nas))
                    and all(winner.destination(name).get("state") == "current" for name in ("cloud", "nas"))
                )
            ),
            within_s=WITHIN_S,
            every_s=0.2,
        )
        assert read_superseded(winner.home) is None
        for store in (cloud, nas):
            claim = json.loads((store / NODE / "claims" / "e0003.json").read_bytes())
            assert (claim["from_epoch"], claim["machine"]) == (2, winner_name(winner))
        found = read_superseded(loser.home)
        assert found is not None
        folder = loser.home / "superseded-tail" / f"e{found.epoch:04d}"
        until(lambda: (folder / "tail.json").exists(), within_s=60)
        with (folder / "icd.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert "T-of-c" in [row["code"] for row in rows], rows
        assert "T-of-b" not in [row["code"] for row in rows]
        assert b.starts == 2, "once more, in the new epoch"
        before = sorted(nas.rglob("e0002/**/*"))
        write_icd(loser, "T-late")
        write_icd(winner, "T-on")
        until(lambda: turn(lambda: winner.destination("nas").get("state") == "current"), within_s=30)
        assert sorted(nas.rglob("e0002/**/*")) == before, "the loser ships nothing any more"
    third = promoted(a_wish(winner, tmp_path / "d", cloud=f"file://{nas}"))
    assert (third.claim.epoch, third.claim.from_epoch) == (4, 3)
    conn = connect(tmp_path / "d" / "data" / "his.db")
    marks = {row[0] for row in conn.execute("SELECT code FROM icd WHERE name_en = 'trial'")}
    conn.close()
    assert {"T-more", "T-of-b"} <= marks
    assert "T-of-c" not in marks


def captured(machine: Replicated) -> int:
    """The newest TXID of its second epoch."""
    return head(scan(replica_path(machine.home / "replica", 2, "his")))


def winner_name(machine: Replicated) -> str:
    """Both run on this machine: its name stands in every claim."""
    claims = [json.loads(path.read_bytes()) for path in machine.home.parent.glob("cloud/*/claims/e0002.json")]
    return str(claims[0]["machine"])


def test_who_can_ask_the_other_destination_claims_beyond_it(tmp_path: Path) -> None:
    """The second one sees the first one's claim where both can be asked: then the later decision holds, at once."""
    old = made_clinic(tmp_path / "a")
    config = old.home / "edge-node.toml"
    config.write_text(config.read_text() + NAS.format(folder=tmp_path))
    with shipping(old):
        until(lambda: old.destination("nas").get("kit") and old.destination("nas")["state"] == "current", within_s=40)
    said = promote_command(old, tmp_path / "b", cloud=f"file://{tmp_path}/cloud")
    assert "this machine becomes: epoch 2" in said.stdout
    assert "another destination" not in said.stdout and "not asked" not in said.stdout
    said = promote_command(old, tmp_path / "c", cloud=f"file://{tmp_path}/nas")
    assert said.returncode == 0, said.stderr
    assert "this machine becomes: epoch 3" in said.stdout
    assert "another destination knows epoch 2: " in said.stdout
    assert not (tmp_path / "nas" / NODE / "claims" / "e0002.json").exists()
    assert (tmp_path / "nas" / NODE / "claims" / "e0003.json").exists()
