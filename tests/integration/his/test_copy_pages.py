"""The page of the copies over a real node.db and a real file of orders: what it shows, who may order, and once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.base.clock import SystemClock
from edge_node.base.files import StatusFile
from edge_node.config.load import load
from edge_node.config.schema import Config
from edge_node.his import request_key
from edge_node.his.staff.model import Role
from edge_node.proof_orders import ProofOrder, ProofOrderKind, read_proof_orders, replica_orders
from edge_node.services.copy_desk import CopyDesk
from edge_node.status.superseded import Superseded
from edge_node.store.connection import connect
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from tests.support.copies_told import CONFIG, copies_state, fill_copies
from tests.support.his import His, a_his
from tests.support.node_files import WALL_MS, a_file, a_node

REASON = "the carrier works on its switch"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    return load(tmp_path / "edge-node.toml", home=tmp_path)


@pytest.fixture
def his(tmp_path: Path, config: Config) -> Iterator[His]:
    with a_his(tmp_path, copies=lambda clock: CopyDesk(config, clock)) as his:
        his.add_staff("gu", Role.ADMIN, name="顾工")
        his.add_staff("han", Role.MANAGER)
        his.add_staff("zhou", Role.REGISTRAR)
        assert his.clock.wall_ms() == WALL_MS
        his.status = a_node(replica=a_file("replica", **copies_state(WALL_MS)))
        yield his


def node_db(config: Config) -> Path:
    path = db_path(config.node.state_dir, "node")
    path.parent.mkdir(exist_ok=True)
    create_database(path, DATABASES["node"])
    conn = connect(path)
    fill_copies(conn, WALL_MS)
    conn.close()
    return path


def orders(config: Config) -> list[ProofOrder]:
    return list(read_proof_orders(replica_orders(config.node.state_dir), now_ms=WALL_MS))


def test_everything_about_the_copies_on_one_page(his: His, config: Config) -> None:
    node_db(config)
    page = his.sign_in("gu").get("/console/replica").text
    for words in (
        "s3://clinic-copies/0042", "file:///mnt/nas/0042", "overdue by 3 d", "2 findings", "succeeded", "every 5 min",
        "403: the key is not known: cloud-key", "12 of 12 checks", "not refused", "recovery kit 3",
        "cannot refuse a second owner", "6.5 GB / 21.5 GB", "beyond the goal for 30 min", "edge-node replica promote",
    ):  # fmt: skip
        assert words in page, words
    assert page.count('<svg class="chart chart--s"') == 3
    ids = re.findall(r'<pattern id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0
    assert 'href="/console/replica"' in his.client.get("/console").text
    assert re.search(r'href="/console/replica\?copy=nas#points"[^>]*>nas<', page)
    assert "Not known yet" in his.client.get("/console/replica?copy=nas").text
    assert his.client.get("/console/replica?copy=moon").status_code == 200


def test_the_strict_policy_has_nothing_to_forbid(his: His, config: Config) -> None:
    node_db(config)
    page = his.sign_in("gu").get("/console/replica").text
    assert not re.search(r"\sstyle=|<style|<script(?! src)|\son\w+=", page)


@pytest.mark.parametrize("broken", ["missing", "older", "damaged"])
def test_without_a_history_the_rest_of_the_page_stands(his: His, config: Config, broken: str) -> None:
    if broken != "missing":
        path = node_db(config)
        if broken == "damaged":
            path.write_bytes(b"not a database" * 400)
        else:
            conn = connect(path)
            conn.execute("DROP TABLE drill")
            conn.execute("DROP TABLE behind")
            conn.close()
    page = his.sign_in("gu").get("/console/replica")
    assert page.status_code == 200
    assert ("node.db is missing" if broken == "missing" else "The history cannot be read just now") in page.text
    assert "overdue by 3 d" in page.text


def test_an_order_is_given_once_with_its_row_in_the_audit_log(his: His, config: Config) -> None:
    client = his.sign_in("gu")
    form = {
        "csrf_token": his.csrf(client, "/console/replica"), "request_key": request_key.new(), "kind": "drill",
        "destination": "cloud", "why": REASON, "hours": "1",
    }  # fmt: skip
    for _ in range(2):  # A second click, or a retry after a lost answer.
        answer = client.post("/console/replica", data=form)
        assert (answer.status_code, answer.location) == (302, "/console/replica?copy=cloud#orders")
    (order,) = orders(config)
    assert (order.kind, order.destination, order.by, order.why) == (ProofOrderKind.DRILL, "cloud", "顾工", REASON)
    rows = his.conn.execute("SELECT object, detail FROM audit_log WHERE action = 'copy_ordered'").fetchall()
    assert [row["object"] for row in rows] == ["destination:cloud"]
    assert json.loads(rows[0]["detail"]) == {"kind": "drill", "order": order.id, "reason": REASON, "for_s": 21600.0}
    page = client.get("/console/replica").text
    assert REASON in page and "End it" not in page, "what is carried out once cannot be ended"


def test_a_pause_takes_the_place_of_the_one_before_and_is_ended(his: His, config: Config) -> None:
    client = his.sign_in("gu")
    for hours in ("1", "24"):
        his.post(client, "/console/replica", kind="pause", destination="nas", why=REASON, hours=hours)
    (order,) = orders(config)
    assert order.until_ms - order.since_ms == 24 * 3_600_000
    answer = his.post(client, f"/console/replica/orders/{order.id}/end")
    assert answer.status_code == 302
    assert orders(config) == []
    ended = his.conn.execute("SELECT object FROM audit_log WHERE action = 'copy_order_ended'").fetchall()
    assert [row["object"] for row in ended] == ["destination:nas"]
    assert his.post(client, f"/console/replica/orders/{order.id}/end").status_code == 302, "ended is ended"


def test_a_form_that_lacks_its_reason_comes_back_filled(his: His, config: Config) -> None:
    answer = his.post(his.sign_in("gu"), "/console/replica", kind="pause", destination="nas", why=" ", hours="12")
    assert answer.status_code == 422
    assert "<title>1 · Copies" in answer.text
    assert re.search(r'<a href="#why">Reason: Write why, in a few words</a>', answer.text)
    assert '<option value="nas" selected>' in answer.text and '<option value="12" selected>' in answer.text
    assert orders(config) == []


def test_what_no_form_of_ours_posts_is_refused(his: His, config: Config) -> None:
    answer = his.post(his.sign_in("gu"), "/console/replica", kind="sentinel", destination="nas", why=REASON)
    assert answer.status_code == 400
    assert orders(config) == []


def test_only_an_administrator_orders_and_a_registrar_sees_nothing(his: His, config: Config) -> None:
    manager = his.sign_in("han", client=his.browser())
    page = manager.get("/console/replica").text
    assert "An administrator gives orders here." in page and "<form" in page
    assert 'name="kind"' not in page
    answer = his.post(manager, "/console/replica", kind="drill", destination="cloud", why=REASON)
    assert answer.status_code == 403
    registrar = his.sign_in("zhou", client=his.browser())
    assert registrar.get("/console/replica").status_code == 403
    assert orders(config) == []


def test_a_machine_that_was_replaced_takes_no_orders(tmp_path: Path, config: Config) -> None:
    owner = Superseded(
        by="new-pc", epoch=2, own_epoch=1, claimed_at="2026-11-20T08:00:00.000Z", found_at=None, destination="cloud",
        why="it burnt", taken_epoch=1, taken_txid=7,
    )  # fmt: skip
    with a_his(tmp_path, copies=lambda clock: CopyDesk(config, clock)) as his:
        his.add_staff("gu", Role.ADMIN)
        replaced = replace(his.context, superseded=lambda: owner)
        his.app.extensions["edge_his"] = replaced
        client = his.sign_in("gu")
        assert "This machine was replaced by new-pc." in client.get("/console/replica").text
        answer = his.post(client, "/console/replica", kind="drill", destination="cloud", why=REASON)
        assert answer.status_code == 409
        assert "new-pc" in answer.text
    assert orders(config) == []


def test_a_drill_that_runs_is_said(his: His, config: Config) -> None:
    StatusFile(config.node.run_dir, "drill", every_s=60).write({"running": "cloud", "results": {}}, SystemClock())
    assert "a drill runs: cloud" in his.sign_in("gu").get("/console/replica").text
