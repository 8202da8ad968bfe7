"""What machines ask: healthz, readyz, the status document, and the figures of every request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.instruments import Histogram
from edge_node.his.app import create_app
from edge_node.his.health import writes
from edge_node.his.staff.model import Role
from edge_node.status import Reason, ServiceState
from edge_node.store.connection import connect, transaction
from tests.support.his import His, a_his, a_node_status


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        yield his


def test_healthz_asks_nobody(his: His) -> None:
    his.context.writer.close()
    answer = his.client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_readyz_is_ready_while_it_can_write(his: His) -> None:
    assert (his.client.get("/readyz").status_code, writes(his.context.writer)) == (200, None)


def test_readyz_says_why_it_cannot(his: His) -> None:
    his.context.writer.close()
    answer = his.client.get("/readyz")
    assert answer.status_code == 503 and "takes no writes" in answer.text


def test_readyz_writes_nothing_that_would_travel_to_every_copy(his: His) -> None:
    wal = his.context.db_path.with_name("his.db-wal")
    his.client.get("/readyz")
    before = wal.stat().st_size
    for _ in range(20):
        assert his.client.get("/readyz").status_code == 200
    assert wal.stat().st_size == before


def test_readyz_waits_its_turn_behind_another_writer(his: His) -> None:
    """The lock is what it asks for: it answers once whoever holds it lets go."""
    answers: list[int] = []
    conn = connect(his.context.db_path)
    try:
        with transaction(conn):
            asking = threading.Thread(target=lambda: answers.append(his.client.get("/readyz").status_code))
            asking.start()
            asking.join(0.3)
            assert answers == []
        asking.join(10)
        assert answers == [200]
    finally:
        conn.close()


def test_the_status_document_has_the_contracts_shape_and_no_patient_data(his: His) -> None:
    his.status = a_node_status(
        problems=(Reason(code="rpo-exceeded", args={"destination": "cloud"}),),
        services={"his": ServiceState.OK, "replica": ServiceState.STALE},
    )
    document = json.loads(his.client.get("/api/status").text)
    assert document == json.loads(json.dumps(his.status.as_json()))
    assert document["schema"] == 1 and document["node"]["id"] == "clinic-0042"


def test_every_request_is_counted_by_rule_and_never_by_address(his: His) -> None:
    seconds = Histogram((1.0,))
    app = create_app(his.context, secret_key="x", secure=False, request_seconds=seconds)
    client = app.test_client()
    for path in ("/login", "/language/en?next=/", "/language/tlh", "/nope/13805162207", "/healthz"):
        client.get(path)
    for number in range(3):
        client.open("/login", method=f"WORD{number}")
    counts = {tuple(sample["labels"]): sum(sample["counts"]) for sample in seconds.samples()}
    assert counts == {
        ("/login", "GET", "200"): 1,
        ("/language/<code>", "GET", "302"): 2,
        ("(none)", "GET", "404"): 1,
        ("(none)", "(other)", "405"): 3,
        ("/healthz", "GET", "200"): 1,
    }


def test_the_console_shows_services_copies_and_problems(his: His) -> None:
    his.add_staff("gu", Role.ADMIN)
    cloud = {"name": "cloud", "state": "unreachable", "rpo_s": 2820.0, "confirmed_at": "2026-11-20T00:39:10Z",
             "confirmed_txid": 48_000, "behind_txids": 388, "behind_bytes": 1_900_000}  # fmt: skip
    his.status = a_node_status(
        problems=(Reason(code="destination-unreachable", args={"destination": "cloud"}),),
        replica={"litestream": "running", "txid": 48_388, "captured_at": None, "destinations": [cloud]},
        services={"his": ServiceState.OK, "replica": ServiceState.OK, "monitor": ServiceState.STALE},
    )
    page = his.sign_in("gu").get("/console").text
    for words in ("destination cloud does not answer", "unreachable", "47 min", "388 / 1.9 MB", "stale", "48,388"):
        assert words in page, words


def test_nothing_of_the_application_lives_in_the_module(his: His) -> None:
    """Two applications beside each other share nothing: a request of one is no request of the other."""
    figures = [Histogram((1.0,)), Histogram((1.0,))]
    apps = [create_app(his.context, secret_key="x", secure=False, request_seconds=figure) for figure in figures]
    apps[0].test_client().get("/healthz")
    assert [len(figure.samples()) for figure in figures] == [1, 0]
