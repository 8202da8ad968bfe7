"""Two records of one person in a real browser: found, compared and merged by keyboard, and parted again by a manager.

Pictures in both languages, at a desk's width and a tablet's, land in tests/e2e/shots/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_by_keyboard import press_alt
from tests.support import clinic as work
from tests.support.clinic import SHAN, Clinic, Person
from tests.support.pages import Trouble, judge_and_keep

SHOTS = Path(__file__).parent / "shots"
REGISTRAR, NURSE, MANAGER = "zhoumin", "linfang", "hanmei"
OLD = Person(name="单雅琴", sex="2", birth_date="1980-03-14", phone="13911112222", address="东门街道槐荫巷 8 号")
NEW = replace(SHAN, address="西城街道桂花里 12 号")
CHILD = Person(name="陆小满", sex="1", birth_date="2021-06-01", phone="13805162207", address="西城街道桂花里 12 号")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Two records of one woman, the older without papers, and a child of another family; their addresses."""

    clinic: Clinic
    old: str
    new: str
    child: str

    def go(self, page: Page, path: str) -> None:
        page.goto(self.clinic.url(path))


def make(page: Page, clinic: Clinic, person: Person, *, guardian: str = "") -> str:
    page.goto(clinic.url("/patients/new"))
    work.fill_person(page, person)
    if guardian:
        page.evaluate("document.querySelector('main details').open = true")
        page.fill("#guardian_name", guardian)
        page.fill("#guardian_relation", "母亲")
        page.fill("#guardian_phone", "13911112222")
    page.click("#record-form .btn--go")
    page.wait_for_load_state()
    if page.locator("button[name=distinct_from]").count():
        page.click("button[name=distinct_from]")
    page.wait_for_url("**saved=new")
    return page.url.partition("?")[0].removeprefix(clinic.url(""))


def allergic(page: Page, clinic: Clinic, record: str, substance: str, reaction: str = "") -> None:
    page.goto(clinic.url(record))
    page.fill("#substance", substance)
    page.fill("#reaction", reaction)
    page.click("form:has(#substance) .btn")


@pytest.fixture(scope="module")
def desk(clinic: Clinic) -> Desk:
    page = clinic.open(NURSE)
    trouble = Trouble(page, expected_status={200, 409})
    try:
        old, new = (make(page, clinic, person) for person in (OLD, NEW))
        # What was said in a hurry at the desk is taken back.
        page.goto(clinic.url(new))
        page.click("#twins button")
        page.wait_for_url("**saved=not-apart*")
        child = make(page, clinic, CHILD, guardian="陆静")
        allergic(page, clinic, old, "青霉素", "皮疹")
        allergic(page, clinic, new, "花生")
        for record, department in ((old, 1), (new, 2)):
            page.goto(clinic.url(f"/reception?patient={record.rsplit('/', 1)[1]}"))
            page.select_option("#department_id", index=department)
            page.click("#registration .btn--go")
            page.wait_for_url("**registered=*")
            if record == old:
                page.goto(clinic.url(f"/reception/{page.url.partition('registered=')[2]}"))
                page.fill("#reason", "挂错科室")
                page.click(".btn--danger")
        assert not trouble.lines
    finally:
        page.close()
    return Desk(clinic=clinic, old=old, new=new, child=child)


def press(page: Page, button: str) -> None:
    """Press a button whose answer has the same address; the page that follows is there."""
    with page.expect_navigation():
        page.click(button)


def id_of(record: str) -> str:
    return record.rsplit("/", 1)[1]


def record(desk: Desk, page: Page) -> None:
    desk.go(page, desk.new)


def phone_shown(desk: Desk, page: Page) -> None:
    desk.go(page, desk.child)
    press(page, "form:has(input[value=guardian_phone]) button")


def choose(desk: Desk, page: Page) -> None:
    desk.go(page, f"{desk.new}/merge")


def no_such_number(desk: Desk, page: Page) -> None:
    desk.go(page, f"{desk.child}/merge")
    page.fill("#mrn", "C42A-2600000000")
    press(page, "main .btn--go")


def compare(desk: Desk, page: Page) -> None:
    desk.go(page, f"{desk.new}/merge?other={id_of(desk.old)}")


