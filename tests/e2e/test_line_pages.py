"""The lines on the console in a real browser: every period, a line of its own page, in both languages, and on paper.

The HIS is real, and its node.db has five weeks of two lines; what the watcher says of them now is written by the test.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from edge_node.base.clock import SystemClock, utc_text
from edge_node.his.line_history import Period
from edge_node.store.connection import close_keeping_wal, connect
from edge_node.store.databases import db_path
from tests.support.clinic import WIDE, Clinic
from tests.support.his_alone import HisAlone, his_alone
from tests.support.line_history import LINES, fill
from tests.support.node_files import DOWN, a_line, a_mode, links_state, outbox_state
from tests.support.pages import Trouble, faults, overflow
from tests.support.waiting import until

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
MANAGER, REGISTRAR = "hanmei", "zhoumin"
LANGUAGES = ("zh_Hans_CN", "en")

CONFIG = """
[[line]]
name = "telecom"
carrier = "中国电信"
circuit = "SZ-20418837"
preferred = 1
interface = "enp2s0"
contract = { availability = 0.999, rtt_p95 = "8ms", loss = 0.001 }
detect = { rtt_bad = "14ms", rtt_ok = "10ms" }
[[line.target]]
address = "10.100.0.1"
[[line.target]]
address = "10.100.0.2"
[[line]]
name = "unicom"
carrier = "中国联通"
preferred = 2
interface = "enp3s0"
[[line.target]]
address = "10.100.0.1"
[[line.target]]
address = "10.100.0.2"
[[line]]
name = "line-3"
carrier = "中国移动"
preferred = 3
interface = "wwan0"
"""


def five_weeks(home: Path) -> None:
    """Two of the three lines have a history; the third was added just now, and has no target."""
    config = home / "edge-node.toml"
    # Where this machine has a default route, the training clinic has a line already: the last table of the file.
    config.write_text(config.read_text(encoding="utf-8").partition("[[line]]")[0] + CONFIG, encoding="utf-8")
    conn = connect(db_path(home, "node"))
    fill(conn, until_ms=SystemClock().wall_ms(), days=35, lines=LINES)
    close_keeping_wal(conn)


@pytest.fixture(scope="module")
def node(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HisAlone]:
    """A HIS without the other services; asks for the browser first, without which nothing is started."""
    with his_alone(Path(tmp_path_factory.mktemp("lines")) / "node", prepare=five_weeks) as node:
        yield node


@pytest.fixture(scope="module")
def clinic(node: HisAlone, browser: Browser) -> Clinic:
    return Clinic(node, browser)


def ago(seconds: float) -> str:
    return utc_text(SystemClock().wall_ms() - round(seconds * 1000))


def a_target(address: str, **changes: Any) -> dict[str, Any]:
    return {"address": address, "name": address, "kind": "icmp", "role": "cloud", "loss_ratio": 0.0, "rtt_s": 0.0181,
            "jitter_s": 0.0006, "silent_s": 0.1, "barred": None, "direction": None, **changes}  # fmt: skip


def a_rule(rule: str, *, holds: bool = True, **args: Any) -> dict[str, Any]:
    return {"rule": rule, "value": "?", "limit": "?", "holds": holds, "args": args}


def tell(node: HisAlone) -> None:
    """Telecom is silent, unicom is used, an order stands: now."""
    order = {"id": "a1", "kind": "hold", "line": "telecom", "since": ago(60), "until": ago(-7200), "by": "gu",
             "why": "电信工单 2611-0882 检修中"}  # fmt: skip
    silent = {"loss_ratio": 1.0, "rtt_s": None, "jitter_s": None, "silent_s": 720.0}
    rules = [
        a_rule("link", present=True, carrier=True, address=True, route=True),
        a_rule("silence", holds=False, silent_s=720.0, limit_s=1.0, targets=2),
        a_rule("loss", holds=False, loss_ratio=1.0, limit=0.10),
        a_rule("delay (p95)", rtt_p95_s=None, limit_s=0.014),
        a_rule("hold", holds=False, good_s=0.0, hold_s=120.0),
        a_rule("penalty", points=2100.0, below=2500),
        a_rule("order", kind="hold", by="gu", left_s=7190.0),
        a_rule("preference", preferred=1, metered=False, after=[]),
    ]
    ways = {"out": {"loss_ratio": 1.0}, "back": None}
    telecom = a_line(
        **DOWN, carrier="中国电信", since=ago(720), interface="enp2s0", hold_left_s=120.0, penalty=2100.0, order="hold",
        targets=[a_target("10.100.0.1:862", kind="stamp", **silent, direction=ways), a_target("10.100.0.2", **silent),
                 a_target("10.1.1.1", role="carrier", rtt_s=0.0007)],
        explain=rules,
    )  # fmt: skip
    unicom = a_line("unicom", carrier="中国联通", active=True, interface="enp3s0", targets=[a_target("10.100.0.1")],
                    explain=[a_rule("preference", holds=True, preferred=2, metered=False, after=[])])  # fmt: skip
    third = a_line("line-3", carrier="中国移动", preferred=3, metered=True, rtt_s=None, rtt_p95_s=None,
                   loss_ratio=None, reason={"code": "link-only", "args": {}}, interface="wwan0", targets=[],
                   explain=[])  # fmt: skip
    why = {**a_mode("backup", "line-down", line="telecom", cause="silent"), "since": ago(720)}
    node.says(
        "links",
        **links_state(
            mode=why, line="unicom", routed="unicom", lines=[telecom, unicom, third], orders=[order],
            wait={"code": "hold-runs", "args": {"line": "telecom", "left_s": 119.0}},
        ),
    )  # fmt: skip
    for service, state in (("outbox", outbox_state()), ("monitor", {}), ("replica", _copies())):
        node.says(service, **state)


def _copies() -> dict[str, Any]:
    return {"epoch": 1, "litestream": "running", "txid": 1234, "captured_at": ago(0), "problems": [],
            "destinations": [{"name": "local", "state": "current", "rpo_s": 0.0}]}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def told(clinic: Clinic, node: HisAlone) -> None:
    """The HIS remembers a reading for half a second: wait until it shows what was said."""
    tell(node)
    with _opened(clinic, language="en") as (page, _):
        until(lambda: page.goto(clinic.url("/console/lines/telecom")) is not None
              and page.locator(".b--bad").count() > 0)  # fmt: skip


@contextlib.contextmanager
def _opened(clinic: Clinic, *, language: str, script: bool = True) -> Iterator[tuple[Page, Trouble]]:
    page = clinic.open(MANAGER, language=language, script=script)
    try:
        yield page, Trouble(page)
    finally:
        page.close()


PAGES = {
    "08-console-lines": "/console",
    "08-console-30d": "/console?period=30d",
    **{f"09-line-{period}": f"/console/lines/telecom?period={period}" for period in Period},
    "09-line-new": "/console/lines/line-3",
}
# Both languages where a person looks first; every page in the longer one, the words of the others differ in little.
LOOKS = [("08-console-lines", "zh_Hans_CN"), ("09-line-24h", "zh_Hans_CN"), ("09-line-new", "zh_Hans_CN"),
         *((name, "en") for name in PAGES)]  # fmt: skip


@pytest.mark.parametrize("name, language", LOOKS)
def test_a_page_of_the_lines_is_sound_at_both_widths(clinic: Clinic, name: str, language: str) -> None:
    with _opened(clinic, language=language) as (page, trouble):
        page.goto(clinic.url(PAGES[name]))
        found = [*faults(page, language=language), *unseen(page)]
        picture(page, f"{name}-{language}-{WIDE['width']}")
        page.set_viewport_size(TABLET)
        found += [f"at {TABLET['width']} px: {fault}" for fault in (*overflow(page), *unseen(page))]
        picture(page, f"{name}-{language}-{TABLET['width']}")
        found += trouble.lines
        assert not found, "\n".join(found)


def unseen(page: Page) -> list[str]:
    """Pictures: one and only one of the sizes is seen, neither cut off nor scaled by more than a sixth."""
    told: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".fits")].flatMap((fits) => {
          const seen = [...fits.querySelectorAll("svg.chart")].filter((svg) => svg.checkVisibility());
          if (seen.length !== 1) return [`${seen.length} sizes of one picture are seen`];
          const box = seen[0].getBoundingClientRect(), scale = box.width / seen[0].viewBox.baseVal.width;
          const said = [...seen[0].querySelectorAll("text")].map((text) => text.getBoundingClientRect());
          const out = said.filter((t) => t.left < box.left - 1 || t.right > box.right + 1 || t.bottom > box.bottom + 1);
          return [...(scale < 1 / 1.17 || scale > 1.17 ? [`scaled by ${scale}`] : []),
                  ...(out.length ? [`${out.length} words of a picture are cut off`] : [])];
        })"""
    )
    return told


