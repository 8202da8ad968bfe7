"""What a watcher remembers of the one before: falls and holds, what it left, when offline ended; and nobody gains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.base.clock import utc_text
from edge_node.services import line_memory
from edge_node.services.line_memory import LineMemory, remembered
from failover.core import flap
from failover.core.judge import Evidence, Watched, verdicts
from failover.core.model import Detect, Flap, LinePolicy, LinkState, Policy, Verdict
from failover.core.window import Window

DETECT = Detect()
LINES = {"telecom": DETECT, "unicom": DETECT}
NOW, WALL_MS, BOOT = 100_000.0, 1_795_000_000_000, "this-boot"


def row(kind: str, subject: str, before: str, after: str, code: str, at: float, **more: Any) -> bytes:
    """A line of the file, `at` in boot time; `boot`: of another boot, its boot time is of no use then."""
    boot = more.pop("boot", BOOT)
    told = {
        "seq": 1,
        "at": utc_text(WALL_MS - round((NOW - at) * 1000)),
        "boottime": at if boot == BOOT else 5.0,
        "boot_id": boot,
        "kind": kind,
        "subject": subject,
        "from": before,
        "to": after,
        "reason": {"code": code, "args": {}},
        **more,
    }
    return json.dumps(told).encode()


def verdict(line: str, before: str, after: str, at: float, code: str = "silent", **more: Any) -> bytes:
    return row("verdict", line, before, after, code, at, **more)


def mode(before: str, after: str, line: str | None, at: float, code: str, **more: Any) -> bytes:
    return row("mode", "node", before, after, code, at, to_line=line, **more)


def recall(*lines: bytes, now: float = NOW) -> LineMemory:
    return remembered(lines, LINES, boot=BOOT, boottime=now, wall_ms=WALL_MS + round((now - NOW) * 1000))


def falls(line: str, *times: float) -> list[bytes]:
    return [
        told
        for at in times
        for told in (verdict(line, "up", "down", at), verdict(line, "down", "degraded", at + 2, "returning"),
                     verdict(line, "degraded", "up", at + 12, "clean"))
    ]  # fmt: skip


def test_falls_hold_and_penalty_are_as_they_were() -> None:
    times = [NOW - 500, NOW - 300, NOW - 100]
    health = recall(*falls("telecom", *times)).health
    assert set(health) == {"telecom"} and not health["telecom"].owes_proof
    seen = health["telecom"].flap
    assert seen.falls == tuple(times)
    assert flap.hold_s(seen, NOW, DETECT) == 240.0
    expected = Flap()
    for at in times:
        expected = flap.fallen(expected, at, DETECT)
    assert flap.penalty(seen, NOW, DETECT) == pytest.approx(flap.penalty(expected, NOW, DETECT))


def test_another_boot_s_times_come_from_the_wall_clock() -> None:
    told = [verdict("telecom", "up", "down", NOW - 100, boot="before")]
    (fell_at,) = recall(*told).health["telecom"].flap.falls
    assert fell_at == pytest.approx(NOW - 100, abs=0.01)


def test_what_is_older_than_six_hours_is_forgotten() -> None:
    assert recall(*falls("telecom", NOW - 7 * 3600)).health == {}
    assert recall(verdict("telecom", "up", "down", NOW - 7 * 3600)).health == {}, "also that it never came back"


def test_a_future_fall_is_not_believed() -> None:
    assert recall(*falls("telecom", NOW + 50)).health == {}


def test_the_cloud_s_fault_is_not_the_line_s() -> None:
    assert recall(verdict("telecom", "up", "down", NOW - 9, "cloud-silent")).health["telecom"].flap.falls == ()
    pardoned = (verdict("telecom", "up", "down", NOW - 9), verdict("telecom", "down", "down", NOW - 8, "cloud-silent"))
    assert recall(*pardoned).health["telecom"].flap.falls == ()
    too_late = (verdict("telecom", "up", "down", NOW - 60), verdict("telecom", "down", "down", NOW - 8, "cloud-silent"))
    assert len(recall(*too_late).health["telecom"].flap.falls) == 1


@pytest.mark.parametrize("last", ["down", "degraded"])
def test_a_line_that_was_fallen_has_to_prove_itself(last: str) -> None:
    """Its first answer makes it degraded, and it is up after ten good seconds; another's first answer is enough."""
    memory = recall(verdict("telecom", "up", last, NOW - 5))
    health = dict(memory.health)
    assert health["telecom"].verdict is Verdict.UNKNOWN, "unknown is not down"
    policy = Policy(lines=(LinePolicy(name="telecom", preferred=1), LinePolicy(name="unicom", preferred=2)))
    windows = {name: Window(30.0) for name in LINES}
    seen = {}
    for tick in range(100):
        now = NOW + tick * 0.2
        for window in windows.values():
            window.asked(now)
            window.answered(now, 0.01)
        evidence = {
            name: Evidence(link=LinkState(), targets=(Watched(target="cloud", window=window),))
            for name, window in windows.items()
        }
        health = dict(verdicts(health, evidence, now + 0.1, policy).health)
        seen[tick] = health["telecom"].verdict, health["unicom"].verdict
    assert seen[0] == (Verdict.DEGRADED, Verdict.UP)
    assert seen[45] == (Verdict.DEGRADED, Verdict.UP) and seen[99] == (Verdict.UP, Verdict.UP)


