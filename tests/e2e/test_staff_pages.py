"""Proof before a signature, sessions, accounts, and the pages of audit, settings and permissions in a real browser.

Each in both languages, at a desk's width and a tablet's. Pictures land in tests/e2e/shots/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from edge_node.store.connection import close_keeping_wal, connect
from tests.support import clinic as work
from tests.support.clinic import GULI, SHAN, WIDE, Clinic
from tests.support.pages import Trouble, faults, overflow
from tests.support.qr_reading import read_picture

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
REGISTRAR, DOCTOR, ADMIN, AUDITOR = "zhoumin", "shenliqun", "admin", "weiran"
LANGUAGES = ("zh_Hans_CN", "en")


def age(clinic: Clinic, who: str, column: str, minutes: int = 60) -> None:
    """As if it had been so long ago that this person last proved who they are, or used a session."""
    conn = connect(clinic.node.home / "data" / "his.db")
    try:
        conn.execute(
            f"UPDATE session SET {column} = {column} - ? WHERE staff_id = (SELECT id FROM staff WHERE code = ?)",
            (minutes * 60_000, who),
        )
    finally:
        close_keeping_wal(conn)


def look(page: Page, name: str, language: str) -> list[str]:
    """Pictures of a page at both widths, and what is wrong with it."""
    said = faults(page, language=language)
    for size in (WIDE, TABLET):
        page.set_viewport_size(size)
        said += overflow(page)
        page.screenshot(path=SHOTS / f"{name}-{language}-{size['width']}.png", full_page=True)
    page.set_viewport_size(WIDE)
    return list(dict.fromkeys(said))


@pytest.fixture(scope="module")
def encounters(clinic: Clinic) -> dict[str, str]:
    """An encounter for each language, its note written and not signed."""
    registrar = clinic.open(REGISTRAR, script=False)
    for person in (SHAN, GULI):
        work.register(registrar, clinic, person)
    registrar.close()
    doctor = clinic.open(DOCTOR, script=False)
    found = {}
    for language in LANGUAGES:
        found[language] = work.call_next(doctor, clinic)
        work.write_note(doctor)
        work.add_diagnosis(doctor, "jxzqgy")
    doctor.close()
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_doctor_signs_after_the_proof_has_grown_old(
    clinic: Clinic, encounters: dict[str, str], language: str
) -> None:
    """The page was opened in time; while the doctor writes, the proof grows old. By keyboard, and nothing is lost."""
    context: BrowserContext = clinic.context(language)
    page = context.new_page()
    trouble = Trouble(page, expected_status={200, 422})
    try:
        work.sign_in(page, clinic, DOCTOR)
        page.goto(clinic.url(f"/encounters/{encounters[language]}"))
        expect(page.locator("#proof_password")).to_have_count(0)
        page.fill("#history", "3 天前受凉后咳嗽，签名前才补写的一句。")
        age(clinic, DOCTOR, "confirmed_at")
        work.sign(page)
        field = page.locator("#proof_password")
        expect(field).to_be_visible()
        expect(page.locator("#history")).to_have_value("3 天前受凉后咳嗽，签名前才补写的一句。")
        said = look(page, "19-sign-proof", language)
        field.fill("not my password")
        field.press("Enter")
        expect(page.locator("#proof_password-note.err")).to_be_visible()
        expect(page.locator("#proof_password")).to_have_value("")
        said += look(page, "19-sign-proof-wrong", language)
        page.fill("#proof_password", clinic.password(DOCTOR))
        page.press("#proof_password", "Enter")
        expect(page).to_have_url(re.compile(rf"{encounters[language]}$"))
        expect(page.locator("main")).to_contain_text("签名前才补写的一句")
        expect(page.locator("#proof_password")).to_have_count(0)
        assert not [*said, *trouble.lines]
    finally:
        context.close()


def refused(page: Page) -> None:
    """The answer is there, and not still the page whose button was pressed."""
    expect(page.locator("main [aria-invalid]").first).to_be_visible()


def sessions(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/sessions"))


def people(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/staff"))


def people_unproven(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/staff"))
    age(clinic, ADMIN, "confirmed_at")
    page.click("button[formaction='/staff/lock'] >> nth=0")
    refused(page)


def settings(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/settings"))


def settings_problems(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/settings"))
    age(clinic, ADMIN, "confirmed_at")
    page.fill("#idle_lock_min", "60")
    page.fill("#proof_min", "x")
    page.click("main form .btn--go")
    refused(page)


def permissions(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/settings/permissions"))


def audit(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/audit"))


def audit_problems(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/audit"))
    page.fill("#mrn", "NOBODY")
    page.fill("#day", "昨天")
    page.click("main form .btn--go")
    refused(page)


def second_factor(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/second-factor"))


def second_factor_begun(clinic: Clinic, page: Page) -> None:
    page.goto(clinic.url("/second-factor"))
    if page.locator("#proof_password").count():
        page.fill("#proof_password", clinic.password(AUDITOR))
    page.click("main form .btn--go")
    expect(page.locator("#seed")).to_be_visible()


PAGES: dict[str, tuple[str, int, Callable[[Clinic, Page], None]]] = {
    "19-sessions": (ADMIN, 200, sessions),
    "19-staff": (ADMIN, 200, people),
    "19-staff-proof": (ADMIN, 422, people_unproven),
    "19-settings": (ADMIN, 200, settings),
    "19-settings-problems": (ADMIN, 422, settings_problems),
    "19-permissions": (AUDITOR, 200, permissions),
    "19-audit": (AUDITOR, 200, audit),
    "19-audit-problems": (AUDITOR, 422, audit_problems),
    "19-second-factor": (AUDITOR, 200, second_factor),
    "19-second-factor-begun": (AUDITOR, 200, second_factor_begun),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_administrator_or_auditor(
    clinic: Clinic, encounters: dict[str, str], name: str, language: str
) -> None:
    who, status, reach = PAGES[name]
    context = clinic.context(language)
    page = context.new_page()
    trouble = Trouble(page, expected_status={200, status})
    try:
        work.sign_in(page, clinic, who)
        reach(clinic, page)
        said = look(page, name, language)
        assert not [*said, *trouble.lines]
    finally:
        context.close()


@pytest.mark.parametrize("width", [WIDE["width"], TABLET["width"]])
def test_the_second_factor_is_scanned_from_the_screen_or_typed_and_never_printed(clinic: Clinic, width: int) -> None:
    context = clinic.context()
    page = context.new_page()
    trouble = Trouble(page)
    try:
        work.sign_in(page, clinic, AUDITOR)
        page.set_viewport_size({"width": width, "height": 900})
        second_factor_begun(clinic, page)
        code = page.locator("svg.qr")
        side = int((code.get_attribute("viewBox") or "").split()[-1])
        address = read_picture(code.screenshot())
        assert address == page.locator("main dd", has_text="otpauth://").inner_text(), "as the page says it in words"
        assert page.locator("#seed").inner_text().replace(" ", "") in address
        box = code.bounding_box()
        assert box is not None and box["width"] == box["height"] and box["width"] / side >= 3, "pixels of a module"
        assert code.get_attribute("role") == "img" and code.get_attribute("aria-label")
        dark, light = (page.evaluate(f"getComputedStyle(document.querySelector('{of}')).{what}") for of, what in (
            ("svg.qr path", "fill"), ("svg.qr", "backgroundColor"),
        ))  # fmt: skip
        assert (dark, light) == ("rgb(23, 33, 43)", "rgb(255, 255, 255)")
        page.emulate_media(media="print")
        for secret in (code, page.locator("#seed"), page.locator("main dd", has_text="otpauth://")):
            expect(secret).to_be_hidden()
        assert not trouble.lines
    finally:
        context.close()


def test_a_locked_desk_shows_nobodys_data_and_gives_back_what_was_typed(clinic: Clinic) -> None:
    """Nobody clicks: the page itself notices."""
    context = clinic.context()
    page = context.new_page()
    trouble = Trouble(page, expected_status={200, 401, 422})
    try:
        work.sign_in(page, clinic, REGISTRAR)
        page.goto(clinic.url("/reception"))
        page.fill("#name", "覃𬭎")
        page.fill("#phone", "13805162299")
        age(clinic, REGISTRAR, "created_at", minutes=13 * 60)
        expect(page.locator("#password")).to_be_focused()
        assert "13805162299" not in page.locator("body").inner_text()
        page.fill("#password", clinic.password(REGISTRAR))
        page.press("#password", "Enter")
        expect(page.locator("main")).to_contain_text("13805162299")
        page.click("main .btn--go")
        expect(page.locator("#phone")).to_have_value("13805162299")
        expect(page.locator("#name")).to_have_value("覃𬭎")
        assert not trouble.lines
    finally:
        context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_desk_that_locked_itself_leads_back(clinic: Clinic, language: str) -> None:
    context = clinic.context(language)
    page = context.new_page()
    trouble = Trouble(page)
    try:
        work.sign_in(page, clinic, REGISTRAR)
        work.look_for(page, clinic, "syq")
        found = page.locator("main").inner_text()
        address = page.url
        # Memory knows when it was used, so that only the beginning can be made long ago.
        age(clinic, REGISTRAR, "created_at", minutes=13 * 60)
        page.reload()
        expect(page.locator("#code")).to_have_value(REGISTRAR)
        expect(page.locator("#password")).to_be_focused()
        said = look(page, "19-locked", language)
        page.fill("#password", clinic.password(REGISTRAR))
        page.press("#password", "Enter")
        expect(page).to_have_url(address)
        assert page.locator("main").inner_text() == found, "what was searched for is not typed again"
        assert not [*said, *trouble.lines]
    finally:
        context.close()