def test_colours_and_hatches_come_from_the_style_sheet(clinic: Clinic) -> None:
    """Under the strict policy: a median drawn black or filled would mean that the classes found no style."""
    with _opened(clinic, language="en") as (page, _):
        page.goto(clinic.url("/console/lines/telecom"))
        style = "(e) => { const s = getComputedStyle(e); return [s.stroke, s.fill, s.strokeDasharray]; }"
        shown = page.locator(".fits__wide svg.chart")
        assert shown.locator(".c-med.c-l0").first.evaluate(style)[:2] == ["rgb(11, 95, 102)", "none"]
        assert shown.locator(".c-promise").evaluate(style)[2] == "10px, 3px, 2px, 3px"
        expect(shown.locator(".c-out")).to_have_count(2)
        expect(shown.locator(".c-blind").first).to_be_visible()


def test_periods_and_lines_are_reached_without_script(clinic: Clinic) -> None:
    with _opened(clinic, language="en", script=False) as (page, trouble):
        page.goto(clinic.url("/console"))
        page.click(".periods a[href*='period=7d']")
        assert page.locator(".periods [aria-current]").inner_text() == "7 days"
        page.click(".line h3 a >> nth=0")
        assert page.url.endswith("/console/lines/telecom?period=7d")
        assert page.locator(".periods [aria-current]").inner_text() == "7 days"
        assert "outages: " in page.locator(".said").inner_text()
        assert trouble.lines == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_on_paper(clinic: Clinic, language: str) -> None:
    """As A4 holds them: no bar, no posture line, nothing wider than the sheet, the picture whole."""
    with _opened(clinic, language=language) as (page, _):
        page.set_viewport_size({"width": 718, "height": 1000})
        page.emulate_media(media="print")
        for name, path in (("08-console-print", "/console"), ("09-line-print", "/console/lines/telecom")):
            page.goto(clinic.url(path))
            assert not page.locator(".top").is_visible()
            assert overflow(page) == [] and unseen(page) == []
            picture(page, f"{name}-{language}")
        assert page.locator(".said").is_visible()


def test_a_registrar_sees_no_line(clinic: Clinic) -> None:
    page = clinic.open(REGISTRAR, language="en")
    answer = page.goto(clinic.url("/console/lines/telecom"))
    assert answer is not None and answer.status == 403
    page.close()


def picture(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
