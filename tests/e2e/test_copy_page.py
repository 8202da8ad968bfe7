"""The copies on the console in a real browser: in both languages, at both widths, with and without script."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from edge_node.base.clock import SystemClock
from edge_node.proof_orders import ProofOrderKind, read_proof_orders, replica_orders
from edge_node.store.connection import close_keeping_wal, connect
from edge_node.store.databases import db_path
from tests.support.clinic import WIDE, Clinic
from tests.support.copies_told import copies_state, fill_copies
from tests.support.his_alone import HisAlone, his_alone
from tests.support.pages import Trouble, faults, overflow
from tests.support.waiting import until

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
ADMIN, MANAGER = "admin", "hanmei"
LANGUAGES = ("zh_Hans_CN", "en")
NAS = '\n[[replica.destination]]\nname = "nas"\nurl = "file:///mnt/nas/0042"\nexpire = true\n'


def five_weeks(home: Path) -> None:
    config = home / "edge-node.toml"
    config.write_text(config.read_text(encoding="utf-8") + NAS, encoding="utf-8")
    conn = connect(db_path(home, "node"))
    fill_copies(conn, SystemClock().wall_ms())
    close_keeping_wal(conn)


@pytest.fixture(scope="module")
def node(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HisAlone]:
    """A HIS without the other services; asks for the browser first, without which nothing is started."""
    with his_alone(Path(tmp_path_factory.mktemp("copies")) / "node", prepare=five_weeks) as node:
        yield node


@pytest.fixture(scope="module")
def clinic(node: HisAlone, browser: Browser) -> Clinic:
    return Clinic(node, browser)


@pytest.fixture(scope="module", autouse=True)
def told(clinic: Clinic, node: HisAlone) -> None:
    """The HIS remembers a reading for half a second: wait until it shows what was said."""
    node.says("replica", **copies_state(SystemClock().wall_ms()))
    with _opened(clinic, language="en") as (page, _):
        until(lambda: page.goto(clinic.url("/console/replica")) is not None and page.locator(".b--bad").count() > 0)


@contextlib.contextmanager
def _opened(clinic: Clinic, *, language: str, script: bool = True, who: str = ADMIN) -> Iterator[tuple[Page, Trouble]]:
    page = clinic.open(who, language=language, script=script)
    try:
        yield page, Trouble(page)
    finally:
        page.close()


PAGES = {"10-replica": "/console/replica", "10-replica-nas": "/console/replica?copy=nas"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_sound_at_both_widths(clinic: Clinic, name: str, language: str) -> None:
    with _opened(clinic, language=language) as (page, trouble):
        page.goto(clinic.url(PAGES[name]))
        found = faults(page, language=language)
        picture(page, f"{name}-{language}-{WIDE['width']}")
        page.set_viewport_size(TABLET)
        found += [f"at {TABLET['width']} px: {fault}" for fault in overflow(page)]
        picture(page, f"{name}-{language}-{TABLET['width']}")
        assert not [*found, *trouble.lines], "\n".join([*found, *trouble.lines])


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_an_administrator_orders_and_ends_a_pause(clinic: Clinic, node: HisAlone, script: bool) -> None:
    def orders() -> list[tuple[ProofOrderKind, str, str]]:
        now_ms = SystemClock().wall_ms()
        found = read_proof_orders(replica_orders(node.home), now_ms=now_ms)
        return [(one.kind, one.destination, one.why) for one in found]

    before = orders()
    with _opened(clinic, language="en", script=script) as (page, trouble):
        page.goto(clinic.url("/console"))
        page.click("text=Restore points, drills, orders")
        page.select_option("#destination", "nas")
        page.select_option("#hours", "4")
        page.click("button[value=pause]")  # Without a reason: nothing is given, and the form is as it was.
        said = page.locator("[role=alert]").inner_text().split("\n")
        assert said == ["Not saved yet: 1 place to mend", "Reason: Write why, in a few words"]
        assert page.input_value("#destination") == "nas"
        assert page.input_value("#hours") == "4"
        picture(page, f"10-replica-refused-en-{WIDE['width']}") if script else None
        assert orders() == before
        page.fill("#why", "the carrier works on its switch")
        page.click("button[value=pause]")
        wanted = (ProofOrderKind.PAUSE, "nas", "the carrier works on its switch")
        assert wanted in orders()
        row = page.locator("#orders tr", has_text="the carrier works")
        assert "Pause" in row.inner_text()
        row.locator("button").click()
        assert orders() == before
        assert page.locator("#orders tr", has_text="the carrier works").count() == 0
        assert [line for line in trouble.lines if "422" not in line] == []


def test_a_manager_sees_and_orders_nothing(clinic: Clinic) -> None:
    with _opened(clinic, language="en", who=MANAGER) as (page, _):
        page.goto(clinic.url("/console/replica"))
        assert "An administrator gives orders here." in page.inner_text("#orders")
        assert page.locator("#orders button").count() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_on_paper(clinic: Clinic, language: str) -> None:
    with _opened(clinic, language=language) as (page, _):
        page.set_viewport_size({"width": 718, "height": 1000})
        page.emulate_media(media="print")
        page.goto(clinic.url("/console/replica"))
        assert not page.locator(".top").is_visible()
        assert overflow(page) == []
        picture(page, f"10-replica-print-{language}")


def picture(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
