"""The posture from what the services wrote: an outage is over when what it left has left, and nothing flickers."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.base.files import ServiceStatus
from edge_node.status import Mode, NodeStatus, Posture
from tests.support.node_files import (
    CLOUD,
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
    without_lines,
)
from tests.support.status_schema import STATUS_SCHEMA

# The node was offline until half a minute ago.
BACK = {"mode": a_mode("online", "back-online", since_s=30, line="telecom", alive_s=10.2)}
BACK_ON_BACKUP = {"mode": a_mode("backup", "back-online", since_s=30, line="unicom", alive_s=10.2), "line": "unicom"}


def waiting(n: int, age_s: float, **changes: Any) -> ServiceStatus:
    return a_file("outbox", **outbox_state(an_upstream(queued=n, oldest_queued_at=ago(age_s), **changes)))


def a_copy(state: str, rpo_s: float | None) -> ServiceStatus:
    return a_file("replica", destinations=[{"name": "local", "state": "current"}, {**CLOUD, "state": state,
                                                                                  "rpo_s": rpo_s}])  # fmt: skip


def links(age_s: float = 0.5, **state: Any) -> ServiceStatus:
    return a_file("links", age_s=age_s, **state)


STORIES = [
    pytest.param({"links": links(**without_lines())}, "online", id="a-node-without-lines"),
    pytest.param({"links": links(**links_state())}, "online", id="on-the-preferred-line"),
    pytest.param({"links": links(**on_backup())}, "backup", id="on-another-line"),
    pytest.param({"links": links(**offline())}, "offline", id="on-no-line"),
    # Unknown
    pytest.param({"links": None}, "unknown", id="the-watcher-never-spoke"),
    pytest.param({"links": links(7.0, **links_state())}, "unknown", id="the-watcher-hangs"),
    pytest.param({"links": a_file("links", stopped=True)}, "unknown", id="the-watcher-was-stopped"),
    pytest.param({"links": a_file("links", boot="before")}, "unknown", id="a-word-of-the-boot-before"),
    pytest.param(
        {"links": links(**links_state(mode=a_mode("starting", "listening")))}, "unknown", id="the-watcher-listens-still"
    ),
    pytest.param({"links": links(mode={"name": "dancing"})}, "unknown", id="a-mode-of-a-newer-watcher"),
    pytest.param({"links": links(mode="online")}, "unknown", id="a-mode-of-another-shape"),
    # Recovering: messages
    pytest.param({"links": links(**links_state(**BACK))}, "online", id="back-and-nothing-waits"),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(144, 600)}, "recovering",
        id="messages-of-the-outage-wait",
    ),
    pytest.param(
        {"links": links(**on_backup(**BACK_ON_BACKUP)), "outbox": waiting(144, 600)},
        "recovering",
        id="also-on-the-backup-line",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(1, 31)}, "recovering", id="the-last-of-the-outage"
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(9, 29)}, "online", id="only-messages-of-later-wait"
    ),
    pytest.param({"links": links(**offline()), "outbox": waiting(144, 600)}, "offline", id="offline-is-offline"),
    pytest.param(
        {"links": links(**on_backup()), "outbox": waiting(1, 720.5)},
        "backup",
        id="a-message-put-just-before-a-failover-is-no-recovery",
    ),
    pytest.param(
        {"links": links(**links_state()), "outbox": waiting(300, 5000)},
        "online",
        id="an-upstream-that-is-away-is-no-outage-of-the-lines",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(5, 600, paused={"code": "refused", "args": {}})},
        "online",
        id="a-paused-upstream-holds-nothing-back",
    ),
    pytest.param(
        {
            "links": links(**links_state(**BACK)),
            "outbox": a_file(
                "outbox",
                **outbox_state(
                    an_upstream("cdc", waiting=5, oldest_queued_at=ago(600), paused={"code": "refused", "args": {}}),
                    an_upstream(queued=1, oldest_queued_at=ago(60)),
                ),
            ),
        },
        "recovering",
        id="the-other-upstream-still-drains",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(4, 600, dead=1, held=4)},
        "online",
        id="what-stands-behind-a-dead-letter-waits-for-a-person-too",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(9, 600, dead=1, held=4)},
        "recovering",
        id="beside-a-dead-letter-the-others-still-leave",
    ),
    pytest.param(
        {
            "links": links(**links_state(mode=a_mode("online", "back-online", since_s=601, line="telecom", alive_s=9))),
            "outbox": waiting(9, 86_400, dead=1, held=8),
        },
        "online",
        id="the-age-of-a-held-message-is-not-that-of-a-new-one",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": waiting(0, 600, dead=3)},
        "online",
        id="dead-letters-wait-for-a-person-not-for-a-line",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": a_file("outbox", age_s=60, **outbox_state(
            an_upstream(queued=9, oldest_queued_at=ago(600))))},
        "recovering",
        id="what-a-dead-outbox-had-left-has-not-left-since",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": a_file("outbox", queued="many")},
        "online",
        id="an-outbox-of-another-shape-says-nothing",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "outbox": a_file("outbox", queued=3, upstreams=[], since_outage=3)},
        "recovering",
        id="something-waits-and-nobody-says-since-when",
    ),
    # Recovering: what the watcher knows of the outage outlives the next move
    pytest.param(
        {
            "links": links(**links_state(mode=a_mode("online", "failback", since_s=5, line="telecom", good_s=60),
                                         offline_until=ago(90))),
            "outbox": waiting(20, 600),
        },
        "recovering",
        id="a-failback-does-not-end-the-recovery",
    ),
    pytest.param(
        {
            "links": links(**links_state(mode=a_mode("online", "failback", since_s=5, line="telecom", good_s=60),
                                         offline_until=ago(3600))),
            "outbox": waiting(1, 6),
        },
        "online",
        id="a-message-in-flight-at-a-failback-is-no-recovery",
    ),
    # Recovering: copies
    pytest.param(
        {"links": links(**links_state(**BACK)), "replica": a_copy("behind", 600.0)}, "recovering",
        id="a-copy-catches-up",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "replica": a_copy("behind", 2.0)}, "online",
        id="a-copy-lacks-the-newest",
    ),
    pytest.param(
        {"links": links(**links_state()), "replica": a_copy("behind", 600.0)}, "online", id="behind-without-an-outage"
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "replica": a_copy("unreachable", 600.0)},
        "recovering",
        id="a-copy-that-is-not-found-again-yet",
    ),
    pytest.param(
        {
            "links": links(**links_state(mode=a_mode("online", "back-online", since_s=61, line="telecom", alive_s=10))),
            "replica": a_copy("unreachable", 600.0),
        },
        "online",
        id="a-store-that-stays-away-has-a-trouble-of-its-own",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "replica": a_copy("refused", 600.0)}, "online",
        id="a-store-that-refuses",
    ),
    pytest.param(
        {"links": links(**links_state(**BACK)), "replica": a_copy("behind", None)}, "online", id="an-unknown-lag"
    ),
]  # fmt: skip


@pytest.mark.parametrize("files, posture", STORIES)
def test_story(files: dict[str, ServiceStatus | None], posture: str) -> None:
    node = a_node(**files)
    assert node.posture == posture
    jsonschema.validate(json.loads(json.dumps(node.as_json())), STATUS_SCHEMA)


def test_a_whole_outage_is_told_in_order_and_never_turns_green_too_soon() -> None:
    """One reading after the other, as the pages ask: nothing is remembered between them."""
    back = links_state(**BACK)
    told = [
        a_node(**files).posture
        for files in (
            {"links": links(**links_state())},
            {"links": links(**offline(since_s=1)), "outbox": waiting(1, 2)},
            {
                "links": links(**offline(since_s=600)),
                "outbox": waiting(400, 601),
                "replica": a_copy("unreachable", 600),
            },
            {"links": links(**back), "outbox": waiting(400, 601), "replica": a_copy("unreachable", 630)},
            {"links": links(**back), "outbox": waiting(12, 90), "replica": a_copy("behind", 630)},
            {"links": links(**back), "outbox": waiting(3, 1), "replica": a_copy("behind", 40)},
            {"links": links(**back), "outbox": waiting(3, 1), "replica": a_copy("behind", 2)},
            {"links": links(**back), "outbox": waiting(0, 0), "replica": a_copy("current", 0)},
        )
    ]
    assert told == ["online", "offline", "offline", "recovering", "recovering", "recovering", "online", "online"]


def test_the_last_word_of_a_silent_watcher_is_kept_and_not_believed() -> None:
    node = a_node(links=links(240.0, **on_backup()))
    assert (node.posture, node.mode, node.watch.line) == (Posture.UNKNOWN, Mode.BACKUP, "unicom")
    assert [(line["name"], line["verdict"], line["rtt_s"], line["active"]) for line in node.lines] == [
        ("telecom", "unknown", None, False),
        ("unicom", "unknown", None, True),  # its routes stay as they are
    ]
    assert {line["reason"]["code"] for line in node.lines} == {"links-silent"}


def test_a_word_of_the_boot_before_says_nothing_of_this_one() -> None:
    node = a_node(links=a_file("links", boot="before", **on_backup()))
    assert (node.mode, node.mode_since, node.mode_reason.code) == (Mode.STARTING, None, "links-unheard")
    assert [line["active"] for line in node.lines] == [False, False], "the routes went with the boot"


def test_a_reason_is_completed_by_the_figures_of_its_line() -> None:
    reason = a_node(links=links(**on_backup())).why()
    assert reason.args["cause"] == {"code": "silent", "args": {"silent_s": 1.04, "targets": 2}}
    healed = a_node(links=links(**on_backup(lines=[a_line(), a_line("unicom", active=True)]))).why()
    assert healed.args["cause"] == "silent", "the line has meanwhile another reason"


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["online", "platform", ago(5), "2026-13-01T00:00:00Z"])
    | st.sampled_from(["9999-12-31T23:59:59Z", "0001-01-01T00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(service=st.sampled_from(["links", "outbox", "replica"]), data=st.data())
def test_no_shape_of_a_file_stops_anybody(service: str, data: st.DataObject) -> None:
    """A service of another version, or a slip of a hand: what is not understood is left out, and the rest is judged."""
    states: dict[str, dict[str, Any]] = {
        "links": on_backup(),
        "outbox": outbox_state(an_upstream(queued=1, oldest_queued_at=ago(3))),
        "replica": dict(a_copy("behind", 600.0).state),
    }
    state = states[service]
    for key in data.draw(st.lists(st.sampled_from(sorted(state)), min_size=1, max_size=3)):
        value = state[key]
        if isinstance(value, list) and value and isinstance(value[0], dict) and value[0] and data.draw(st.booleans()):
            entry = {**value[0], data.draw(st.sampled_from(sorted(value[0]))): data.draw(ODD)}
            state = {**state, key: [entry, *value[1:]]}
        else:
            state = {**state, key: data.draw(ODD)}
    node: NodeStatus = a_node(**{service: a_file(service, **state)})
    assert node.exit_code() in (0, 4, 5, 6)
    document = json.loads(json.dumps(node.as_json()))
    if service != "replica":
        jsonschema.validate(document, STATUS_SCHEMA)