def test_what_was_used_and_what_was_left() -> None:
    first = mode("starting", "online", "telecom", NOW - 90, "first-line")
    assert recall(first) == LineMemory(used="telecom")
    moved = mode("online", "backup", "unicom", NOW - 50, "line-down")
    assert (recall(first, moved).used, recall(first, moved).left) == ("unicom", "telecom")
    ended = row("connections", "telecom", "", "", "connections-ended", NOW - 50)
    assert recall(first, moved, ended).left is None
    other = row("connections", "unicom", "", "", "connections-ended", NOW - 50)
    assert recall(first, moved, other).left == "telecom"
    back = mode("backup", "online", "telecom", NOW - 20, "failback")
    assert (recall(first, moved, back).used, recall(first, moved, back).left) == ("telecom", None)


def test_when_offline_ended() -> None:
    gone = mode("online", "offline", None, NOW - 90, "every-line-down")
    assert recall(gone).was_offline and recall(gone).offline_until is None
    back = mode("offline", "backup", "unicom", NOW - 50, "back-online")
    assert (recall(gone, back).was_offline, recall(gone, back).offline_until) == (False, NOW - 50)
    started_over = mode("starting", "online", "telecom", NOW - 40, "adopted")
    assert recall(gone, started_over).offline_until == NOW - 40, "it came back while nobody watched"


def test_no_file_a_torn_one_and_a_long_one(tmp_path: Path) -> None:
    path = tmp_path / "transitions.jsonl"

    def read() -> LineMemory:
        return line_memory.read(path, LINES, boot=BOOT, boottime=NOW, wall_ms=WALL_MS)

    assert read() == LineMemory()
    whole = verdict("telecom", "up", "down", NOW - 50)
    path.write_bytes(whole + b"\n" + whole[:-9])
    assert len(read().health["telecom"].flap.falls) == 1
    path.write_bytes((b"x" * 99 + b"\n") * 20_000 + whole + b"\n")
    assert len(read().health["telecom"].flap.falls) == 1
    path.unlink()
    path.mkdir()
    assert read() == LineMemory(), "what cannot be read is not remembered"


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["kind", "subject", "from", "to", "boot_id", "boottime", "at", "reason", "code", "to_line", "mode", "verdict"]
    ), inner, max_size=8),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(shapes, max_size=5), st.binary(max_size=50))
def test_no_content_breaks_it(rows: list[Any], rubbish: bytes) -> None:
    lines = [json.dumps(each).encode() for each in rows]
    assert recall(*lines, rubbish, verdict("telecom", "up", "down", NOW - 50)).health
