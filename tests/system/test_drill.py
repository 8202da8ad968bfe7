"""A whole node drills its copies: by hand, by an order, with what is damaged, without an identity, and killed at it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.clock import SystemClock
from edge_node.proof_orders import ProofOrderKind, new_proof_order, place_proof_order, replica_orders
from edge_node.store.connection import connect_reader
from tests.support.node import RunningNode, edge_node, processes_of, running_node
from tests.support.waiting import until

DRILLED_WITHIN_S = 90.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A training clinic that runs, its first copy shipped."""
    with running_node(tmp_path_factory.mktemp("drill") / "node") as running:
        until(lambda: cloud(running).get("state") == "current", within_s=60, every_s=0.3)
        yield running


def cloud(node: RunningNode) -> dict[str, Any]:
    entries = node.status()["replica"]["destinations"]
    return next((entry for entry in entries if entry["name"] == "cloud"), {})


def drill(node: RunningNode, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and what the drill from the cloud showed."""
    done = edge_node("replica", "drill", "--json", *arguments, home=node.home, timeout_s=DRILLED_WITHIN_S)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)[0]


def checks(document: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in document["checks"]}


def anchors(node: RunningNode) -> list[dict[str, Any]]:
    """What was noted of the audit log."""
    return [json.loads(path.read_bytes()) for path in (node.home / "cloud").glob("*/anchors/*.json")]


def objects(node: RunningNode) -> list[Path]:
    return sorted((node.home / "cloud").glob("*/e*/his/*/*.age"))


def test_a_drill_brings_the_sentinel_back(node: RunningNode) -> None:
    code, found = drill(node, "--reason", "a test")
    assert code == 0, found
    assert (found["from"], found["ok"], found["outcome"]) == ("cloud", True, "ok")
    seen = checks(found)
    for name in ("sentinel-written", "shipped", "restore", "parents", "audit", "sentinel", "confirmed", "local"):
        assert seen[name] == "ok", found["checks"]
    assert seen["past"] in ("ok", "skipped"), found["checks"]
    assert seen["kit"] in ("ok", "finding"), found["checks"]
    assert found["rto_s"] > 0
    # The sentinel says in the clinic's own log who drilled.
    conn = connect_reader(node.home / "data" / "his.db")
    sentinel = conn.execute("SELECT * FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    conn.close()
    assert (sentinel["action"], json.loads(sentinel["detail"])["why"]) == ("drill_sentinel", "a test")
    # Its number and hash lie beside the copy: a log that is written anew later does not fit them.
    head = {"why": "drill", "seq": sentinel["seq"], "hash": bytes(sentinel["hash"]).hex()}
    until(lambda: any(head.items() <= noted.items() for noted in anchors(node)), within_s=60)
    until(lambda: any(noted["why"] == "daily" for noted in anchors(node)), within_s=60)
    verified = edge_node("audit", "verify", "--against", "cloud", home=node.home)
    assert verified.returncode == 0, verified.stderr
    assert re.search(r"\b(\d+) of \1 anchors at cloud fit", verified.stdout), verified.stdout
    # Status and metrics tell of it.
    # A node also drills by itself; what it showed may stand there until this one is read.
    last = until(lambda: told if (told := cloud(node)["last_drill"])["at"] == found["at"] else None, within_s=30)
    assert (last["at"], last["ok"], last["rto_s"]) == (found["at"], True, found["rto_s"])
    page = until(lambda: text if "edge_drill_rto_seconds{" in (text := metrics(node)) else "", within_s=15, every_s=0.5)
    assert 'edge_drill_rto_seconds{destination="cloud"}' in page
    assert 'edge_drill_last_success_timestamp_seconds{destination="cloud"}' in page
    file = json.loads((node.home / "run" / "drill" / "status.json").read_bytes())
    assert file["stopped"]
    assert file["state"]["results"]["cloud"]["ok"]

    # The history keeps it, and tells it after this one's file has gone.
    def kept() -> list[dict[str, Any]]:
        shown = edge_node("replica", "status", "--json", home=node.home)
        assert shown.returncode == 0, shown.stderr
        return [one for one in json.loads(shown.stdout)["drills"] if one["at"] == found["at"]]

    (one,) = until(kept, within_s=60, every_s=1.0)
    assert (one["destination"], one["outcome"], one["rto_s"], one["txid"]) == (
        "cloud",
        "ok",
        found["rto_s"],
        found["txid"],
    )
    table = edge_node("replica", "status", home=node.home).stdout
    assert re.search(r"DRILL +FROM +OUTCOME +RTO", table)
    assert re.search(r"cloud +ok +", table)
    # Nothing is left of the scratch.
    assert not [path for path in (node.home / "drill").iterdir() if path.suffix != ".lock"]


def metrics(node: RunningNode) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{node.port + 1}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_drill_by_order_is_the_replicator_s(node: RunningNode) -> None:
    """As the console gives it; it is carried out once."""
    order = new_proof_order(
        ProofOrderKind.DRILL, now_ms=SystemClock().wall_ms(), for_s=600, by="li", why="ordered", destination="cloud"
    )
    place_proof_order(replica_orders(node.home), order, now_ms=SystemClock().wall_ms())
    record = node.home / "reports" / "proofs.json"
    until(
        lambda: record.exists() and order.id in json.loads(record.read_bytes())["orders"],
        within_s=DRILLED_WITHIN_S,
        every_s=0.5,
    )
    assert json.loads(record.read_bytes())["destinations"]["cloud"]["drill"]["ok"]


def test_a_damaged_copy_fails_the_drill_and_the_last_good_point_is_named(node: RunningNode) -> None:
    drill(node)  # Something is captured after the snapshot: a chain of several.
    victim = [path for path in objects(node) if path.parent.name == "0000"][-1]
    whole = victim.read_bytes()
    try:
        victim.write_bytes(b"damaged" * 99)
        done = edge_node("replica", "drill", "--json", "--from", "cloud", home=node.home, timeout_s=DRILLED_WITHIN_S)
        found = json.loads(done.stdout)[0]
        # The drill's own sentinel came after the damage, and nothing leads over it: not until a coarser file does.
        assert (done.returncode, found["ok"], found["outcome"]) == (7, False, "failed"), done.stdout
        assert "walked back to the last sound point" in json.dumps(found["checks"])
        assert found["newest_at"] is not None
        assert "last good point" in done.stderr
        shown = until(lambda: last if not (last := cloud(node)["last_drill"])["ok"] else None)
        assert shown["outcome"] == "failed"
        assert cloud(node)["last_drill_ok"] is not None
        # verify names it and ships it again; then a drill is good.
        mended = edge_node("replica", "verify", "--from", "cloud", "--deep", home=node.home, timeout_s=DRILLED_WITHIN_S)
        assert mended.returncode == 0, mended.stdout + mended.stderr
        assert "shipped again" in mended.stdout
        assert drill(node)[0] == 0
    finally:
        if victim.read_bytes().startswith(b"damaged"):
            victim.write_bytes(whole)


def test_without_an_identity_a_drill_is_skipped_and_never_ok(node: RunningNode) -> None:
    credential = node.home / "credentials" / "node-identity"
    aside = credential.with_name("aside")
    credential.rename(aside)
    try:
        code, found = drill(node)
        assert (code, found["ok"], found["outcome"]) == (7, False, "skipped"), found
        assert "no identity" in json.dumps(found["checks"])
    finally:
        aside.rename(credential)


def test_a_drill_that_was_killed_is_swept_by_the_next_one(node: RunningNode) -> None:
    argv = (sys.executable, "-m", "edge_node", "replica", "drill", "--home", str(node.home))
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(
            lambda: list((node.home / "drill").glob("drill-*")) or process.poll() is not None, within_s=DRILLED_WITHIN_S
        )
        busy = edge_node("replica", "drill", home=node.home)
        assert busy.returncode == 75 or process.poll() is not None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (node.home / "drill" / "drill-left-behind").mkdir(exist_ok=True)
    # A Litestream of the killed drill may still be at work for a moment.
    until(lambda: not [c for c in processes_of(node.home).values() if "litestream restore" in c], within_s=30)
    assert drill(node)[0] == 0
    assert not [path for path in (node.home / "drill").iterdir() if path.suffix != ".lock"]


def test_without_a_running_node_the_copy_is_tried_all_the_same(node: RunningNode) -> None:
    node.stop()
    try:
        code, found = drill(node)
    finally:
        node.start()
    seen = checks(found)
    assert (code, found["outcome"]) == (0, "ok"), found
    assert (seen["sentinel-written"], seen["captured"], seen["restore"]) == ("finding", "finding", "ok")


def test_a_new_identity_and_the_old_objects_still_open(node: RunningNode) -> None:
    """What is there was sealed to the old one."""
    credential = node.home / "credentials" / "node-identity"
    before = credential.read_text().strip()
    done = edge_node("replica", "identity", "--new", "--reason", "rotation", home=node.home)
    assert done.returncode == 0, done.stderr
    lines = credential.read_text().split()
    assert lines[1] == before
    assert credential.stat().st_mode & 0o777 == 0o600
    shown = edge_node("replica", "identity", home=node.home)
    assert "copies are encrypted to it" in shown.stdout
    assert drill(node)[0] == 0
