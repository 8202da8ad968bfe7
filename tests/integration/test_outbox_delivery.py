"""The outbox as it runs: a real database, a real socket, a receiver that fails in every way that one can."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import ExitCode, ServiceError, StoreError
from edge_node.outbox import queue
from edge_node.outbox.lane import IN_FLIGHT
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection, transaction
from edge_node.store.databases import db_path
from tests.support.certificates import a_certificate
from tests.support.messages import put, states
from tests.support.outboxes import (
    RunningOutbox,
    a_home,
    an_upstream,
    running_outbox,
    says_mode,
    state_of,
    the_database,
)
from tests.support.upstream import UpstreamSimulator, upstream_simulator
from tests.support.waiting import until

BUREAU = Route(upstream="bureau", topics=("encounter",))


class Node:
    """A home with one upstream, whose outbox the test starts."""

    def __init__(self, folder: Path, upstream: UpstreamSimulator, conn: Connection) -> None:
        self.home, self.upstream, self.conn = folder, upstream, conn

    def put(self, *keys: str, topic: str = "encounter") -> list[str]:
        return put(self.conn, *keys, topic=topic)

    def states(self) -> list[str]:
        return list(states(self.conn).values())

    def all_sent(self) -> bool:
        return set(self.states()) == {"sent"}

    def platform(self) -> dict[str, object]:
        """What the status file says of the platform."""
        return next((one for one in state_of(self.home).get("upstreams", ()) if one["name"] == "platform"), {})


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with upstream_simulator() as upstream:
        home = a_home(tmp_path / "node", an_upstream(upstream.url))
        with the_database(home) as conn:
            yield Node(home, upstream, conn)


def test_what_is_put_arrives_with_its_key_its_digest_and_its_node(node: Node) -> None:
    with running_outbox(node.home):
        (message_id,) = node.put("p1")
        began = time.monotonic()
        got = until(lambda: node.upstream.kept.get(message_id))
        assert time.monotonic() - began < 1.0, "a message is noticed soon"
        until(node.all_sent)
    assert (got.topic, got.node, got.path, got.token) == ("encounter", "clinic-0042", "/messages", None)
    assert got.document == {"schema": 1, "patient": {"id": "p1", "name": "单雅琴"}, "n": 0}
    assert node.upstream.unsound == []
    message = queue.get(node.conn, message_id)
    assert message is not None and (message.attempts, message.outcome, message.outcome_words) == (
        1,
        "delivered",
        "HTTP 200",
    )
    assert message.settled_at is not None and message.body.encode() == got.body


def test_order_is_kept_per_key_and_keys_go_side_by_side(node: Node) -> None:
    node.upstream.delay_s = 0.02
    ids = node.put(*[f"p{n % 7}" for n in range(70)])
    with running_outbox(node.home):
        until(node.all_sent)
    assert len(node.upstream.order_by_key()) == 7 and len(node.upstream.arrivals) == 70
    for order in node.upstream.order_by_key().values():
        assert order == [message_id for message_id in ids if message_id in order]
    assert node.upstream.overlaps == [], "never two of one patient at once"
    assert 3 < node.upstream.most_at_once <= IN_FLIGHT


def test_an_answer_that_is_lost_is_sent_again_under_the_same_key(node: Node) -> None:
    node.upstream.lose(1)
    (first, second) = node.put("p1", "p1")
    with running_outbox(node.home):
        until(node.all_sent)
    assert node.upstream.attempts_of(first) == 2 and node.upstream.attempts_of(second) == 1
    assert list(node.upstream.kept) == [first, second]


def test_one_that_is_rejected_waits_for_a_person_and_holds_its_patient_only(node: Node) -> None:
    ids = node.put("p1", "p2", "p1", "p2")
    node.upstream.judge = lambda got: 422 if got.id == ids[0] else None
    with running_outbox(node.home):
        until(lambda: node.states() == ["dead", "sent", "queued", "sent"])
        state = until(lambda: (found := state_of(node.home)) and found["dead"] == 1 and found["queued"] == 1 and found)
        assert (state["held"], state["since_outage"]) == (1, 0), "what a person must see to is no outage"
        assert node.upstream.attempts_of(ids[0]) == 1
        node.upstream.judge = lambda got: None
        with transaction(node.conn):
            queue.revive(node.conn, ids[0], by="li", why="mended there", at=1)
        until(node.all_sent)
    assert node.upstream.order_by_key()["p1"] == [ids[0], ids[2]]


def test_a_buried_one_lets_the_others_go(node: Node) -> None:
    ids = node.put("p1", "p1")
    node.upstream.judge = lambda got: 400 if got.id == ids[0] else None
    with running_outbox(node.home):
        until(lambda: node.states() == ["dead", "queued"])
        with transaction(node.conn):
            queue.bury(node.conn, ids[0], by="li", why="entered by hand", at=1)
        until(lambda: node.states() == ["buried", "sent"])
    assert list(node.upstream.kept) == [ids[1]]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda upstream: upstream.fail(1, status=503), id="not-now"),
        pytest.param(lambda upstream: upstream.fail(1, status=429, Retry_After="1"), id="too-many"),
        pytest.param(lambda upstream: upstream.drop(1), id="hangs-up"),
    ],
)
def test_a_passing_failure_is_tried_again(node: Node, fault: Callable[[UpstreamSimulator], None]) -> None:
    fault(node.upstream)
    (message_id,) = node.put("p1")
    with running_outbox(node.home):
        until(lambda: node.states() == ["waiting"])
        until(lambda: state_of(node.home).get("waiting") == 1)
        until(node.all_sent, within_s=20)
    message = queue.get(node.conn, message_id)
    assert message is not None and message.attempts == node.upstream.attempts_of(message_id) > 1


def test_a_token_that_is_refused_pauses_all_and_parks_nothing(tmp_path: Path) -> None:
    with upstream_simulator() as upstream:
        upstream.token = "new"
        home = a_home(tmp_path / "node", an_upstream(upstream.url, more='credential = "platform-key"'))
        token = home / "credentials/platform-key"
        token.write_text("expired-token\n")
        with the_database(home) as conn, running_outbox(home):
            put(conn, *[f"p{n}" for n in range(40)])
            state = until(lambda: (found := state_of(home)).get("paused_upstreams") and found)
            assert state["problems"] == [
                {"code": "upstream-forbidden", "args": {"upstream": "platform", "words": "HTTP 401"}}
            ]
            assert (state["queued"], state["waiting"], state["dead"]) == (40, 0, 0)
            assert len(upstream.arrivals) <= IN_FLIGHT
            assert "expired-token" not in json.dumps(state)


def test_a_token_that_was_replaced_is_read_again_at_once(tmp_path: Path) -> None:
    with upstream_simulator() as upstream:
        upstream.token = "first"
        home = a_home(tmp_path / "node", an_upstream(upstream.url, more='credential = "platform-key"'))
        token = home / "credentials/platform-key"
        token.write_text("first\n")
        with the_database(home) as conn, running_outbox(home):
            put(conn, "p1")
            until(lambda: list(states(conn).values()) == ["sent"])
            token.write_text("second\n")
            upstream.token = "second"
            put(conn, "p2")
            until(lambda: list(states(conn).values()) == ["sent", "sent"])
            assert state_of(home).get("paused_upstreams") == []


@pytest.mark.parametrize("content", [None, "", "two words", "schlüssel"])
def test_a_credential_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    with upstream_simulator() as upstream:
        home = a_home(tmp_path / "node", an_upstream(upstream.url, more='credential = "platform-key"'))
        if content is not None:
            (home / "credentials/platform-key").write_text(content)
        with the_database(home) as conn, running_outbox(home):
            put(conn, "p1")
            state = until(lambda: (found := state_of(home)).get("problems") and found)
        assert state["problems"][0]["code"] == "upstream-credential"
        assert "platform-key" in state["problems"][0]["args"]["words"] and upstream.arrivals == []


def test_a_redirect_is_not_followed(node: Node) -> None:
    with upstream_simulator() as elsewhere:
        node.upstream.judge = lambda got: 307
        node.upstream.fail(1, status=307, Location=elsewhere.url)
        node.put("p1")
        with running_outbox(node.home):
            state = until(lambda: (found := state_of(node.home)).get("problems") and found)
        assert state["problems"][0]["code"] == "upstream-redirected" and elsewhere.arrivals == []
    assert node.states() == ["queued"]


def test_no_proxy_of_the_environment_is_used(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    node.put("p1")
    with running_outbox(node.home):
        until(node.all_sent)


def test_a_certificate_that_is_not_to_be_trusted_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = a_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    with upstream_simulator(tls=server) as upstream:
        home = a_home(tmp_path / "node", an_upstream(f"https://localhost:{upstream.port}/messages"))
        with the_database(home) as conn:
            put(conn, "p1")
            with running_outbox(home):
                state = until(lambda: (found := state_of(home)).get("problems") and found)
            assert state["problems"][0]["code"] == "upstream-untrusted" and upstream.arrivals == []
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            with running_outbox(home):
                until(lambda: list(states(conn).values()) == ["sent"])


def test_offline_it_asks_seldom_and_afterwards_all_go_at_once(node: Node) -> None:
    says_mode(node.home, "offline")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = listener.getsockname()[1]
    (node.home / "edge-node.toml").write_text(
        (node.home / "edge-node.toml").read_text().replace(f":{node.upstream.port}/", f":{gone}/")
    )
    node.put(*[f"p{n}" for n in range(50)])
    with running_outbox(node.home):
        until(lambda: state_of(node.home).get("queued") == 50)
        time.sleep(1.5)
        assert state_of(node.home)["attempts"] == [], "the first question comes after a while"
        with upstream_simulator(port=gone) as upstream:
            says_mode(node.home, "online")
            began = time.monotonic()
            until(node.all_sent)
            assert time.monotonic() - began < 5.0
            assert len(upstream.kept) == 50
            until(lambda: state_of(node.home).get("queued") == 0)


def test_an_upstream_of_a_kind_that_is_not_spoken_yet_loses_nothing(tmp_path: Path) -> None:
    with upstream_simulator() as upstream:
        home = a_home(
            tmp_path / "node", an_upstream(upstream.url, name="bureau", kind="fhir"), an_upstream(upstream.url)
        )
        with the_database(home) as conn, running_outbox(home):
            put(conn, "p1", routes=(BUREAU,))
            put(conn, "p1")
            until(lambda: list(states(conn).values()) == ["queued", "sent"])
            state = until(lambda: (found := state_of(home)) and found["queued"] == 1 and found)
        assert state["problems"] == [{"code": "upstream-unsupported", "args": {"upstream": "bureau", "kind": "fhir"}}]


def test_messages_for_an_upstream_that_nobody_configured_are_named(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    with the_database(home) as conn, running_outbox(home):
        assert state_of(home)["problems"] == [] and state_of(home)["upstreams"] == []
        put(conn, "p1", routes=(BUREAU,))
        state = until(lambda: (found := state_of(home))["problems"] and found)
    assert state["problems"] == [{"code": "upstream-unconfigured", "args": {"upstream": "bureau", "messages": 1}}]


def test_progress_is_told_while_it_drains(node: Node) -> None:
    node.upstream.delay_s = 0.1
    node.put(*[f"p{n}" for n in range(200)])
    with running_outbox(node.home):
        part = until(lambda: (found := state_of(node.home)) and 0 < found["queued"] < 200 and found)
        assert part["since_outage"] == 200 and part["oldest_queued_at"] and part["last_delivered_at"]
        until(node.all_sent)
        state = until(lambda: (found := state_of(node.home)) and found["queued"] == 0 and found)
    assert state["since_outage"] == 0 and state["oldest_queued_at"] is None
    assert state["attempts"] == [{"labels": ["platform", "delivered"], "value": 200}]


def test_it_stops_within_a_second_though_nobody_answers_and_sends_again_later(node: Node) -> None:
    node.upstream.hang(IN_FLIGHT)
    ids = node.put(*[f"p{n}" for n in range(20)])
    outbox = RunningOutbox(node.home)
    until(lambda: len(node.upstream.arrivals) == IN_FLIGHT)
    assert outbox.stop() < 1.0
    assert set(node.states()) == {"queued"}
    with running_outbox(node.home):
        until(node.all_sent)
    assert set(node.upstream.kept) == set(ids)
    assert sum(node.upstream.attempts_of(message_id) == 2 for message_id in ids) == IN_FLIGHT


def test_a_second_sender_does_not_begin(node: Node) -> None:
    with running_outbox(node.home):
        with pytest.raises(ServiceError) as caught:
            RunningOutbox(node.home)
        assert (caught.value.code, caught.value.exit_code) == ("already-running", ExitCode.BUSY)


def test_without_a_database_it_does_not_begin(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node")
    db_path(home, "his").unlink()
    with pytest.raises(StoreError) as caught:
        RunningOutbox(home)
    assert caught.value.code == "db-missing"


def test_a_lock_that_somebody_keeps_delays_what_is_written_and_loses_nothing(node: Node) -> None:
    with running_outbox(node.home), the_database(node.home) as other:
        ids = node.put("p1", "p2")
        node.upstream.delay_s = 0.3
        until(lambda: len(node.upstream.arrivals) == 2)
        other.execute("BEGIN IMMEDIATE")
        until(lambda: any(one["code"] == "outbox-cannot-write" for one in state_of(node.home)["problems"]))
        other.execute("ROLLBACK")
        until(node.all_sent)
        until(lambda: state_of(node.home)["problems"] == [])
    assert [node.upstream.attempts_of(message_id) for message_id in ids] == [1, 1]


def test_a_database_that_was_replaced_is_opened_again(node: Node) -> None:
    path = db_path(node.home, "his")
    aside = path.with_name("aside.db")
    with running_outbox(node.home):
        node.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path.rename(aside)
        until(lambda: [one["code"] for one in state_of(node.home)["problems"]] == ["outbox-cannot-read"])
        with contextlib.suppress(FileNotFoundError):
            path.with_name("his.db-wal").unlink()
        with contextlib.suppress(FileNotFoundError):
            path.with_name("his.db-shm").unlink()
        aside.rename(path)
        with the_database(node.home) as conn:
            put(conn, "p1")
            until(lambda: "sent" in states(conn).values())
        until(lambda: state_of(node.home)["problems"] == [])
