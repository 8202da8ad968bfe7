"""`edge-node outbox` as an operator types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_node.cli import outbox as module
from edge_node.cli.main import cli
from edge_node.his import audit
from edge_node.outbox import queue
from edge_node.outbox.model import Outcome, Settlement, State
from edge_node.outbox.model import Result as AttemptResult
from edge_node.store.connection import Connection, transaction
from tests.support.messages import AT, put, states
from tests.support.node import edge_node
from tests.support.outboxes import a_home, an_upstream, the_database


class Node:
    def __init__(self, home: Path, conn: Connection) -> None:
        self.home, self.conn = home, conn

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["outbox", *arguments, "--home", str(self.home)], standalone_mode=False)

    def json(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.run(*arguments, "--json").output))

    def kill(self, *seqs: int) -> None:
        outcome = Outcome(result=AttemptResult.REJECTED, words="HTTP 422")
        with transaction(self.conn):
            settlements = [
                Settlement(seq=seq, state=State.DEAD, tried_at=AT, next_at=None, outcome=outcome) for seq in seqs
            ]
            queue.settle(self.conn, settlements)

    def states(self) -> list[str]:
        return list(states(self.conn).values())

    def audit(self) -> list[tuple[str, str, dict[str, str]]]:
        rows = self.conn.execute("SELECT action, object, detail FROM audit_log ORDER BY seq")
        return [(row["action"], row["object"], json.loads(row["detail"])) for row in rows]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    home = a_home(tmp_path / "node", an_upstream("http://127.0.0.1:9/messages"))
    with the_database(home) as conn:
        yield Node(home, conn)


def test_list_shows_what_is_not_done_and_nothing_of_patients(node: Node) -> None:
    ids = put(node.conn, "p-first", "p-second", "p-third")
    node.kill(2)
    with transaction(node.conn):
        node.conn.execute("UPDATE outbox SET state = 'sent', settled_at = 1 WHERE seq = 3")
    output = node.run("list").output
    assert ids[0] in output and ids[1] in output and ids[2] not in output
    assert "rejected (HTTP 422)" in output
    whole = output + node.run("list", "--state", "sent", "--json").output + node.run("list", "--json").output
    assert "单雅琴" not in whole and "p-first" not in whole and "sha" not in whole
    assert [one["state"] for one in node.json("list", "--state", "dead")["messages"]] == ["dead"]
    assert node.json("list", "--upstream", "nobody")["messages"] == []
    assert node.json("list", "--limit", "1")["more"] is True


def test_show_prints_the_envelope_and_the_body_only_when_asked(node: Node) -> None:
    (message_id,) = put(node.conn, "p1")
    message = queue.get(node.conn, message_id)
    assert message is not None
    output = node.run("show", message_id).output
    assert message.body_sha256.hex() in output and "encounter" in output and "单雅琴" not in output
    assert message.body in node.run("show", message_id, "--body").output
    assert "body" not in node.json("show", message_id)["message"]
    assert node.json("show", message_id, "--body")["message"]["body"] == message.body


def test_a_dead_letter_is_revived_and_buried_with_who_and_why(node: Node) -> None:
    ids = put(node.conn, "p1", "p2", "p3")
    node.kill(1, 2)
    assert f"revived: {ids[0]}" in node.run("revive", ids[0], "--reason", "mended there").output
    assert f"buried: {ids[1]}" in node.run("bury", ids[1], "--reason", "entered by hand").output
    assert node.states() == ["queued", "buried", "queued"]
    (act,) = node.json("show", ids[1])["message"]["acts"]
    assert (act["act"], act["why"], bool(act["by"])) == ("bury", "entered by hand", True)
    assert node.audit() == [
        ("message_revived", f"message:{ids[0]}", {"reason": "mended there"}),
        ("message_buried", f"message:{ids[1]}", {"reason": "entered by hand"}),
    ]
    assert audit.verify(node.conn) is None


def test_all_of_one_upstream_at_once_and_a_dry_run_changes_nothing(node: Node) -> None:
    ids = put(node.conn, "p1", "p2", "p3")
    node.kill(1, 3)
    dry = node.run("revive", "--all", "--upstream", "platform", "--reason", "x", "--dry-run").output
    assert f"would be revived: {ids[0]}" in dry and ids[1] not in dry
    assert node.states() == ["dead", "queued", "dead"] and node.audit() == []
    assert "no dead message" in node.run("revive", "--all", "--upstream", "bureau", "--reason", "x").output
    node.run("revive", "--all", "--reason", "x")
    assert node.states() == ["queued"] * 3


@pytest.mark.parametrize(
    "arguments, code, exit_code",
    [
        pytest.param(("revive", "01ARZ3", "--reason", "x"), "message-unknown", 4, id="unknown"),
        pytest.param(("show", "01ARZ3"), "message-unknown", 4, id="unknown-shown"),
        pytest.param(("bury", "{queued}", "--reason", "x"), "message-not-dead", 4, id="not-dead"),
        pytest.param(("bury", "{dead}", "{queued}", "--reason", "x"), "message-not-dead", 4, id="all-or-none"),
        pytest.param(("bury", "{dead}", "--reason", " "), "usage", 2, id="an-empty-reason"),
        pytest.param(("bury", "{dead}", "--all", "--reason", "x"), "usage", 2, id="ids-and-all"),
        pytest.param(("revive", "--reason", "x"), "usage", 2, id="neither"),
        pytest.param(("bury", "{dead}"), "--reason", 2, id="no-reason"),
    ],
)
def test_what_cannot_be_done_is_said_and_moves_nothing(
    node: Node, arguments: tuple[str, ...], code: str, exit_code: int
) -> None:
    queued, dead = put(node.conn, "p1", "p2")
    node.kill(2)
    words = [argument.format(queued=queued, dead=dead) for argument in arguments]
    done = edge_node("outbox", *words, home=node.home)
    assert done.returncode == exit_code and code in done.stderr, done.stderr
    assert node.states() == ["queued", "dead"] and node.audit() == []


def test_the_default_of_list_is_what_is_not_done() -> None:
    assert set(module.OPEN) | {State.SENT, State.BURIED} == set(State)
