"""A doctor of Chinese medicine writes, signs and prints: the diagnosis by keyboard, the paper as the printer gets it.

Pictures and the PDF land in tests/e2e/shots/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support import clinic as work
from tests.support.clinic import OUYANG, PATIENCE_MS, WIDE, Clinic, Person
from tests.support.his_alone import HisAlone, his_alone
from tests.support.pages import Trouble, faults, overflow

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
NURSE, TCM, CHILDREN = "linfang", "qinhanmin", "guoning"
CHILD = Person(name="李梓涵", sex="1", birth_date="2020-05-06")
HERBS = ("甘草", "桔梗", "苦杏仁", "黄芩", "茯苓", "陈皮", "清半夏")
# A5 upright in points, as the browser writes it.
A5 = (419.5, 595.3)


@pytest.fixture(scope="module")
def node(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HisAlone]:
    with his_alone(Path(tmp_path_factory.mktemp("paper")) / "node") as node:
        yield node


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Two signed visits, one with herbs and one with a child's medicines; and one that is being written."""

    clinic: Clinic
    herbs: str
    medicines: str
    draft: str


def register_child(page: Page, clinic: Clinic) -> str:
    page.goto(clinic.url("/reception"))
    page.select_option("#department_id", index=2)
    work.fill_person(page, CHILD)
    page.click("details:has(#guardian_name) summary")
    page.fill("#guardian_name", "李建平")
    page.fill("#guardian_relation", "父")
    page.click("#registration .btn--go")
    page.wait_for_url("**registered=*")
    return page.url.partition("registered=")[2].partition("&")[0]


def asked_about_allergies(page: Page, clinic: Clinic, registration: str, **measures: str) -> None:
    page.goto(clinic.url(f"/triage/{registration}"))
    for name, value in measures.items():
        page.fill(f"#{name}", value)
    page.check("#asked")
    page.check("input[name=level][value='4']")
    page.click(".btn--go")
    page.wait_for_url("**/triage?saved=*")


def press(page: Page, key: str) -> None:
    """A key that posts the form; returns with the page that follows."""
    with page.expect_navigation():
        page.keyboard.press(key)


def add_drug(page: Page, typed: str) -> None:
    page.fill("#rx-q", typed)
    press(page, "Enter")
    found = page.locator("button[name=rx-add]")
    if found.count():
        found.first.click()
        page.wait_for_load_state()


def diagnose_by_keyboard(page: Page, *typed: str) -> None:
    """Each into the field of diagnoses and Enter: a disease leaves the cursor there for its syndrome."""
    page.focus("#dx")
    for words in typed:
        expect(page.locator("#dx")).to_be_focused(timeout=PATIENCE_MS)
        page.keyboard.type(words)
        press(page, "Enter")
        if page.locator("[data-key='1']").count():
            expect(page.locator("#found")).to_be_focused(timeout=PATIENCE_MS)
            press(page, "1")


@pytest.fixture(scope="module")
def done(clinic: Clinic) -> Done:
    SHOTS.mkdir(exist_ok=True)
    page = clinic.open(NURSE)
    came = [
        (work.register(page, clinic, OUYANG, department=5), {"temperature": "36.8"}),
        (register_child(page, clinic), {"temperature": "38.4", "weight_kg": "21.5"}),
    ]
    for registration, measures in came:
        asked_about_allergies(page, clinic, registration, **measures)
    work.register(page, clinic, Person(name="王秀兰", sex="2", birth_date="1958-02-03"), department=5)
    page.close()

    page = clinic.open(TCM)
    herbs = work.call_next(page, clinic)
    page.fill("#complaint", "咳嗽、咳黄痰 5 天")
    page.select_option("#template", label="中医初诊")
    page.click("button[name=action][value=template]")
    expect(page.locator("#complaint")).to_have_value("咳嗽、咳黄痰 5 天", timeout=PATIENCE_MS)
    expect(page.locator("#examination")).to_have_value(re.compile("^望：神色___"), timeout=PATIENCE_MS)
    diagnose_by_keyboard(page, "J20.900")
    diagnose_by_keyboard(page, "A04.01.01", "tryfz")
    page.click("button[name=rx-open][value=herbal]")
    for herb in HERBS:
        add_drug(page, herb)
    page.fill("#rx-doses", "7")
    page.fill("#rx-decoction", "水煎 400 mL，分早晚两次温服")
    sign(page)
    draft = work.call_next(page, clinic)
    page.fill("#complaint", "头痛 3 天")
    diagnose_by_keyboard(page, "A06.03.09")
    page.close()

    page = clinic.open(CHILDREN)
    medicines = work.call_next(page, clinic)
    page.fill("#complaint", "发热、咽痛 1 天")
    diagnose_by_keyboard(page, "J03.900")
    for drug in ("布洛芬混悬液", "蒲地蓝"):
        add_drug(page, drug)
    page.click("button[name=rx-open][value=medicines]")
    for drug in ("头孢克洛胶囊", "盐酸氨溴索口服", "急支糖浆", "蒙脱石散", "氯雷他定"):
        add_drug(page, drug)
    for days in page.locator("input[name^=rx-days-]").all():
        days.fill("14")
    page.click("button[name=action][value=save]")
    for reason in page.locator("input[name^=reason-]").all():
        reason.fill("路途遥远，病情平稳，家长要求，" * 13)
    sign(page)
    page.close()
    return Done(clinic=clinic, herbs=herbs, medicines=medicines, draft=draft)


def sign(page: Page) -> None:
    work.sign(page)
    expect(page.locator("main .b--ok").first).to_be_visible(timeout=PATIENCE_MS)


