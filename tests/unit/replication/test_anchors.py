"""What anchors of the audit log prove: rows that fit, rows written anew, and what a later machine never had."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edge_node.replication.anchors import (
    Anchor,
    Head,
    compare,
    daily_key,
    drill_key,
    line_of,
    make_anchor,
    missing_days,
    parse_anchor,
)
from edge_node.replication.epoch import Claim

DAY_MS, FIRST_MS = 86_400_000, 1_793_664_000_000  # 2026-11-03


def digest(seq: int, written: str = "first") -> str:
    return f"{written}-{seq}".encode().hex().ljust(64, "0")


def an_anchor(day: int, seq: int, *, epoch: int = 1, txid: int | None = None, written: str = "first") -> Anchor:
    head = Head(seq=seq, hash=digest(seq, written), txid=txid or seq)
    return make_anchor(head, node_id="clinic-0042", epoch=epoch, now_ms=FIRST_MS + day * DAY_MS, why="daily")


def a_log(rows: int, *, anew_from: int | None = None) -> dict[int, str]:
    return {seq: digest(seq, "anew" if anew_from and seq >= anew_from else "first") for seq in range(1, rows + 1)}


DAILY = [an_anchor(day, 10 * (day + 1)) for day in range(5)]


def test_a_log_as_it_was_fits() -> None:
    found = compare(DAILY, a_log(55), rows=55)
    assert found.fitting == tuple(DAILY) and not (found.differing or found.beyond or found.aside)
    assert (found.last_good, found.trusted_since) == (DAILY[-1], DAILY[0])


def test_a_log_that_was_written_anew_differs_from_there_on() -> None:
    found = compare(DAILY, a_log(55, anew_from=24), rows=55)
    assert found.differing == tuple(DAILY[2:])
    assert (found.last_good, found.first_bad, found.trusted_since) == (DAILY[1], DAILY[2], None)


def test_what_was_noted_after_it_was_written_anew_fits_again() -> None:
    """Somebody did it on the third day at noon: only the anchors in between know."""
    noted = [*DAILY[:3], an_anchor(3, 40, written="anew"), an_anchor(4, 50, written="anew")]
    found = compare(noted, a_log(55, anew_from=24), rows=55)
    assert found.differing == (noted[2],)
    assert (found.last_good, found.first_bad, found.trusted_since) == (noted[1], noted[2], noted[3])


def test_a_log_that_was_cut_off_ends_before_what_was_noted() -> None:
    found = compare(DAILY, a_log(35), rows=35)
    assert (found.beyond, found.differing) == (tuple(DAILY[3:]), ())


def test_a_row_that_is_missing_in_the_middle_differs() -> None:
    hashes = a_log(55)
    del hashes[30]
    assert compare(DAILY, hashes, rows=55).first_bad == DAILY[2]


def a_claim(epoch: int, from_epoch: int | None = None, from_txid: int = 0) -> Claim:
    return Claim(
        schema=1, node="clinic-0042", epoch=epoch, machine="m", claimed_at="2026-11-03T00:00:00.000Z",
        from_txid=from_txid, nonce="n", from_epoch=from_epoch,
    )  # fmt: skip


@pytest.mark.parametrize(
    "claims, expected",
    [
        pytest.param([], {}, id="nobody"),
        pytest.param([a_claim(1)], {}, id="one-machine"),
        pytest.param([a_claim(1), a_claim(2, 1, 30)], {1: 30}, id="a-second-took-over"),
        pytest.param([a_claim(1), a_claim(2, 1, 30), a_claim(3, 2, 9)], {1: 30, 2: 9}, id="and-a-third"),
        pytest.param([a_claim(1), a_claim(2, 1, 30), a_claim(3, 1, 28)], {1: 28, 2: -1}, id="the-second-was-lost"),
        pytest.param([a_claim(1), a_claim(2)], {}, id="a-claim-that-does-not-say"),
        pytest.param([a_claim(3, 2, 9), a_claim(2)], {2: 9}, id="older-than-what-lies-here"),
        pytest.param([a_claim(2, 2, 9), a_claim(1)], {1: -1, 2: 9}, id="nonsense-ends"),
    ],
)
def test_which_rows_a_later_machine_went_on_from(claims: list[Claim], expected: dict[int, int]) -> None:
    assert line_of(claims) == expected


def test_rows_that_died_with_a_machine_accuse_nobody() -> None:
    """The old machine noted row 40 at this destination; the new one was restored from another that lacked it."""
    noted = [*DAILY[:4], an_anchor(4, 45, epoch=2, txid=3, written="anew")]
    hashes = a_log(45, anew_from=34)
    assert compare(noted, hashes, rows=45).first_bad == DAILY[3]
    found = compare(noted, hashes, rows=45, taken_over={1: 33})
    assert (found.aside, found.differing) == ((DAILY[3],), ())
    assert len(found.fitting) == 4


def test_an_anchor_reads_as_it_was_written_and_names_its_day_and_machine() -> None:
    anchor = DAILY[0]
    assert parse_anchor(anchor.to_json()) == anchor
    assert daily_key("clinic-0042", anchor.at[:10], 1) == "clinic-0042/anchors/2026-11-03-e0001.json"
    assert drill_key(replace(anchor, at="2026-11-03T03:10:02.123Z")) == (
        "clinic-0042/anchors/2026-11-03T031002-e0001.json"
    )


@pytest.mark.parametrize(
    "change",
    [{"schema": 2}, {"hash": "xyz"}, {"hash": "ab"}, {"seq": "1"}, {"seq": True}, {"at": "yesterday"}, {"node": None}],
)
def test_what_is_no_anchor_is_refused(change: dict[str, object]) -> None:
    document = json.loads(DAILY[0].to_json()) | change
    with pytest.raises(ValueError):
        parse_anchor(json.dumps(document).encode())
    for junk in (b"", b"{}", b"[]", b"\xff", b"null"):
        with pytest.raises(ValueError):
            parse_anchor(junk)


def test_days_without_an_anchor_are_named() -> None:
    assert missing_days([DAILY[0], DAILY[3], DAILY[4]]) == ["2026-11-04", "2026-11-05"]
    assert missing_days([]) == [] == missing_days(DAILY)
