"""A patient's way through the clinic with no hand on the mouse: registered, called, written up and signed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.clinic import Clinic, Person
from tests.support.node import edge_node
from tests.support.pages import Trouble, faults

REGISTRAR, DOCTOR = "linfang", "taoran"
SURGERY = "外科"
LONG = Person(name="龙飞燕", sex="2", birth_date="1988-08-08", phone="13600001234")
OWN_PASSWORD = "three words that do not belong"
# A form has far fewer stops than this; more means that the focus goes in a circle without it.
MOST_STOPS = 60


@pytest.fixture
def desk(clinic: Clinic) -> Iterator[BrowserContext]:
    """A browser in which nobody has signed in yet."""
    context = clinic.context()
    try:
        yield context
    finally:
        context.close()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))


def waits_in(page: Page, name: str) -> None:
    """The cursor is in this control without a key pressed; the browser puts it there a moment after the page came."""
    expect(page.locator(f"#{name}")).to_be_focused()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this id has the focus."""
    for _ in range(MOST_STOPS):
        if focused(page) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached by Tab on {page.url}; the focus is on {focused(page)!r}")


def type_into(page: Page, name: str, words: str) -> None:
    tab_to(page, name)
    page.keyboard.type(words)


def press_alt(page: Page, key: str) -> None:
    """An access key. Playwright sends Alt and a letter without the letter's text, by which Chromium finds the key."""
    session = page.context.new_cdp_session(page)
    stroke = {"modifiers": 1, "key": key, "code": f"Key{key.upper()}", "windowsVirtualKeyCode": ord(key.upper())}
    session.send("Input.dispatchKeyEvent", {"type": "keyDown", "unmodifiedText": key, **stroke})
    session.send("Input.dispatchKeyEvent", {"type": "keyUp", **stroke})
    session.detach()


def sign_in_by_keyboard(page: Page, clinic: Clinic, who: str) -> None:
    """The cursor waits in the first field, Enter sends the form."""
    page.goto(clinic.url("/login"))
    waits_in(page, "code")
    page.keyboard.type(who)
    type_into(page, "password", clinic.password(who))
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)


def choose(page: Page, name: str, words: str) -> None:
    """Choose in a list by arrow keys, as far as the words."""
    tab_to(page, name)
    control = page.locator(f"#{name}")
    for _ in range(20):
        if words in control.locator("option:checked").inner_text():
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"{words!r} is not among the choices of {name}")


def test_a_patient_by_keyboard(clinic: Clinic, desk: BrowserContext) -> None:
    page = desk.new_page()
    trouble = Trouble(page)
    sign_in_by_keyboard(page, clinic, REGISTRAR)

    # Scan field first; Enter looks up and saves nothing; what was typed begins the form.
    page.goto(clinic.url("/reception"))
    waits_in(page, "scan")
    page.keyboard.type(LONG.name)
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    expect(page.locator("#name")).to_have_value(LONG.name)
    choose(page, "department_id", SURGERY)
    tab_to(page, "sex")
    page.keyboard.press("ArrowRight")
    expect(page.locator("input[name=sex][value='2']")).to_be_checked()
    type_into(page, "birth_date", LONG.birth_date)
    choose(page, "id_type", page.locator("#id_type option[value=none]").inner_text())
    type_into(page, "phone", LONG.phone)
    press_alt(page, "s")
    page.wait_for_url("**registered=*")
    number = page.locator("main .note--ok b").inner_text()
    assert re.search(r"外\D*01", number), number
    page.close()

    page = desk.new_page()
    trouble = Trouble(page)
    page.goto(clinic.url("/reception"))
    press_alt(page, "l")
    page.wait_for_url("**/login*")
    sign_in_by_keyboard(page, clinic, DOCTOR)
    page.goto(clinic.url("/encounters/"))
    press_alt(page, "c")
    page.wait_for_url(re.compile(r"/encounters/[0-9A-Z]{26}"))
    expect(page.locator(".patient__name")).to_contain_text(LONG.name)
    waits_in(page, "complaint")
    page.keyboard.type("右手拇指割伤 1 小时")
    type_into(page, "history", "切菜时割伤，已自行按压止血。")
    type_into(page, "temperature", "36.6")
    press_alt(page, "k")
    page.wait_for_load_state()
    expect(page.locator("#complaint")).to_have_value("右手拇指割伤 1 小时")

    press_alt(page, "x")
    waits_in(page, "dx")
    page.keyboard.type("gxy")
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    if page.locator("[data-key='1']").count():
        waits_in(page, "found")
        page.keyboard.press("1")
        page.wait_for_load_state()
    expect(page.locator("button[name=remove]")).to_have_count(1)
    press_alt(page, "s")
    expect(page.locator("main .b--ok").first).to_be_visible()
    assert page.locator("#complaint").count() == 0, "a signed note is read, not edited"
    assert not trouble.lines, "\n".join(trouble.lines)


def test_five_keys_for_a_known_patient(clinic: Clinic, desk: BrowserContext) -> None:
    """Initials, Enter, 1, Alt S: the desk's fastest way, with a patient who was here before and a preset department."""
    page = desk.new_page()
    sign_in_by_keyboard(page, clinic, REGISTRAR)
    page.goto(clinic.url("/patients/new"))
    page.fill("#name", "钱多多")
    page.check("input[name=sex][value='1']")
    page.fill("#birth_date", "1970-01-02")
    page.select_option("#id_type", "none")
    press_alt(page, "s")
    page.wait_for_url(re.compile(r"/patients/[0-9A-Z]{26}"))
    page.goto(clinic.url("/reception"))
    waits_in(page, "scan")
    page.keyboard.type("qdd")
    page.keyboard.press("Enter")
    page.wait_for_url("**find=*")
    page.keyboard.press("1")
    page.wait_for_url("**patient=*")
    expect(page.locator("#name")).to_have_value("钱多多")
    choose(page, "department_id", "中医科")
    press_alt(page, "s")
    page.wait_for_url("**registered=*")


def test_a_password_that_somebody_else_has_seen_must_be_changed(clinic: Clinic, desk: BrowserContext) -> None:
    given = edge_node("user", "reset", "guoning", home=clinic.node.home, check=True).stdout.strip()
    clinic.knows("guoning", given)
    page = desk.new_page()
    trouble = Trouble(page)
    sign_in_by_keyboard(page, clinic, "guoning")
    assert page.url.endswith("/password")
    page.goto(clinic.url("/encounters/"))
    assert page.url.endswith("/password"), "nothing else is open before that"
    found = faults(page, language="zh_Hans_CN")
    type_into(page, "password", given)
    type_into(page, "new_password", OWN_PASSWORD)
    type_into(page, "new_password_again", OWN_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/encounters/")
    clinic.knows("guoning", OWN_PASSWORD)
    found += trouble.lines
    assert not found, "\n".join(found)
