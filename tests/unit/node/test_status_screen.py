"""The one screen of `edge-node status`, as the contract shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from edge_node.cli.status import screen
from tests.support.node_files import (
    CLOUD,
    WALL_MS,
    a_file,
    a_line,
    a_mode,
    a_node,
    ago,
    an_upstream,
    links_state,
    offline,
    on_backup,
    outbox_state,
)


@pytest.fixture(autouse=True)
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


def test_a_healthy_node_without_lines() -> None:
    head, copies, services = screen(a_node(), WALL_MS).split("\n\n")
    assert head == "clinic-0042          online since 18:54 (12 min)      this node has no line to watch"
    assert [line.split()[0] for line in copies.splitlines()] == ["REPLICA", "local", "cloud"]
    assert services == "outbox    0 queued     0 dead\nservices  5 of 5     none stale"


def test_a_node_on_its_backup_line_reads_like_the_contract() -> None:
    outbox = outbox_state(an_upstream(queued=3, oldest_queued_at=ago(4)))
    node = a_node(links=a_file("links", **on_backup()), outbox=a_file("outbox", **outbox))
    head, lines, _, rest, problems = screen(node, WALL_MS).split("\n\n")
    assert head == (
        "clinic-0042          backup on unicom since 18:54 (12 min)      "
        "telecom down: silent for 1.0 s on 2 of 2 targets"
    )
    assert lines.splitlines() == [
        "LINE      VERDICT   RTT     LOSS   SINCE    PREFERRED",
        "telecom   down      -       100%   18:54    1",
        "unicom    up        18 ms   0%     Nov 17   2",
    ]
    assert rest == "outbox    3 queued   oldest 4 s     0 dead\nservices  5 of 5     none stale"
    assert problems == ("problems\n  line-down                telecom down: silent for 1.0 s on 2 of 2 targets")


def test_what_is_wrong_is_said_with_its_words() -> None:
    """An order beside its line, a paused upstream, a store and why it refuses."""
    node = a_node(
        links=a_file("links", **links_state(lines=[a_line(active=True, order="pin"), a_line("unicom")])),
        outbox=a_file(
            "outbox",
            **outbox_state(an_upstream("cdc", waiting=2, dead=1, paused={"code": "refused", "args": {"why": "401"}})),
        ),
        replica=a_file(
            "replica",
            destinations=[{**CLOUD, "state": "refused", "reason": {"code": "x", "args": {"why": "HTTP 403"}}}],
        ),
    )
    text = screen(node, WALL_MS)
    assert "1, order: pin" in text
    assert "outbox    0 queued   2 waiting     1 dead   paused: cdc" in text
    assert "destination-refused      destination cloud refuses us (HTTP 403)" in text
    assert "upstream cdc is paused: refused: 401" in text
    assert "messages to cdc that need a person: 1" in text


def test_a_recovery_is_named_beside_the_mode() -> None:
    node = a_node(
        links=a_file("links", **links_state(mode=a_mode("online", "back-online", since_s=30, line="telecom",
                                                        alive_s=10.2))),
        outbox=a_file("outbox", **outbox_state(an_upstream(queued=9, oldest_queued_at=ago(600)))),
    )  # fmt: skip
    assert "online on telecom since 19:06 (30 s), recovering      telecom has lived for 10 s" in screen(node, WALL_MS)


def test_a_silent_watcher_is_not_told_as_the_present() -> None:
    node = a_node(links=a_file("links", age_s=240, **on_backup()))
    assert screen(node, WALL_MS).splitlines()[0] == (
        "clinic-0042          unknown, last known: backup on unicom since 18:54 (12 min)      "
        "the watcher of the lines is silent since 19:02 (4 min)"
    )
    assert "unicom    unknown   -" in screen(node, WALL_MS)
    never = screen(a_node(links=None), WALL_MS)
    assert never.startswith("clinic-0042          unknown      the watcher of the lines has not said anything yet")


def test_offline_names_no_line_and_a_silent_outbox_no_figure() -> None:
    node = a_node(links=a_file("links", **offline()), outbox=a_file("outbox", age_s=60))
    text = screen(node, WALL_MS)
    assert "offline since 18:54 (12 min)      no line lives" in text
    assert "outbox    not known: the service is not heard" in text
