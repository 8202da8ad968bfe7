"""Orders in a real browser: given without script, carried out by keyboard, looked at in both languages and widths.

Pictures land in tests/e2e/shots/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.support import clinic as work
from tests.support.clinic import GULI, SHAN, TAN, WIDE, Clinic
from tests.support.pages import TABLET, Trouble, judge_and_keep

SHOTS = Path(__file__).parent / "shots"
NURSE, DOCTOR = "linfang", "shenliqun"
PENICILLIN = "W003"


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """What was ordered: encounters by what they show, and addresses of orders."""

    clinic: Clinic
    waits: str
    stopped: str
    signed: str
    dressing: str
    running_test: str
    nebuliser: str
    done: str

    def go(self, page: Page, path: str) -> None:
        page.goto(self.clinic.url(path))


def called_in(page: Page, clinic: Clinic) -> str:
    encounter = work.call_next(page, clinic)
    work.write_note(page)
    work.add_diagnosis(page, "jxzqgy")
    return encounter


def order(page: Page, code: str, count: str = "") -> None:
    page.fill("#od-q", code)
    page.fill("#od-count", count)
    page.click("button[name=action][value=od-find]")
    page.wait_for_load_state()


def add_drug(page: Page, code: str) -> None:
    page.fill("#rx-q", code)
    page.click("button[name=action][value=rx-find]")
    page.wait_for_load_state()


def addresses(page: Page, clinic: Clinic) -> dict[str, str]:
    """Addresses of what is to be done, by the name of the patient and of the order."""
    page.goto(clinic.url("/orders"))
    rows = page.locator("table[data-list] a.btn").evaluate_all("all => all.map((a) => [a.innerText, a.href])")
    return {" ".join(words.split()): "/orders/" + href.rsplit("/", 1)[-1] for words, href in rows}


@pytest.fixture(scope="module")
def morning(clinic: Clinic) -> Morning:
    """Three patients, and everything that can be ordered: without script."""
    page = clinic.open(NURSE, script=False)
    trouble = Trouble(page)
    registrations = [work.register(page, clinic, person) for person in (SHAN, TAN, GULI)]
    for registration, substance in zip(registrations, ("", "碘伏", ""), strict=True):
        page.goto(clinic.url(f"/triage/{registration}"))
        if substance:
            page.fill("#substance", substance)
        else:
            page.check("#asked")
        page.check("input[name=level][value='4']")
        page.click(".btn--go")
        page.wait_for_url("**/triage?saved=*")
    doctor = clinic.open(DOCTOR, script=False)
    doctors = Trouble(doctor)
    try:
        waits = called_in(doctor, clinic)
        order(doctor, "T003", "3")
        order(doctor, "I004")
        add_drug(doctor, PENICILLIN)
        doctor.click("button[name=od-test]")
        doctor.wait_for_load_state()
        stopped = called_in(doctor, clinic)
        order(doctor, "T007", "2")
        add_drug(doctor, PENICILLIN)
        signed = called_in(doctor, clinic)
        order(doctor, "T012", "2")
        order(doctor, "I005")
        found = addresses(page, clinic)
        of = {words: next(path for said, path in found.items() if words in said) for words in (
            "换药", "肌内", "青霉素", "雾化", "普通针刺", "皮下",
        )}  # fmt: skip
        for words in ("普通针刺", "肌内"):
            page.goto(clinic.url(of[words]))
            page.click(".btn--go")
            page.wait_for_url("**/orders?saved=*")
        page.goto(clinic.url(of["皮下"]))
        page.click("summary:has-text('未执行')")
        page.fill("#refused_note", "患者要求改日")
        page.click(".btn--danger")
        page.wait_for_url("**/orders?saved=*")
        page.goto(clinic.url(of["青霉素"]))
        page.click(".btn--go")
        page.wait_for_url("**/orders?saved=*")
        work.sign(doctor)
        assert not [*trouble.lines, *doctors.lines]
    finally:
        page.close()
        doctor.close()
    return Morning(
        clinic=clinic, waits=waits, stopped=stopped, signed=signed, dressing=of["换药"], running_test=of["青霉素"],
        nebuliser=of["雾化"], done=of["肌内"],
    )  # fmt: skip


def the_list(morning: Morning, page: Page) -> None:
    morning.go(page, f"/orders?saved={morning.done.rsplit('/', 1)[-1]}")


def a_treatment(morning: Morning, page: Page) -> None:
    morning.go(page, morning.dressing)
    page.click("summary >> nth=0")


def not_done_without_a_word(morning: Morning, page: Page) -> None:
    morning.go(page, morning.dressing)
    page.click("summary >> nth=0")
    page.click(".btn--danger")


def a_running_test(morning: Morning, page: Page) -> None:
    morning.go(page, morning.running_test)


def read_too_early(morning: Morning, page: Page) -> None:
    morning.go(page, morning.running_test)
    page.check("input[name=result][value=negative]")
    page.click(".btn--go")


def done_and_to_be_corrected(morning: Morning, page: Page) -> None:
    morning.go(page, morning.done)
    page.click("td summary")


def beside_the_note(morning: Morning, page: Page) -> None:
    morning.go(page, f"/encounters/{morning.waits}")


def looked_up(morning: Morning, page: Page) -> None:
    morning.go(page, f"/encounters/{morning.stopped}")
    order(page, "hy", "2")


def a_number_that_cannot_be(morning: Morning, page: Page) -> None:
    morning.go(page, f"/encounters/{morning.stopped}")
    order(page, "T005", "一次")


def signed(morning: Morning, page: Page) -> None:
    morning.go(page, f"/encounters/{morning.signed}")


def cancelled_with_a_reason(morning: Morning, page: Page) -> None:
    morning.go(page, f"/encounters/{morning.signed}?amend=1")
    page.click("button[name=od-cancel]")
    page.wait_for_url("**/cancel")


NURSES: dict[str, tuple[int, Callable[[Morning, Page], None]]] = {
    "18-orders": (200, the_list),
    "18-treatment": (200, a_treatment),
    "18-treatment-errors": (422, not_done_without_a_word),
    "18-skin-test": (200, a_running_test),
    "18-skin-test-early": (422, read_too_early),
    "18-done": (200, done_and_to_be_corrected),
}
DOCTORS: dict[str, tuple[int, Callable[[Morning, Page], None]]] = {
    "18-note": (200, beside_the_note),
    "18-note-found": (200, looked_up),
    "18-note-errors": (422, a_number_that_cannot_be),
    "18-signed": (200, signed),
    "18-cancel": (200, cancelled_with_a_reason),
}


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
@pytest.mark.parametrize("name", [*NURSES, *DOCTORS])
def test_a_page_of_orders(morning: Morning, name: str, language: str) -> None:
    who, (status, reach) = (NURSE, NURSES[name]) if name in NURSES else (DOCTOR, DOCTORS[name])
    judge_and_keep(
        morning.clinic.open(who, language=language), lambda page: reach(morning, page), as_file=SHOTS / name,
        language=language, status=status, full=True,
    )  # fmt: skip


def test_a_nurse_carries_out_by_keyboard(morning: Morning) -> None:
    """From the list to the order and back: a digit, then the one primary button; no mouse."""
    page = morning.clinic.open(NURSE)
    trouble = Trouble(page)
    try:
        morning.go(page, "/orders")
        mine = page.locator(f"a[href='{morning.nebuliser}']")
        page.keyboard.press(mine.get_attribute("data-key") or "")
        page.wait_for_url(f"**{morning.nebuliser}")
        for _ in range(30):
            if page.evaluate("document.activeElement.matches('main .btn--go')"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/orders?saved=*")
        expect(page.locator("main .note--ok")).to_contain_text("1 / 2")
        assert not trouble.lines
    finally:
        page.close()


@pytest.mark.parametrize(("size", "wanted"), [(WIDE, ["rx-q", "od-q"]), (TABLET, ["od-q", "rx-q"])])
def test_the_keyboard_follows_the_eye(morning: Morning, size: ViewportSize, wanted: list[str]) -> None:
    """Orders come before the prescription in the page, and stand beneath it where there is room."""
    page = morning.clinic.open(DOCTOR)
    try:
        page.set_viewport_size(size)
        morning.go(page, f"/encounters/{morning.waits}")
        page.focus("#dx")
        met: list[str] = []
        for _ in range(60):
            page.keyboard.press("Tab")
            met.append(str(page.evaluate("document.activeElement.id")))
        assert [name for name in met if name in wanted][:2] == wanted
        tops = [page.locator(f"#{name}").bounding_box() or {"y": 0} for name in wanted]
        assert tops[0]["y"] < tops[1]["y"]
    finally:
        page.close()
