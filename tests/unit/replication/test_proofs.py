"""The small parts of proving: contents, samples, sizes, progress, patience, orders, the clock, records."""

from __future__ import annotations

import asyncio
import json
import random
import struct
from pathlib import Path

import pytest

from edge_node.base.errors import ConfigError
from edge_node.cli.replica_identity import with_recipient
from edge_node.proof_orders import (
    ProofOrderKind,
    new_proof_order,
    place_proof_order,
    read_proof_orders,
    replica_orders,
)
from edge_node.replication.clock_watch import ClockWatch
from edge_node.replication.destination import CopyState, DestinationFailed
from edge_node.replication.drill import Check, Drilled, Outcome
from edge_node.replication.drill_record import keep_drill, read_record, shown
from edge_node.replication.ltx import LtxFile
from edge_node.replication.ltx_content import check_content, lz4_block
from edge_node.replication.patience import patiently
from edge_node.replication.progress import Progress, Step
from edge_node.replication.restored import Restored
from edge_node.replication.sealing import Identity, Sealer
from edge_node.replication.verify import samples, sealed_size
from tests.support.clock import FakeClock

NOW_MS = 1_800_000_000_000


def crc64(content: bytes) -> int:
    """CRC-64 of ISO 3309, bit by bit, independent of the program's table."""
    value = (1 << 64) - 1
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xD800000000000000 if value & 1 else 0)
    return value ^ (1 << 64) - 1


def an_ltx(page: bytes, *, number: int = 7) -> bytes:
    """One page, stored as an LZ4 block of literals only."""
    header = struct.pack(">4sIIIQQQ", b"LTX1", 0, len(page), 9, 1, 3, NOW_MS) + bytes(60)
    extra, rest = len(page) - 15, b""
    while extra >= 255:
        rest, extra = rest + b"\xff", extra - 255
    block = b"\xf0" + rest + bytes([extra]) + page
    head = struct.pack(">IHI", number, 1, len(block))
    end = bytes(6) + b"index" + bytes(8)
    checksum = crc64(header + head + page + end) | 1 << 63
    return header + head + block + end + checksum.to_bytes(8, "big")


def test_content_is_checked_to_the_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.ltx"
    content = an_ltx(random.Random(1).randbytes(512))
    path.write_bytes(content)
    assert check_content(path) == 1
    for at in (20, 105, 130, 400, len(content) - 20, len(content) - 1):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(ValueError, match=r"checksum|breaks off|page|written"):
            check_content(path)
    for length in (0, 50, 120, len(content) - 9):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"room|breaks off|checksum|page"):
            check_content(path)


@pytest.mark.parametrize(
    ("block", "content"),
    [
        pytest.param(b"\x50hello", b"hello", id="literals"),
        pytest.param(b"\x12a\x01\x00\x10b", b"aaaaaaab", id="a-run"),
        pytest.param(b"\x40abcd\x04\x00\x10e", b"abcdabcde", id="a-repetition"),
    ],
)
def test_lz4(block: bytes, content: bytes) -> None:
    assert lz4_block(block, len(content)) == content
    for wrong in (len(content) - 1, len(content) + 1):
        with pytest.raises(ValueError, match="page"):
            lz4_block(block, wrong)


@pytest.mark.parametrize("size_bytes", [1, 100, 65_535, 65_536, 65_537, 300_000])
def test_a_sealed_object_is_as_large_as_is_believed(size_bytes: int) -> None:
    for recipients in (1, 2, 4):
        sealer = Sealer([str(Identity.generate().to_public()) for _ in range(recipients)])
        least, most = sealed_size(size_bytes)
        assert least <= len(sealer.seal(bytes(size_bytes))) <= most


def test_samples_hold_both_ends_and_come_to_all_in_time() -> None:
    files = [LtxFile(level=0, min_txid=n, max_txid=n, size_bytes=9) for n in range(1, 60)]
    chain = files[20:]
    seen = set()
    for day in range(120):
        drawn = samples(files, chain, day=f"day {day}")
        assert drawn == samples(files, chain, day=f"day {day}")
        assert {files[0], chain[0], chain[-1]} <= set(drawn)
        assert len(drawn) <= 9
        seen |= set(drawn)
    assert seen == set(files)


@pytest.mark.parametrize(
    ("done", "elapsed_s", "said"),
    [
        pytest.param(10_000_000, 1.0, "fetching: 10.0 MB of 100.0 MB", id="too-early-for-a-rate"),
        pytest.param(25_000_000, 10.0, "fetching: 25.0 MB of 100.0 MB, 30 s left", id="a-rate"),
        pytest.param(101_000_000, 10.0, "fetching: 100.0 MB of 100.0 MB, 0 s left", id="a-little-more-than-said"),
        pytest.param(0, 10.0, "fetching: 0 B of 100.0 MB", id="nothing-yet"),
    ],
)
def test_progress_says_how_long(done: int, elapsed_s: float, said: str) -> None:
    progress = Progress(step=Step.FETCHING, done_bytes=done, total_bytes=100_000_000, elapsed_s=elapsed_s)
    assert progress.sentence() == said


def test_a_silent_store_is_asked_again_as_long_as_something_arrives() -> None:
    story = iter([5, 5, 9, 9, 9, 12])  # what lies there at each failure
    have, tries = 0, 0

    async def work() -> None:
        nonlocal have, tries
        tries += 1
        have = next(story)
        raise DestinationFailed(CopyState.UNREACHABLE, "silent", context=None)

    with pytest.raises(DestinationFailed):
        asyncio.run(patiently(work, waits_s=(0.0, 0.0), moved=lambda: have))
    # 5 (new), 5, 9 (new), 9, 9: two waits without anything new, and it is over.
    assert tries == 5


