"""Objects that lie unsealed in a sealed copy: from before it was sealed, or put there by somebody else."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.shipping_bench import Bench, reaches


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


def shipped(home: Path, *, rows_written: int) -> Replicated:
    clinic = make_replicated(home)
    with writing(clinic) as conn, replicating(clinic):
        for number in range(rows_written):
            head = clinic.local_head()
            write_row(conn, random.Random(number))
            clinic.wait_until_captured(beyond=head)
        clinic.wait_until_shipped()
    return clinic


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Replicated:
    """A clinic into whose sealed copy somebody without any recipient has put a whole history of later changes."""
    folder = tmp_path_factory.mktemp("clinics")
    made = shipped(folder / "a", rows_written=3)
    other = shipped(folder / "b", rows_written=8)
    for file in (other.home / "replica" / "e0001" / "his" / "ltx").glob("*/*.ltx"):
        to = made.prefix / f"{int(file.parent.name):04x}" / file.name
        to.parent.mkdir(exist_ok=True)
        shutil.copy2(file, to)
    return made


def test_a_restore_leaves_them_out_and_says_so(clinic: Replicated, tmp_path: Path) -> None:
    identity = str(clinic.identity_file())
    for number, origin in enumerate(("cloud", f"file://{clinic.cloud}")):
        to = tmp_path / f"{number}.db"
        done = replica(clinic, "restore", "--from", origin, "--to", str(to), "--identity", identity)
        assert done.exit_code == 0, done.output
        assert "are not sealed and were left out" in done.stdout
        assert rows(to) == rows(clinic.his)


def test_without_an_identity_nothing_of_it_is_taken_for_the_copy(clinic: Replicated, tmp_path: Path) -> None:
    done = replica(clinic, "restore", "--from", f"file://{clinic.cloud}", "--to", str(tmp_path / "back.db"))
    assert getattr(done.exception, "code", None) == "identity-missing"


def test_who_wants_them_says_so(clinic: Replicated, tmp_path: Path) -> None:
    done = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "back.db"), "--unsealed")
    assert done.exit_code == 0, done.output
    assert len(rows(tmp_path / "back.db")) == 8


def test_a_look_finds_them(clinic: Replicated) -> None:
    identity = str(clinic.identity_file())
    looked = replica(clinic, "verify", "--from", "cloud", "--database", "his", "--identity", identity, "--json")
    assert getattr(looked.exception, "code", None) == "replica-unsound"
    (found,) = json.loads(looked.stdout)
    assert [finding["fault"] for finding in found["findings"]] == ["unsealed"]


def test_a_copy_that_is_sealed_from_now_on_is_shipped_again(tmp_path: Path) -> None:
    """Then what is sealed restores by itself, and what is not may be deleted."""
    bench = Bench(tmp_path)
    bench.write(9, 1, 2)
    bench.write(0, 3, 3)
    bench.ship(reaches(3))
    bench.recipients = (str(pyrage.x25519.Identity.generate().to_public()),)
    bench.write(0, 4, 4)
    report = bench.ship(lambda report: reaches(4)(report) and len(list(bench.there.glob("*/*.age"))) == 3)
    assert report.problems == ()
    assert sorted(path.name[14:16] for path in bench.there.glob("*/*.age")) == ["01", "03", "04"]