def compare_apart(desk: Desk, page: Page) -> None:
    """The child and the older record, said to be different people; in whatever order these pages are looked at."""
    desk.go(page, f"{desk.child}/merge?other={id_of(desk.old)}")
    if page.locator("form[action$='/apart']").count():
        press(page, "form[action$='/apart'] button")
        desk.go(page, f"{desk.child}/merge?other={id_of(desk.old)}")


def apart(desk: Desk, page: Page) -> None:
    compare_apart(desk, page)
    desk.go(page, f"{desk.child}?saved=apart")


def without_a_reason(desk: Desk, page: Page) -> None:
    compare(desk, page)
    page.check(f"input[name=kept][value='{id_of(desk.old)}']")
    press(page, ".btn--go")


def twins(desk: Desk, page: Page) -> None:
    desk.go(page, "/patients/new")
    work.fill_person(page, replace(OLD, phone=""))
    press(page, "#record-form .btn--go")


def newborn(desk: Desk, page: Page) -> None:
    desk.go(page, f"/patients/new?mother={id_of(desk.new)}")


PAGES: dict[str, tuple[int, Callable[[Desk, Page], None]]] = {
    "17-merge-record": (200, record),
    "17-merge-choose": (200, choose),
    "17-merge-no-number": (422, no_such_number),
    "17-merge-compare": (200, compare),
    "17-apart": (200, apart),
    "17-apart-compare": (200, compare_apart),
    "17-merge-errors": (422, without_a_reason),
    "17-merge-twins": (409, twins),
    "17-phone-shown": (200, phone_shown),
    "17-newborn": (200, newborn),
}


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_desk(desk: Desk, name: str, language: str) -> None:
    status, reach = PAGES[name]
    look(desk, name, language, reach, status=status, who=NURSE)


def look(
    desk: Desk, name: str, language: str, reach: Callable[[Desk, Page], None], *, status: int = 200, who: str
) -> None:
    judge_and_keep(
        desk.clinic.open(who, language=language), lambda page: reach(desk, page), as_file=SHOTS / name,
        language=language, status=status,
    )  # fmt: skip


def merged(desk: Desk, page: Page) -> None:
    desk.go(page, desk.old)


def found_by_the_merged_one(desk: Desk, page: Page) -> None:
    work.look_for(page, desk.clinic, OLD.phone)


def undo_without_a_reason(desk: Desk, page: Page) -> None:
    desk.go(page, desk.new)
    page.click("#merged summary")
    press(page, "#merged .btn--danger")


def test_merged_by_keyboard_looked_at_and_parted(desk: Desk) -> None:
    """Found by what the person says, compared, merged with a reason: no mouse; then what everybody sees."""
    page = desk.clinic.open(REGISTRAR)
    trouble = Trouble(page)
    try:
        desk.go(page, desk.old)
        press_alt(page, "m")
        page.wait_for_url("**/merge")
        page.keyboard.press("1")
        page.wait_for_url("**/merge?other=*")
        expect(page.locator("#reason")).to_be_focused()
        page.keyboard.type("身份证与本人都核对过")
        press_alt(page, "s")
        page.wait_for_url(f"**{desk.new}?saved=merged")
        expect(page.locator("header.patient .allergy")).to_contain_text("青霉素")
        expect(page.locator("header.patient .allergy")).to_contain_text("花生")
        assert not trouble.lines
    finally:
        page.close()
    for language in ("zh_Hans_CN", "en"):
        look(desk, "17-merged", language, merged, who=MANAGER)
        look(desk, "17-merged-found", language, found_by_the_merged_one, who=NURSE)
        look(desk, "17-merged-undo-errors", language, undo_without_a_reason, status=422, who=MANAGER)
    page = desk.clinic.open(MANAGER)
    try:
        desk.go(page, desk.old)
        page.locator("#merged summary").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("两位同名同日出生的人")
        page.keyboard.press("Enter")
        page.wait_for_url("**saved=parted")
        expect(page.locator("header.patient .allergy")).to_have_text(re.compile("花生"))
        expect(page.locator("header.patient .allergy")).not_to_contain_text("青霉素")
    finally:
        page.close()