def test_who_refuses_is_not_asked_again() -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        raise DestinationFailed(CopyState.REFUSED, "no", context=None)

    with pytest.raises(DestinationFailed):
        asyncio.run(patiently(work, waits_s=(0.0,)))
    assert tries == 1


def test_orders_run_out_and_what_is_not_understood_is_left_out(tmp_path: Path) -> None:
    path = replica_orders(tmp_path)
    assert read_proof_orders(path, now_ms=NOW_MS) == ()
    drill = new_proof_order(ProofOrderKind.DRILL, now_ms=NOW_MS, for_s=60, by="li", why="weekly", destination="cloud")
    place_proof_order(path, drill, now_ms=NOW_MS)
    look = new_proof_order(ProofOrderKind.VERIFY, now_ms=NOW_MS, for_s=3600, by="li", why="")
    place_proof_order(path, look, now_ms=NOW_MS)
    assert read_proof_orders(path, now_ms=NOW_MS) == (drill, look)
    assert read_proof_orders(path, now_ms=NOW_MS + 61_000) == (look,)
    document = json.loads(path.read_bytes())
    document["orders"][0]["kind"] = "dance"
    path.write_text(json.dumps(document))
    assert read_proof_orders(path, now_ms=NOW_MS) == (look,)
    for broken in ("", "[]", '{"schema": 2, "orders": []}', '{"schema": 1, "orders": 3}', "[" * 100_000):
        path.write_text(broken)
        assert read_proof_orders(path, now_ms=NOW_MS) == ()


def a_drill(outcome: Outcome, *, at_ms: int = NOW_MS) -> Drilled:
    return Drilled(
        source="cloud", at_ms=at_ms, outcome=outcome, rto_s=4.2, txid=7, newest_at_ms=at_ms - 60_000,
        checks=(Check(name="restore", outcome=outcome, text="seen"),),
    )  # fmt: skip


def test_the_last_good_drill_outlives_a_bad_one(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "proofs.json"
    assert set(shown(read_record(path), "cloud").values()) == {None}
    keep_drill(path, "cloud", a_drill(Outcome.OK), order="a1")
    keep_drill(path, "cloud", a_drill(Outcome.FAILED, at_ms=NOW_MS + 1000))
    found = shown(read_record(path), "cloud")
    assert found["last_drill"]["outcome"] == "failed"
    assert found["last_drill_ok"] == {"at": "2027-01-15T08:00:00.000Z", "rto_s": 4.2}
    assert read_record(path)["orders"] == ["a1"]
    path.write_text("{")
    assert read_record(path)["destinations"] == {}


def test_a_failed_drill_says_how_far_back_the_last_good_point_lies() -> None:
    assert a_drill(Outcome.FAILED).sentence() == (
        "cloud: failed: seen (the last good point is TXID 7, 2027-01-15T07:59:00.000Z, 1 min before the drill)"
    )
    assert not a_drill(Outcome.SKIPPED).is_ok


def test_a_restore_that_walked_back_is_not_whole() -> None:
    done = Restored(
        path=Path("/x.db"), source="cloud", txid=9, newest_at_ms=NOW_MS, files=2, size_bytes=200, hole=None,
        wanted_txid=12, wanted_at_ms=NOW_MS + 90_000, unsound=("0000/x.ltx",),
    )  # fmt: skip
    assert not done.is_whole
    assert "TXIDs 10 to 12 are not in it, the last 1 min of changes" in done.sentence()


@pytest.mark.parametrize(
    ("by_s", "code"),
    [
        pytest.param(-3 * 3600, "clock-set-back", id="three-hours-back"),
        pytest.param(86_400, "clock-set-ahead", id="a-day-ahead"),
        pytest.param(20, None, id="a-correction"),
    ],
)
def test_a_jump_of_the_clock_is_told_until_it_is_taken_back(by_s: int, code: str | None) -> None:
    clock = FakeClock()
    watch = ClockWatch(clock)
    clock.advance(30)
    watch.turn()
    assert watch.problems() == []
    clock.step_wall(by_s)
    watch.turn()
    assert [problem["code"] for problem in watch.problems()] == ([code] if code else [])
    clock.advance(3600)
    watch.turn()
    assert bool(watch.problems()) is (code is not None)
    clock.step_wall(-by_s)
    watch.turn()
    assert watch.problems() == []


def test_a_jump_that_stays_is_told_for_a_day() -> None:
    clock = FakeClock()
    watch = ClockWatch(clock)
    clock.step_wall(7200)
    watch.turn()
    clock.advance(86_000)
    watch.turn()
    assert watch.problems()
    clock.advance(1000)
    watch.turn()
    assert not watch.problems()


def test_a_recipient_takes_the_place_of_the_old_one() -> None:
    text = '[replica]\nencrypt_to = ["age1recovery", "age1old"]  # two\n'
    assert with_recipient(text, "age1new", instead_of=["age1gone", "age1old"]) == text.replace("age1old", "age1new")
    assert with_recipient(text, "age1new", instead_of=[]) == text.replace('["age1rec', '["age1new", "age1rec')
    with pytest.raises(ConfigError):
        with_recipient("[replica]\n", "age1new", instead_of=[])
