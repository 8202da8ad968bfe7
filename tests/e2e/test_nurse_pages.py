"""Allergies, guardians and triage in a real browser: every page in both languages, at a desk's width and a tablet's.

The work itself is done without script. Pictures land in tests/e2e/shots/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support import clinic as work
from tests.support.clinic import GULI, OUYANG, SHAN, TAN, Clinic, Person
from tests.support.pages import Trouble, judge_and_keep

SHOTS = Path(__file__).parent / "shots"
NURSE = "linfang"
NEWBORN = Person(name="单雅琴之女", sex="2", birth_date=datetime.now(UTC).date().isoformat(), phone="13805162207")


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """Who came: ids of the registrations and of the records of two of them."""

    clinic: Clinic
    newborn: str
    urgent: str
    untriaged: str
    allergic_record: str
    newborn_record: str

    def go(self, page: Page, path: str) -> None:
        page.goto(self.clinic.url(path))


def triage(page: Page, clinic: Clinic, registration: str, level: int, **measures: str) -> None:
    page.goto(clinic.url(f"/triage/{registration}"))
    for name, value in measures.items():
        if name == "asked":
            page.check("#asked")
        else:
            page.fill(f"#{name}", value)
    page.check(f"input[name=level][value='{level}']")
    page.click(".btn--go")
    page.wait_for_url("**/triage?saved=*")


def record_of(page: Page, clinic: Clinic, registration: str) -> str:
    page.goto(clinic.url(f"/reception/{registration}"))
    return page.locator("main a[href^='/patients/']").first.get_attribute("href") or ""


@pytest.fixture(scope="module")
def morning(clinic: Clinic) -> Morning:
    page = clinic.open(NURSE, script=False)
    trouble = Trouble(page)
    try:
        shan, guli, tan = (work.register(page, clinic, person) for person in (SHAN, GULI, TAN))
        page.goto(clinic.url("/reception"))
        page.select_option("#department_id", index=2)
        work.fill_person(page, NEWBORN)
        page.click("details summary")
        page.fill("#guardian_name", SHAN.name)
        page.fill("#guardian_relation", "母亲")
        page.click("#registration .btn--go")
        page.wait_for_url("**registered=*")
        newborn = page.url.partition("registered=")[2].partition("&")[0]
        work.register(page, clinic, OUYANG)
        triage(
            page, clinic, shan, 3, temperature="38.6", pulse="104", respiration="20", blood_pressure="138/86",
            oxygen="97", weight_kg="58", height_cm="162", substance="青霉素", reaction="皮疹",
        )  # fmt: skip
        triage(page, clinic, newborn, 4, temperature="36.9", pulse="140", weight_kg="3.4", asked="yes")
        triage(
            page, clinic, guli, 2, temperature="36.4", pulse="128", respiration="28", blood_pressure="88/54",
            oxygen="91", note="面色苍白，出冷汗，胸痛 20 分钟",
        )  # fmt: skip
        allergic, child = record_of(page, clinic, shan), record_of(page, clinic, newborn)
        page.goto(clinic.url(allergic))
        for substance, reaction, since in (("磺胺类", "", "2015"), ("花生", "口唇肿胀", "")):
            page.fill("#substance", substance)
            page.fill("#reaction", reaction)
            page.fill("#since", since)
            page.click("form:has(#substance) .btn")
        page.click("tr:has-text('花生') summary")
        page.fill("tr:has-text('花生') input[name=end_reason]", "再问：吃花生没有不适")
        page.click("tr:has-text('花生') .btn--danger")
        assert not trouble.lines
    finally:
        page.close()
    return Morning(
        clinic=clinic, newborn=newborn, urgent=guli, untriaged=tan, allergic_record=allergic, newborn_record=child
    )  # fmt: skip


def record(morning: Morning, page: Page) -> None:
    morning.go(page, morning.allergic_record)


def record_of_a_newborn(morning: Morning, page: Page) -> None:
    morning.go(page, morning.newborn_record)


def an_allergy_that_cannot_be(morning: Morning, page: Page) -> None:
    morning.go(page, morning.newborn_record)
    page.fill("#substance", "无")
    page.fill("#since", "2999")
    page.click("form:has(#substance) .btn")


def change_a_child(morning: Morning, page: Page) -> None:
    morning.go(page, morning.newborn_record + "/edit")


def a_child_alone(morning: Morning, page: Page) -> None:
    morning.go(page, "/reception")
    page.select_option("#department_id", index=2)
    work.fill_person(page, Person(name="李小满", sex="1", birth_date="2021-06-01"))
    page.click("#registration .btn--go")


def queue(morning: Morning, page: Page) -> None:
    work.look_for(page, morning.clinic, "syq", at="/reception")


def found(morning: Morning, page: Page) -> None:
    work.look_for(page, morning.clinic, "syq")


def nurse(morning: Morning, page: Page) -> None:
    morning.go(page, f"/triage?saved={morning.urgent}")


def measure(morning: Morning, page: Page) -> None:
    morning.go(page, f"/triage/{morning.urgent}")


def measure_wrongly(morning: Morning, page: Page) -> None:
    morning.go(page, f"/triage/{morning.untriaged}")
    page.fill("#temperature", "382")
    page.fill("#weight_kg", "520 斤")
    page.click(".btn--go")


PAGES: dict[str, tuple[int, Callable[[Morning, Page], None]]] = {
    "15-record": (200, record),
    "15-record-newborn": (200, record_of_a_newborn),
    "15-record-errors": (422, an_allergy_that_cannot_be),
    "15-record-change": (200, change_a_child),
    "15-child-alone": (422, a_child_alone),
    "15-reception": (200, queue),
    "15-found": (200, found),
    "16-triage": (200, nurse),
    "16-triage-form": (200, measure),
    "16-triage-errors": (422, measure_wrongly),
}


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_nurse(morning: Morning, name: str, language: str) -> None:
    status, reach = PAGES[name]
    judge_and_keep(
        morning.clinic.open(NURSE, language=language), lambda page: reach(morning, page), as_file=SHOTS / name,
        language=language, status=status,
    )  # fmt: skip


def test_a_newborn_is_registered_by_keyboard(morning: Morning) -> None:
    """No name, no papers, the mother as guardian: fields in the order of the form, no mouse."""
    page = morning.clinic.open(NURSE)
    keys = 0

    def press(key: str) -> None:
        nonlocal keys
        page.keyboard.press(key)
        keys += 1

    def tab_to(name: str) -> None:
        for _ in range(60):
            if page.evaluate("document.activeElement.id") == name:
                return
            press("Tab")
        raise AssertionError(f"{name} cannot be reached by Tab")

    def typed(name: str, words: str) -> None:
        nonlocal keys
        tab_to(name)
        page.keyboard.type(words)
        keys += len(words)

    def chosen(name: str, value: str) -> None:
        tab_to(name)
        place = page.locator(f"#{name} option").evaluate_all(
            "(all, value) => all.findIndex((o) => o.value === value)", value
        )
        for _ in range(place - page.locator(f"#{name}").evaluate("select => select.selectedIndex")):
            press("ArrowDown")

    try:
        morning.go(page, "/reception")
        page.keyboard.type("王兰之子")
        page.keyboard.press("Enter")
        page.wait_for_load_state()
        expect(page.locator("#name")).to_have_value("王兰之子")
        chosen("department_id", page.locator("#department_id option").nth(2).get_attribute("value") or "")
        typed("sex", " ")
        typed("birth_date", NEWBORN.birth_date.replace("-", ""))
        chosen("id_type", "none")
        typed("phone", "13700002222")
        tab_to("occupation")
        press("Tab")
        press("Enter")
        typed("guardian_name", "王兰")
        typed("guardian_relation", "母亲")
        press("Enter")
        expect(page).to_have_url(re.compile("registered="), timeout=30_000)
        expect(page.locator("main .note--ok b")).to_have_text(re.compile("儿"))
        # A registrar strikes four keys a second: under a minute.
        assert keys / 4 < 60, keys
    finally:
        page.close()
