"""The line at the top in a real browser: right in every posture, on time with and without script, and never in the way.

The HIS is real; what the watcher, the outbox and the replicator say is written by the test (`his_alone`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Locator, Page, ViewportSize, expect

from edge_node.base.clock import SystemClock, utc_text
from tests.support.clinic import WIDE, Clinic
from tests.support.his_alone import HisAlone, his_alone
from tests.support.node_files import CLOUD, DOWN, a_line, a_mode, an_upstream, links_state, outbox_state
from tests.support.pages import Trouble, faults, overflow
from tests.support.waiting import until

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
REGISTRAR, MANAGER = "zhoumin", "hanmei"
LANGUAGES = ("zh_Hans_CN", "en")
# What the contract of this line allows between a change and its being seen.
SEEN_WITHIN_S = 5.0
SEEN_WITHIN_MS = SEEN_WITHIN_S * 1000


@pytest.fixture(scope="module")
def node(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HisAlone]:
    """A HIS without the other services; asks for the browser first, without which nothing is started."""
    with his_alone(Path(tmp_path_factory.mktemp("alone")) / "node") as node:
        yield node


@pytest.fixture(scope="module")
def clinic(node: HisAlone, browser: Browser) -> Clinic:
    return Clinic(node, browser)


def ago(seconds: float) -> str:
    return utc_text(SystemClock().wall_ms() - round(seconds * 1000))


def mode(name: str, code: str, since_s: float, **args: Any) -> dict[str, Any]:
    return {**a_mode(name, code, **args), "since": ago(since_s)}


def copies(state: str, rpo_s: float, **more: Any) -> dict[str, Any]:
    cloud = {**CLOUD, "state": state, "rpo_s": rpo_s, "confirmed_at": ago(rpo_s), **more}
    return {"epoch": 1, "litestream": "running", "txid": 1234, "captured_at": ago(0), "problems": [],
            "destinations": [{"name": "local", "state": "current", "rpo_s": 0.0}, cloud]}  # fmt: skip


def situation(posture: str) -> dict[str, dict[str, Any]]:
    """What the three other services say while the posture is this one."""
    waiting = an_upstream(queued=37, oldest_queued_at=ago(2220))
    down = {**DOWN, "since": ago(2280)}
    match posture:
        case "online":
            return {"links": links_state(), "outbox": outbox_state(), "replica": copies("current", 0)}
        case "backup":
            order = {"id": "a1", "kind": "pin", "line": "unicom", "since": ago(60), "until": ago(-7200), "by": "gu",
                     "why": "电信在检修"}  # fmt: skip
            return {
                "links": links_state(
                    mode=mode("backup", "line-down", 720, line="telecom", cause="silent"),
                    line="unicom",
                    wait={"code": "hold-runs", "args": {"line": "telecom", "left_s": 119.0}},
                    lines=[a_line(**down), a_line("unicom", active=True, order="pin")],
                    orders=[order],
                ),
                "outbox": outbox_state(
                    an_upstream(queued=3, oldest_queued_at=ago(4)),
                    an_upstream("cdc", waiting=2, oldest_queued_at=ago(660), paused={"code": "x", "args": {}}),
                    an_upstream("platform-2", dead=1),
                ),
                "replica": copies("behind", 2.0),
            }
        case "offline":
            why = {"code": "destination-unreachable", "args": {"why": "timed out after 5 s"}}
            return {
                "links": links_state(mode=mode("offline", "every-line-down", 2280), line=None,
                                     lines=[a_line(**down), a_line("unicom", **down)]),
                "outbox": outbox_state(waiting),
                "replica": copies("unreachable", 2280.0, reason=why),
            }  # fmt: skip
        case "recovering":
            return {
                "links": links_state(mode=mode("online", "back-online", 45, line="telecom", alive_s=10.0)),
                "outbox": outbox_state(waiting, since_outage=412),
                "replica": copies("behind", 312.0),
            }
        case _:
            return {
                "links": {},
                "outbox": outbox_state(an_upstream(queued=5, oldest_queued_at=ago(20))),
                "replica": copies("current", 0),
            }


def tell(node: HisAlone, posture: str) -> None:
    """Let the other services say so, now."""
    for service, state in situation(posture).items():
        silent = posture == "unknown" and service == "links"
        node.says(service, stopped=silent, **(links_state() if silent else state))
    node.says("monitor")


def the_line(page: Page) -> Locator:
    return page.locator("#posture")


def the_frame(page: Page) -> Frame:
    """The frame that a page without script has."""
    return until(lambda: next((frame for frame in page.frames if frame is not page.main_frame), None))


def shown(page: Page, *, script: bool) -> str:
    """The posture on the screen."""
    place: Page | Frame = page if script else the_frame(page)
    try:
        found = place.locator("section.posture").first.get_attribute("class", timeout=1000) or ""
    except Exception:  # the frame is being loaded anew
        return ""
    return found.rpartition("posture--")[2]


POSTURES = ("online", "backup", "offline", "recovering", "unknown")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("posture", POSTURES)
def test_pages_are_sound_in_every_posture(clinic: Clinic, node: HisAlone, posture: str, language: str) -> None:
    tell(node, posture)
    found = []
    pages = [(REGISTRAR, "/reception"), (MANAGER, "/console")]
    for who, path in [*pages, (REGISTRAR, "/posture")] if posture in ("offline", "unknown") else pages:
        page = clinic.open(who, language=language)
        trouble = Trouble(page)
        page.goto(clinic.url(path))
        until(lambda page=page: page.reload() and shown(page, script=True) == posture)  # type: ignore[misc]
        found += [f"{path}: {fault}" for fault in faults(page, language=language)]
        name = f"06-{posture}{path.replace('/', '-')}-{language}"
        picture(page, f"{name}-{WIDE['width']}")
        page.set_viewport_size(TABLET)
        found += [f"{path} at {TABLET['width']} px: {fault}" for fault in overflow(page)]
        picture(page, f"{name}-{TABLET['width']}")
        found += trouble.lines
        page.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("posture", POSTURES)
def test_without_script_the_line_stands_whole_in_its_frame(
    clinic: Clinic, node: HisAlone, posture: str, language: str
) -> None:
    tell(node, posture)
    page = clinic.open(REGISTRAR, language=language, script=False)
    page.goto(clinic.url("/reception"))
    until(lambda: page.reload() and shown(page, script=False) == posture)
    assert not the_line(page).is_visible(), "the line is there twice"
    for size in (WIDE, TABLET):
        page.set_viewport_size(size)
        page.reload()
        until(lambda: shown(page, script=False) == posture)
        room = page.locator("iframe").evaluate("e => e.getBoundingClientRect().height")
        needs = the_frame(page).evaluate("document.documentElement.scrollHeight")
        assert needs <= room, f"the line needs {needs} px of {room} at {size['width']} px"
        assert not list(overflow(page))
        picture(page, f"06-{posture}-noscript-{language}-{size['width']}")
    link = the_frame(page).locator(".posture__more")
    assert link.get_attribute("target") == "_top", "the page of what works now opens in the frame"
    page.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_change_is_on_the_screen_within_five_seconds_and_nothing_typed_is_lost(
    clinic: Clinic, node: HisAlone, script: bool
) -> None:
    tell(node, "online")
    page = clinic.open(REGISTRAR, script=script)
    page.goto(clinic.url("/reception"))
    until(lambda: page.reload() and shown(page, script=script) == "online")
    page.fill("#name", "单雅琴")
    page.focus("#phone")
    for posture in ("backup", "offline", "recovering", "online", "unknown", "online"):
        told_at = time.monotonic()
        tell(node, posture)
        until(lambda posture=posture: shown(page, script=script) == posture, within_s=20)  # type: ignore[misc]
        assert time.monotonic() - told_at <= SEEN_WITHIN_S, posture
    assert page.input_value("#name") == "单雅琴"
    assert page.evaluate("document.activeElement.id") == "phone"
    page.close()


def test_a_watcher_that_dies_is_unknown_as_soon_as_its_word_is_stale(clinic: Clinic, node: HisAlone) -> None:
    """Its file is believed for three of its ticks; from then on the line has its five seconds."""
    tell(node, "online")
    page = clinic.open(REGISTRAR)
    page.goto(clinic.url("/reception"))
    until(lambda: page.reload() and shown(page, script=True) == "online")
    stale_at = time.monotonic() + 3 * 1.0
    node.says("links", every_s=1.0, **links_state())
    expect(the_line(page)).to_have_class(re.compile("posture--unknown"), timeout=20_000)
    assert stale_at - 0.1 <= time.monotonic() <= stale_at + SEEN_WITHIN_S
    page.close()


def test_the_line_is_left_alone_while_nothing_changes(clinic: Clinic, node: HisAlone) -> None:
    """A screen reader reads changes aloud: the same facts are no change."""
    tell(node, "online")
    page = clinic.open(REGISTRAR)
    page.goto(clinic.url("/reception"))
    until(lambda: page.reload() and shown(page, script=True) == "online")
    page.evaluate(
        """() => { window.changes = [];
            new MutationObserver((all) => window.changes.push(...all.map((c) => c.type)))
              .observe(document.getElementById("posture"),
                       { subtree: true, childList: true, attributes: true, characterData: true }); }"""
    )
    for _ in range(3):
        with page.expect_response("**/posture/line", timeout=SEEN_WITHIN_MS):
            pass
    assert page.evaluate("window.changes") == []
    tell(node, "backup")
    expect(the_line(page)).to_have_class(re.compile("posture--backup"), timeout=SEEN_WITHIN_MS)
    assert page.evaluate("window.changes.length") > 0, "the observer saw nothing at all"
    page.close()


def test_the_focus_stays_in_the_line_when_it_changes(clinic: Clinic, node: HisAlone) -> None:
    tell(node, "online")
    page = clinic.open(REGISTRAR)
    page.goto(clinic.url("/reception"))
    until(lambda: page.reload() and shown(page, script=True) == "online")
    page.focus("#posture .posture__more")
    tell(node, "offline")
    expect(the_line(page)).to_have_class(re.compile("posture--offline"), timeout=SEEN_WITHIN_MS)
    expect(page.locator("#posture .posture__more")).to_be_focused()
    page.close()


def test_a_page_that_nobody_sees_asks_for_nothing(clinic: Clinic, node: HisAlone) -> None:
    tell(node, "online")
    page = clinic.open(REGISTRAR)
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/posture/line") else None)
    page.goto(clinic.url("/reception"))
    with page.expect_response("**/posture/line"):
        page.clock.run_for(2_000)

    def seen(visible: bool) -> None:
        page.evaluate(
            """(hidden) => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange")); }""",
            not visible,
        )

    seen(False)
    page.clock.run_for(1_000)
    before = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == before
    with page.expect_response("**/posture/line"):
        seen(True)
    with page.expect_response("**/posture/line"):
        page.clock.run_for(2_000)
    page.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_node_that_does_not_answer_is_not_shown_as_it_was(clinic: Clinic, node: HisAlone, language: str) -> None:
    tell(node, "online")
    page = clinic.open(REGISTRAR, language=language)
    page.goto(clinic.url("/reception"))
    until(lambda: page.reload() and shown(page, script=True) == "online")
    page.route("**/posture/line", lambda route: route.abort())
    expect(the_line(page)).to_have_class(re.compile("posture--unknown"), timeout=SEEN_WITHIN_MS)
    picture(page, f"06-lost-reception-{language}-{WIDE['width']}")
    page.unroute("**/posture/line")
    expect(the_line(page)).to_have_class(re.compile("posture--online"), timeout=SEEN_WITHIN_MS)
    page.close()


def picture(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
