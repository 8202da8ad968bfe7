"""The pure parts of the service `links`: from the configuration, into the status file, and its journal's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.base.clock import parse_utc
from edge_node.config.load import parse
from edge_node.services.line_record import Journal, LineRecord, last_seq
from edge_node.services.line_report import utc_of
from edge_node.services.line_settings import setup_of
from failover.core.model import Code, FailbackKind, Mode, Reason, Role, State, Verdict
from failover.probes.outcome import Outcome, Sample
from failover.setup import Act, ProbeKind, Target
from failover.watcher import Judged, Move
from tests.support.clock import FakeClock
from tests.support.waiting import until

CONFIGURATION = Path(__file__).parent / "config/contract_section_3.toml"


def test_the_contract_s_own_lines() -> None:
    setup = setup_of(parse(CONFIGURATION.read_text(encoding="utf-8"), source="contract"))
    (line,), (route,) = setup.policy.lines, setup.layout.lines
    assert setup.act is Act.OBSERVE and setup.policy.offline_after_s == 3.0
    assert (line.name, line.preferred, line.failback.kind, line.detect.dead_after_s) == (
        "telecom", 1, FailbackKind.AUTO, 1.0,
    )  # fmt: skip
    assert (route.address, route.gateway, route.table, route.mark) == ("10.1.1.2", "10.1.1.1", 101, 1)
    assert setup.targets_of("telecom") == (Target(address="10.100.0.1", kind=ProbeKind.ICMP, role=Role.CLOUD),)
    layout = setup.layout
    assert (layout.table, layout.protocol, layout.rule_preference, layout.service_ip, layout.cloud_prefixes) == (
        100, 222, 500, "10.9.0.1", ("10.100.0.0/24",),
    )  # fmt: skip


def test_boot_time_as_utc() -> None:
    utc = utc_of(1_795_000_000_000)
    assert parse_utc(utc(12.345)) == 1_795_000_012_345


def row(seq: int) -> bytes:
    return json.dumps({"seq": seq, "why": "x" * 50}).encode() + b"\n"


@pytest.mark.parametrize(
    "content, seq, kept",
    [
        pytest.param(b"", 0, b"", id="empty"),
        pytest.param(row(1) + row(2), 2, row(1) + row(2), id="whole"),
        pytest.param(row(1) + row(2)[:-1], 1, row(1), id="without-its-end"),
        pytest.param(row(1) + b'{"seq": 2, "wh', 1, row(1), id="torn"),
        pytest.param(row(1) + bytes(300), 1, row(1), id="zeros-of-a-power-cut"),
        pytest.param(row(1) + b"\0\0\n" + bytes(9), 1, row(1), id="zeros-and-an-end"),
        pytest.param(b"torn", 0, b"", id="nothing-but-torn"),
        pytest.param(b"".join(map(row, range(1, 3000))) + b"{", 2999, b"".join(map(row, range(1, 3000))), id="long"),
    ],
)
def test_numbers_go_on_and_a_torn_end_is_cut_off(tmp_path: Path, content: bytes, seq: int, kept: bytes) -> None:
    path = tmp_path / "transitions.jsonl"
    path.write_bytes(content)
    assert last_seq(path) == seq
    assert path.read_bytes() == kept
    Journal(path).append({"kind": "mode"})
    assert json.loads(path.read_bytes().splitlines()[-1])["seq"] == seq + 1


@settings(deadline=None, max_examples=50)  # each example waits for the disk
@given(st.binary(max_size=200))
def test_no_file_breaks_the_journal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("journal") / "transitions.jsonl"
    path.write_bytes(content)
    journal = Journal(path)
    journal.append({"kind": "mode"})
    assert json.loads(path.read_bytes().splitlines()[-1])["kind"] == "mode"


def test_a_journal_that_grew_too_large_keeps_its_newer_half(tmp_path: Path) -> None:
    path = tmp_path / "transitions.jsonl"
    journal = Journal(path, largest_bytes=4_000)
    for _ in range(200):
        journal.append({"why": "x" * 50})
        assert path.stat().st_size <= 4_000 + 100
    numbers = [json.loads(line)["seq"] for line in path.read_bytes().splitlines()]
    assert numbers == list(range(numbers[0], 201)) and len(numbers) > 25
    assert last_seq(path) == 200


def move(at: float) -> Move:
    before = State(mode=Mode.ONLINE, line="telecom", routed="telecom")
    after = State(mode=Mode.BACKUP, line="unicom", routed="unicom")
    return Move(at=at, before=before, after=after, reason=Reason(Code.LINE_DOWN, line="telecom", cause="silent"))


def test_what_the_disk_does_not_take_waits_and_is_written_later(tmp_path: Path) -> None:
    clock = FakeClock()
    folder = tmp_path / "links"
    folder.write_text("a file where the folder should be")
    record = LineRecord(folder, clock)
    record.start()
    record.moved(move(clock.boottime()))
    until(record.problems)
    assert record.problems()[0]["code"] == "transitions-not-written"
    folder.unlink()
    silent = Reason(Code.SILENT, silent_s=1.0, targets=2)
    record.judged(Judged(at=clock.boottime(), line="telecom", before=Verdict.UP, after=Verdict.DOWN, reason=silent))
    record.sample(Sample(999.0, "telecom", "10.100.0.1", Outcome.ANSWERED, 0.01))
    record.stop(within_s=5)
    rows = [json.loads(line) for line in (folder / "transitions.jsonl").read_bytes().splitlines()]
    assert [(row["seq"], row["kind"]) for row in rows] == [(1, "mode"), (2, "verdict")]
    assert (rows[0]["from_line"], rows[0]["to_line"], rows[0]["reason"]["code"]) == ("telecom", "unicom", "line-down")
    assert record.problems() == [] and list((folder / "traces").iterdir())
    assert record.switches.samples() == [{"labels": ["telecom", "unicom", "line-down"], "value": 1.0}]
