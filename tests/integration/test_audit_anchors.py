"""The audit log's head at a destination: a log written anew, its own chain whole, is found by it and not without."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import EdgeError, ExitCode
from edge_node.cli.main import Where, cli
from edge_node.his.audit import NO_HASH, chain_hash
from edge_node.his.staff.model import Role
from edge_node.replication import anchor_keeper
from edge_node.replication.anchor_keeper import AnchorKeeper, LogOfDatabase
from edge_node.replication.anchors import Anchor, Compared, Head, anchors_prefix
from edge_node.replication.claims import claim_epoch
from edge_node.replication.destination import Destination, DestinationFailed
from edge_node.replication.epoch import Epoch, make_claim
from edge_node.replication.litestream import ControlSocket
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer
from edge_node.replication.shipping_record import ShippingRecord
from edge_node.store.connection import Connection
from edge_node.store.copies import copy_database
from tests.support.his import His, a_his
from tests.support.s3 import BUCKET, S3Server, s3_server

DAY = 86_400.0
NODE = "clinic-0042"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("moto"), "moto") as server:
        yield server


@dataclass
class Place:
    """A destination, how a command is told of it, and a HIS whose log is noted there; `captured` is the newest TXID."""

    his: His
    url: str
    access: S3Access | None
    reached: int = 10**9

    @property
    def home(self) -> Path:
        return self.his.context.db_path.parents[1]

    def destination(self) -> Destination:
        return Destination("cloud", self.url, Sealer(()), s3=self.access)

    def options(self) -> list[str]:
        if self.access is None:
            return []
        return [
            "--endpoint",
            str(self.access.endpoint),
            "--region",
            "us-east-1",
            "--credential",
            str(self.access.credential),
        ]

    async def head(self) -> Head | None:
        row = self.his.conn.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
        return Head(seq=row["seq"], hash=bytes(row["hash"]).hex(), txid=row["seq"] + 100) if row else None

    async def beside(self, anchors: Iterable[Anchor]) -> Compared | None:
        return anchor_keeper.log_beside(self.his.context.db_path, anchors)

    def record(self) -> ShippingRecord:
        return ShippingRecord(self.home / "shipping/cloud.json")

    def keeper(self, destination: Destination, record: ShippingRecord, *, epoch: int = 1) -> AnchorKeeper:
        return AnchorKeeper(
            destination, record, node_id=NODE, epoch=epoch, log=self, frontier=lambda: self.reached,
            clock=self.his.clock,
        )  # fmt: skip

    def notes(self, *, turns: int = 2, epoch: int = 1) -> list[str]:
        """A replicator starts, claims and looks; what lies there then."""

        async def story() -> list[str]:
            destination = self.destination()
            try:
                await destination.open(known=False)
                mine = make_claim(Epoch(number=epoch, nonce=f"n{epoch}"), node_id=NODE, from_txid=1, now_ms=1)
                await claim_epoch(destination, mine)
                record = self.record()
                record.mark_known()
                keeper = self.keeper(destination, record, epoch=epoch)
                for _ in range(turns):
                    await keeper.turn()
                record.save()
                return [item.key.rpartition("/")[2] for item in await destination.list(anchors_prefix(NODE))]
            finally:
                await destination.close()

        return asyncio.run(story())

    def works(self, times: int = 3) -> None:
        for _ in range(times):
            self.his.sign_in("gu", client=self.his.browser())

    def verify(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["audit", "verify", *arguments], obj=Where(home=self.home))

    def against(self, *arguments: str) -> Result:
        return self.verify("--against", self.url, *self.options(), *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Place]:
    data = tmp_path / "node/data"
    data.mkdir(parents=True)
    (tmp_path / "node/edge-node.toml").write_text(f'[node]\nid = "{NODE}"\n[replica]\nplain = true\n')
    with a_his(data) as his:
        his.add_staff("gu", Role.ADMIN)
        yield Place(his=his, url=f"file://{tmp_path}/cloud", access=None)


@pytest.fixture(params=["folder", "moto"])
def place(request: pytest.FixtureRequest, folder: Place, tmp_path: Path) -> Place:
    if request.param == "folder":
        return folder
    server: S3Server = request.getfixturevalue("moto")
    return replace(folder, url=f"s3://{BUCKET}/{tmp_path.name}", access=server.access())


def copied(his: His, to: Path) -> None:
    """The database as a restore gives it: one file."""
    copy_database(his.context.db_path, to)


def write_anew(his: His, seq: int) -> None:
    """What somebody does who wants one row to be another: all later ones hashed again, and the triggers back."""

    def work(conn: Connection) -> None:
        triggers = conn.execute("SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'audit_log' AND type = 'trigger'")
        kept = triggers.fetchall()
        for trigger in kept:
            conn.execute(f"DROP TRIGGER {trigger['name']}")
        conn.execute("UPDATE audit_log SET station = 'elsewhere' WHERE seq = ?", (seq,))
        previous = NO_HASH
        for row in conn.execute("SELECT * FROM audit_log ORDER BY seq").fetchall():
            values = {key: row[key] for key in row.keys() if key not in ("previous_hash", "hash")}  # noqa: SIM118 (a Row)
            own = chain_hash(previous, values)
            conn.execute("UPDATE audit_log SET previous_hash = ?, hash = ? WHERE seq = ?", (previous, own, row["seq"]))
            previous = own
        for trigger in kept:
            conn.execute(trigger["sql"])

    his.write(work)


def test_a_day_has_one_anchor_and_a_log_that_fits_is_said_so(place: Place) -> None:
    assert place.notes() == [], "there is no row yet"
    place.works()
    assert place.notes() == ["2026-11-18-e0001.json"] == place.notes()
    place.his.clock.advance(2 * DAY)
    place.works()
    assert place.notes() == ["2026-11-18-e0001.json", "2026-11-20-e0001.json"]
    place.works()
    said = place.against()
    assert said.exit_code == 0, said.output
    assert "2 of 2 anchors" in said.stdout and "up to row 6 was written anew" in said.stdout
    assert "without an anchor: 2026-11-19" in said.stdout
    document = json.loads(place.against("--json").stdout)["against"]
    assert (document["fitting"], document["differing"], document["as_noted_up_to"]["seq"]) == (2, [], 6)


def test_a_row_that_the_destination_lacks_is_not_noted_yet(place: Place) -> None:
    place.works()
    place.reached = 102
    assert place.notes() == []
    place.reached = 103
    assert place.notes() == ["2026-11-18-e0001.json"]


def test_a_log_written_anew_is_found_against_its_anchors_and_not_without(place: Place, tmp_path: Path) -> None:
    for _ in range(3):
        place.works()
        place.notes()
        place.his.clock.advance(DAY)
    before, copy = tmp_path / "before.db", tmp_path / "restored.db"
    copied(place.his, before)
    write_anew(place.his, 5)
    alone = place.verify()
    assert alone.exit_code == 0 and "the audit log is whole: 9 rows" in alone.output, "its own chain knows nothing"
    found = place.against()
    assert isinstance(found.exception, EdgeError), found.output
    assert (found.exception.code, found.exception.exit_code) == ("audit-rewritten", ExitCode.DATA)
    text = found.exception.render()
    assert "row 6 is not the one that was noted on 2026-11-19" in text
    assert "one of 4 to 6" in text and "up to row 3 it is as it was noted on 2026-11-18" in text
    assert "written anew after 2026-11-20" in text
    # The next day's anchor is of the new rows, and tells when it happened.
    place.works()
    place.notes()
    assert "written anew before 2026-11-21" in str(place.against().exception.render())  # type: ignore[union-attr]
    document = json.loads(place.against("--json").stdout)["against"]
    assert [one["seq"] for one in document["differing"]] == [6, 9]
    assert document["trusted_since"].startswith("2026-11-21") and document["as_noted_up_to"]["seq"] == 3
    # A restored copy, on a machine without anything of ours, as an auditor has it.
    copied(place.his, copy)
    bare = CliRunner().invoke(
        cli, ["audit", "verify", "--file", str(copy), "--against", place.url, *place.options()],
        obj=Where(home=tmp_path / "nowhere"),
    )  # fmt: skip
    assert isinstance(bare.exception, EdgeError) and bare.exception.code == "audit-rewritten"
    # Beside an earlier copy the very row is named.
    named = place.verify("--file", str(copy), "--against", str(before))
    assert isinstance(named.exception, EdgeError)
    assert "row 5 is not the one in" in named.exception.render() and "the 4 rows before it" in named.exception.render()


def test_a_log_written_anew_is_told_before_todays_anchor_hides_it(place: Place) -> None:
    place.works()
    place.notes()
    assert (noted := place.record().noted) is not None and noted.seq == 3 and place.record().contradicted is None
    write_anew(place.his, 2)
    for day in range(2):
        place.his.clock.advance(DAY)
        place.works()
        place.notes()
        record = place.record()
        assert record.contradicted == noted, "what was noted since fits, and says nothing of it"
        assert record.noted is not None and record.noted.seq == 6 + 3 * day


def test_a_log_that_is_cut_off_is_told_and_one_that_is_whole_again_is_not(place: Place) -> None:
    place.works()
    place.notes()

    def cut(conn: Connection) -> None:
        conn.execute("ALTER TABLE audit_log RENAME TO kept")
        conn.execute("CREATE TABLE audit_log AS SELECT * FROM kept WHERE seq < 3")

    def mend(conn: Connection) -> None:
        conn.execute("DROP TABLE audit_log")
        conn.execute("ALTER TABLE kept RENAME TO audit_log")

    place.his.write(cut)
    place.notes()
    assert (bad := place.record().contradicted) is not None and bad.seq == 3
    place.his.write(mend)
    place.notes()
    assert place.record().contradicted is None


def test_rows_of_an_epoch_before_need_not_be_here(place: Place) -> None:
    place.works()
    place.notes()
    write_anew(place.his, 2)
    place.notes(epoch=2)
    assert place.record().contradicted is None


def test_a_lost_database_has_no_head_and_ends_nobody(tmp_path: Path) -> None:
    log = LogOfDatabase(tmp_path / "his.db", ControlSocket(tmp_path / "socket"))
    assert asyncio.run(log.head()) is None
    assert asyncio.run(log.beside([])) is None


def test_a_log_that_ends_too_early_is_broken_here_and_older_elsewhere(place: Place, tmp_path: Path) -> None:
    place.works()
    early = tmp_path / "early.db"
    copied(place.his, early)
    place.works()
    place.notes()
    older = place.verify("--file", str(early), "--against", place.url, *place.options())
    assert older.exit_code == 0 and "it is an older state, or its end was cut off" in older.output

    def cut(conn: Connection) -> None:
        conn.execute("DROP TRIGGER audit_log_kept_too")
        conn.execute("DELETE FROM audit_log WHERE seq > 4")
        conn.execute("UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit_log'")

    place.his.write(cut)
    assert place.verify().exit_code == 0
    found = place.against()
    assert isinstance(found.exception, EdgeError) and "ends before row 6" in found.exception.render()


def test_where_nothing_was_noted_it_is_said_and_nothing_is_accused(place: Place) -> None:
    place.works()
    place.reached = 0
    place.notes()
    said = place.against()
    assert said.exit_code == 0 and "there is no anchor at" in said.output


def test_files_that_somebody_brought_are_compared_too(tmp_path: Path, folder: Place) -> None:
    place, brought = folder, tmp_path / "cloud" / NODE
    place.works()
    place.notes()
    for against in (brought, brought / "anchors", next((brought / "anchors").iterdir())):
        said = place.verify("--against", str(against))
        assert said.exit_code == 0 and "1 of 1 anchors" in said.output, said.output
    (brought / "anchors" / "2026-11-19-e0001.json").write_text("{}")
    said = place.verify("--against", f"file://{tmp_path}/cloud")
    assert said.exit_code == 0 and "not readable as anchors" in said.output
    unknown = place.verify("--against", "no-such-place")
    assert isinstance(unknown.exception, EdgeError) and "no destination, file or folder" in unknown.exception.render()


def test_a_destination_that_is_away_is_asked_again(tmp_path: Path, folder: Place) -> None:
    folder.works()

    async def story() -> None:
        destination = folder.destination()
        await destination.open(known=False)
        keeper = folder.keeper(destination, folder.record())
        (tmp_path / "cloud").rename(tmp_path / "away")
        with pytest.raises(DestinationFailed):
            await keeper.turn()
        (tmp_path / "away").rename(tmp_path / "cloud")
        await keeper.turn()
        assert len(await destination.list(anchors_prefix(NODE))) == 1
        await destination.close()

    asyncio.run(story())


def test_the_commands_of_the_readme_need_nothing_of_ours(folder: Place, tmp_path: Path) -> None:
    readme = (Path(anchor_keeper.__file__).parent / "README.md").read_text(encoding="utf-8")
    program = readme.partition("<<'CHAIN'\n")[2].partition("CHAIN\n")[0]
    folder.works()
    folder.notes()
    copy, altered = tmp_path / "his.db", tmp_path / "altered.db"
    copied(folder.his, copy)
    said = subprocess.run([sys.executable, "-I", "-c", program, copy], capture_output=True, text=True, check=True)
    [noted] = (tmp_path / "cloud" / NODE / "anchors").iterdir()
    assert json.loads(noted.read_bytes())["hash"] in said.stdout
    folder.his.write(lambda conn: conn.execute("DROP TRIGGER audit_log_kept"))
    folder.his.write(lambda conn: conn.execute("UPDATE audit_log SET station = 'elsewhere' WHERE seq = 2"))
    copied(folder.his, altered)
    refused = subprocess.run([sys.executable, "-I", "-c", program, altered], capture_output=True, text=True)
    assert refused.returncode and "row 2 does not fit" in refused.stderr