def open_paper(page: Page, done: Done, encounter: str) -> None:
    page.goto(done.clinic.url(f"/encounters/{encounter}"))
    page.click("a[href*='/prescriptions/'] >> nth=0")
    page.wait_for_url("**/paper")


def press_print(page: Page) -> None:
    """The page asks the browser to print by itself; here it only counts."""
    page.add_init_script("window.print = () => { window.asked = (window.asked ?? 0) + 1; }")
    page.click("form[action$='/paper'] .btn--go")
    page.wait_for_url("**copy=*")


def pages_of(pdf: bytes) -> list[tuple[float, float]]:
    """Width and height of each page, in points."""
    boxes = re.findall(rb"/MediaBox ?\[ ?0 0 ([\d.]+) ([\d.]+) ?\]", pdf)
    return [(float(width), float(height)) for width, height in boxes]


def nothing_is_cut_off(page: Page) -> bool:
    """On every sheet there is room left to strike out, above a foot that ends on the paper."""
    return bool(
        page.evaluate(
            """() => [...document.querySelectorAll(".a5")].every((sheet) => {
                const box = (name) => sheet.querySelector(name).getBoundingClientRect();
                const blank = box(".a5__blank"), foot = box(".a5__post");
                return blank.height > 15 && blank.bottom <= foot.top + 1
                    && foot.bottom <= sheet.getBoundingClientRect().bottom - 25;
            })"""
        )
    )


@pytest.mark.parametrize("kind", ["herbs", "medicines"])
def test_a_copy_is_one_sheet_of_a5_and_the_page_prints_itself_once(done: Done, kind: str) -> None:
    page = done.clinic.open(TCM if kind == "herbs" else CHILDREN, language="en")
    trouble = Trouble(page)
    open_paper(page, done, getattr(done, kind))
    press_print(page)
    assert page.evaluate("window.asked") == 1
    pdf = page.pdf(path=SHOTS / f"12-paper-{kind}.pdf", prefer_css_page_size=True, print_background=True)
    assert pages_of(pdf) == [pytest.approx(A5, abs=1)]
    page.reload()
    assert page.evaluate("window.asked ?? 0") == 0, "a reload prints nothing"
    page.emulate_media(media="print")
    sheet = page.locator(".a5")
    box = sheet.bounding_box()
    assert box is not None and (box["x"], box["y"]) == (0, 0)
    assert nothing_is_cut_off(page)
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator(".water--preview")).to_have_count(0)
    assert not trouble.lines
    page.close()


def test_long_words_of_the_doctor_go_to_a_second_sheet_and_none_is_cut_off(done: Done) -> None:
    page = done.clinic.open(CHILDREN)
    page.goto(done.clinic.url(f"/encounters/{done.medicines}"))
    page.click("a[href*='/prescriptions/'] >> nth=1")
    page.wait_for_url("**/paper")
    assert page.locator(".a5").count() > 1 and nothing_is_cut_off(page)
    page.screenshot(path=SHOTS / "12-paper-long.png", full_page=True)
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(pages_of(pdf)) == page.locator(".a5").count()
    page.close()


def test_a_long_note_goes_on_on_further_sheets_and_no_row_is_cut_off(done: Done) -> None:
    page = done.clinic.open(CHILDREN, language="en")
    trouble = Trouble(page)
    page.goto(done.clinic.url(f"/encounters/{done.medicines}?amend=1"))
    said = "受凉后咳嗽咳痰，夜间加重，amoxicillin 0.125 g tid 未缓解；" * 3
    page.fill("#history", "\n".join(f"{n}. {said}" for n in range(20)))
    page.fill("#reason", "补充现病史")
    sign(page)
    page.click("a[href$='/note/paper']")
    page.wait_for_url("**/note/paper")
    sheets = page.locator(".a5").count()
    page.screenshot(path=SHOTS / "12-note-long.png", full_page=True)
    assert sheets > 2 and nothing_is_cut_off(page)
    press_print(page)
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert pages_of(pdf) == [pytest.approx(A5, abs=1)] * sheets
    assert not trouble.lines
    page.close()


LOOKS = {
    "12-paper": "/encounters/{medicines}",
    "12-note": "/encounters/{herbs}",
    "12-paper-herbs": "/encounters/{herbs}",
    "03-signed-herbs": "/encounters/{herbs}",
    "03-note-syndrome": "/encounters/{draft}",
    "03-template": "/encounters/{draft}/template",
}


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
@pytest.mark.parametrize("name", LOOKS)
def test_page(done: Done, name: str, language: str) -> None:
    page = done.clinic.open(CHILDREN if name == "12-paper" else TCM, language=language)
    trouble = Trouble(page)
    path = LOOKS[name].format(herbs=done.herbs, medicines=done.medicines, draft=done.draft)
    page.goto(done.clinic.url(path))
    if name.startswith("12-"):
        page.click("a[href$='/note/paper']" if name == "12-note" else "a[href*='/prescriptions/'] >> nth=0")
        page.wait_for_url("**/paper")
    if name == "03-note-syndrome":
        page.fill("#dx", "qx")
        page.press("#dx", "Enter")
        page.wait_for_url("**find=*")
    found = faults(page, language=language)
    for width, size in ((1366, WIDE), (800, TABLET)):
        page.set_viewport_size(size)
        found += overflow(page)
        page.screenshot(path=SHOTS / f"{name}-{language}-{width}.png", full_page=True)
    page.set_viewport_size(WIDE)
    found += trouble.lines
    page.close()
    assert not found, "\n".join(found)
