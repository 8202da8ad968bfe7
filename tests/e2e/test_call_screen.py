"""The screen of the waiting room in a real browser: read from afar, drawn anew without a flicker, never older than it
says. Pictures land in tests/e2e/shots/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support import clinic as work
from tests.support.clinic import GULI, OUYANG, PATIENCE_MS, SHAN, TAN, WIDE, Clinic, Person
from tests.support.his_alone import HisAlone, his_alone
from tests.support.pages import Trouble, faults, overflow

SHOTS = Path(__file__).parent / "shots"
WALL: ViewportSize = {"width": 1920, "height": 1080}
TABLET: ViewportSize = {"width": 800, "height": 1100}
CHILD = Person(name="李小满", sex="1", birth_date="2009-06-01")
# Letters of 25 mm are read at five metres; a screen of 43 inches has half a millimetre per pixel.
READABLE_PX = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """Who waits: five people in two departments, one of them called to room 3."""

    node: HisAlone
    clinic: Clinic

    def screen(self, language: str = "zh_Hans_CN", *, script: bool = True) -> Page:
        page = self.clinic.open(language=language, script=script)
        page.goto(self.clinic.url("/calling"))
        return page


@pytest.fixture(scope="module")
def morning(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    with his_alone(Path(tmp_path_factory.mktemp("waiting-room")) / "node") as node:
        clinic = Clinic(node, browser)
        desk = clinic.open("zhoumin", script=False)
        for department, person in ((1, SHAN), (1, OUYANG), (1, TAN), (1, GULI), (2, CHILD)):
            work.register(desk, clinic, person, department=department)
        doctor = clinic.open("shenliqun")
        doctor.goto(clinic.url("/calling/room"))
        doctor.keyboard.type("3 诊室")
        doctor.keyboard.press("Enter")
        doctor.wait_for_url("**/encounters/")
        doctor.screenshot(path=SHOTS / "17-room-chosen.png")
        work.call_next(doctor, clinic)
        doctor.screenshot(path=SHOTS / "17-call-again.png")
        desk.close()
        yield Morning(node=node, clinic=clinic)


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
def test_the_screen(morning: Morning, language: str) -> None:
    page = morning.screen(language)
    trouble = Trouble(page)
    try:
        said = faults(page, language=language)
        for size in (WALL, WIDE, TABLET):
            page.set_viewport_size(size)
            said += overflow(page)
            page.screenshot(path=SHOTS / f"17-call-screen-{language}-{size['width']}.png")
        page.set_viewport_size(WALL)
        tall = page.locator(".calling__call b").first.evaluate("b => parseFloat(getComputedStyle(b).fontSize)")
        assert tall >= READABLE_PX
        assert not [*dict.fromkeys(said), *trouble.lines]
    finally:
        page.close()


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
def test_the_page_of_the_room(morning: Morning, language: str) -> None:
    page = morning.clinic.open("shenliqun", language=language)
    trouble = Trouble(page, expected_status={200, 422})
    try:
        page.goto(morning.clinic.url("/calling/room"))
        said = faults(page, language=language)
        page.evaluate("document.getElementById('room').removeAttribute('maxlength')")
        page.fill("#room", "一二三四五六七八九十一二三")
        page.press("#room", "Enter")
        page.wait_for_load_state()
        said += faults(page, language=language)
        for size in (WIDE, TABLET):
            page.set_viewport_size(size)
            said += overflow(page)
            page.screenshot(path=SHOTS / f"17-room-{language}-{size['width']}.png")
        assert not [*dict.fromkeys(said), *trouble.lines]
    finally:
        page.close()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without"])
def test_it_changes_by_itself(morning: Morning, script: bool) -> None:
    page, doctor = morning.screen(script=script), morning.clinic.open("shenliqun", script=False)
    try:
        number = page.locator(".calling__next b").first.inner_text()
        if script:
            page.evaluate("document.body.dataset.same = 'yes'")
        work.call_next(doctor, morning.clinic)
        expect(page.locator(".calling__call--new b").first).to_have_text(number, timeout=PATIENCE_MS)
        if script:
            assert page.evaluate("document.body.dataset.same") == "yes", "drawn in place, not loaded anew"
    finally:
        page.close()
        doctor.close()


def test_it_says_when_it_is_out_of_date_and_mends_itself(morning: Morning) -> None:
    page = morning.screen()
    try:
        lost = page.locator("#live-lost")
        expect(lost).to_be_hidden()
        page.route("**/calling", lambda route: route.abort())
        expect(lost).to_be_visible(timeout=PATIENCE_MS)
        page.set_viewport_size(WALL)
        page.screenshot(path=SHOTS / "17-call-screen-lost.png")
        page.unroute("**/calling")
        expect(lost).to_be_hidden(timeout=PATIENCE_MS)
    finally:
        page.close()
