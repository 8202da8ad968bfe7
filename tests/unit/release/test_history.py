"""What upgrades have left in writing, also after a power cut, and what of it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.clock import parse_utc
from edge_node.base.errors import ExitCode
from edge_node.release.history import FALLBACK, HISTORY, SETTLED, append, last_record, problems
from edge_node.status import PROBLEM_EXITS

AT = "2026-11-26T06:58:01.000Z"
HOUR_MS = 3_600_000


def record(did: str, **more: Any) -> dict[str, Any]:
    return {"at": AT, "by": "root", "reason": "", "target": "0.2.0", "did": did, "subject": "0.1.0", **more}


def test_nothing_was_ever_upgraded(tmp_path: Path) -> None:
    assert (dict(last_record(tmp_path / HISTORY)), problems(tmp_path)) == ({}, [])


@pytest.mark.parametrize("torn", [b"", b'{"at":"2026', b"\0\0\0\0", b"[1]\n", b"\n"])
def test_a_line_that_a_power_cut_left_torn_takes_no_other_with_it(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / HISTORY
    append(path, record("stage"))
    with path.open("ab") as file:
        file.write(torn)
    assert last_record(path)["did"] == "stage"
    append(path, record(SETTLED))
    assert last_record(path)["did"] == SETTLED
    assert json.loads(path.read_bytes().splitlines()[0])["did"] == "stage"


def test_while_an_upgrade_is_under_way_it_is_told_what_a_power_cut_leads_to(tmp_path: Path) -> None:
    append(tmp_path / HISTORY, record("switch"))
    (tmp_path / FALLBACK).symlink_to("releases/0.1.0")
    (told,) = problems(tmp_path, now_ms=0)
    assert (told.code, told.args) == (
        "upgrade-unfinished", {"release": "0.2.0", "day": "2026-11-26", "fallback": "0.1.0"}
    )  # fmt: skip


@pytest.mark.parametrize("outcome, is_told", [("kept", True), ("left", True), ("reached", False)])
def test_what_was_cut_off_is_told_for_a_week_and_to_doctor_until_the_next_upgrade(
    tmp_path: Path, outcome: str, is_told: bool
) -> None:
    """Nobody need do anything about one that had reached its end."""
    append(tmp_path / HISTORY, record(SETTLED, outcome=outcome))
    now_ms = parse_utc(AT)
    codes = ["upgrade-cut-off"] if is_told else []
    assert [one.code for one in problems(tmp_path, now_ms=now_ms + 167 * HOUR_MS)] == codes
    assert problems(tmp_path, now_ms=now_ms + 169 * HOUR_MS) == []
    assert [one.code for one in problems(tmp_path)] == codes
    append(tmp_path / HISTORY, record("close"))
    assert problems(tmp_path) == []


def test_the_node_is_healthy_all_the_same() -> None:
    """Which release is in use is no fault of the node."""
    assert {PROBLEM_EXITS[code] for code in ("upgrade-unfinished", "upgrade-cut-off")} == {ExitCode.DONE}
