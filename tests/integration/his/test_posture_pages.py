"""The line as it is served: shared by all pages, alone for a page that is open, and in a frame without script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_node.his.posture.views import EXTENSION
from edge_node.his.staff.model import Role
from edge_node.status import NodeStatus, Posture, Reason
from tests.support.his import His, a_his, a_node_status
from tests.support.node_files import CLOUD, a_file, a_line, a_node, an_upstream, links_state, offline, on_backup
from tests.support.node_files import outbox_state as an_outbox


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path, language="en") as his:
        his.add_staff("gu", Role.ADMIN)
        yield his


def node(links: dict[str, Any], **files: Any) -> NodeStatus:
    return a_node(links=a_file("links", **links), **files)


@pytest.mark.parametrize("posture", [Posture.ONLINE, Posture.BACKUP, Posture.OFFLINE, Posture.UNKNOWN])
def test_the_line_stands_on_every_page(his: His, posture: Posture) -> None:
    his.status = a_node_status(posture=posture)
    gu = his.sign_in("gu")
    for client, path in ((his.browser(), "/login"), (gu, "/console"), (gu, "/password"), (gu, "/nope")):
        page = client.get(path).text
        assert f'class="posture posture--{posture}" id="posture" role="status"' in page, path
        assert re.search(rf'<noscript><iframe class="[^"]*--{posture}" src="/posture/line\?frame=1" title="\w+">', page)
        assert re.search(r'<noscript><link rel="stylesheet" href="/static/noscript\.css\?v=\w+"></noscript>', page)
        assert '<template id="posture-lost"><section class="posture posture--unknown"' in page


def test_the_frame_asks_for_itself_again_and_only_our_own_pages_may_hold_it(his: His) -> None:
    answer = his.client.get("/posture/line?frame=1")
    assert answer.headers["Refresh"] == "2"
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    page = answer.text
    assert '<html lang="en">' in page and 'target="_top"' in page
    assert "data-from" not in page and "<script" not in page and "<iframe" not in page
    alone = his.client.get("/posture/line")
    assert "Refresh" not in alone.headers
    assert "frame-ancestors 'none'" in alone.headers["Content-Security-Policy"]


def test_the_frame_keeps_no_session_alive(tmp_path: Path) -> None:
    with a_his(tmp_path, idle_lock_s=900) as his:
        his.add_staff("gu", Role.ADMIN)
        his.sign_in("gu")
        for _ in range(20):
            his.clock.advance(60)
            assert his.client.get("/posture/line?frame=1").status_code == 200
        assert his.client.get("/console").location.startswith("/login")


def test_the_line_is_drawn_once_for_a_reading_and_a_language(his: His) -> None:
    def drawn(language: str = "en") -> object:
        his.client.set_cookie("lang", language)
        his.client.get("/posture/line")
        return his.app.extensions[EXTENSION].lines[language]

    his.status = node(on_backup())
    first = drawn()
    his.sign_in("gu").get("/console")
    assert drawn() is first, "pages and askings share it"
    chinese = drawn("zh_Hans_CN")
    assert chinese is not first and drawn() is first
    his.status = node(on_backup())
    assert drawn() is not first, "a new reading is drawn anew"


def test_durations_in_the_line_go_on(his: His) -> None:
    his.status = replace(node(on_backup()), mode_since="2026-11-18T09:00:00Z")
    before = his.client.get("/posture/line").text
    his.clock.advance(600)
    assert his.client.get("/posture/line").text != before


def test_figures_that_move_are_not_read_aloud(his: His) -> None:
    his.status = node(on_backup())
    facts = re.search(r'posture__facts">(.*?)</span>\s*<a', his.client.get("/posture/line").text, re.S)
    assert facts
    loud = re.findall(r"<span>([^<]+)", facts[1])
    assert loud == ["telecom down: silent for 1.0 s on 2 of 2 targets", "everything works", "Cloud copy is up to date"]


def test_what_a_carrier_is_called_is_in_its_own_language(his: His) -> None:
    down = [a_line(verdict="down", carrier="中国电信"), a_line("unicom", verdict="down")]
    his.status = node(offline(lines=down))
    page = his.client.get("/posture/line").text
    assert '<b>Report to:</b> <span data-typed lang="zh-Hans">中国电信 · China Unicom</span>' in page


def test_no_line_matters_for_whether_the_his_can_write(his: His) -> None:
    his.status = node(offline())
    assert his.client.get("/readyz").status_code == 200
    assert his.client.get("/healthz").status_code == 200
    document = json.loads(his.client.get("/api/status").text)
    assert document["posture"] == {"name": "offline", "exercise": False}
    assert [line["verdict"] for line in document["lines"]] == ["down", "down"]


def test_the_console_shows_lines_outbox_orders_and_why(his: His) -> None:
    order = {"id": "a1", "kind": "hold", "line": "telecom", "since": "2026-11-18T09:00:00Z",
             "until": "2026-11-18T12:00:00Z", "by": "gu", "why": "检修"}  # fmt: skip
    wait = {"code": "hold-runs", "args": {"line": "telecom", "left_s": 90.0}}
    refused = {"code": "destination-refused", "args": {"destination": "cloud", "why": "HTTP 403 <AccessDenied>"}}
    paused = {"code": "key-refused", "args": {"why": "HTTP 401"}}
    his.status = node(
        on_backup(wait=wait, orders=[order]),
        outbox=a_file("outbox", **an_outbox(an_upstream("cdc", queued=1, waiting=2, dead=3, paused=paused))),
        replica=a_file("replica", destinations=[{**CLOUD, "state": "refused", "reason": refused}]),
    )
    page = his.sign_in("gu").get("/console").text
    for words in (
        "Why unicom now:", "telecom down: silent for 1.0 s on 2 of 2 targets", "Waited for:", "in use",
        "telecom must be good for 2 min more", "18 ms", "24 ms", "100%", "China Telecom", "preferred 1", "hold", "检修",
        "cdc", "paused", "key-refused: HTTP 401", "HTTP 403 &lt;AccessDenied&gt;",
        "messages to cdc that need a person: 3",
    ):  # fmt: skip
        assert words in page, words


def test_the_console_of_a_node_that_knows_nothing_says_so(his: His) -> None:
    his.status = a_node(links=None, outbox=None, replica=None)
    page = his.sign_in("gu").get("/console").text
    for words in ("the watcher of the lines has not said anything yet", "Nothing is known of the outbox",
                  "Nothing is known of the copies", "service links is not running"):  # fmt: skip
        assert words in page, words


def test_a_problem_of_a_newer_service_is_shown_as_it_is(his: His) -> None:
    his.status = node(links_state(problems=[{"code": "moon-in-the-way", "args": {"why": "full"}}]))
    assert Reason(code="moon-in-the-way", args={"why": "full"}) in his.status.problems
    assert "moon-in-the-way: full" in his.sign_in("gu").get("/console").text
