"""Words that are markup, typed into every field in a real browser: nothing of them runs, and the content policy has
nothing to stop. Every page of every role: `integration/his/test_every_field.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support import clinic as work
from tests.support.clinic import Clinic
from tests.support.his_alone import his_alone
from tests.support.pages import Trouble

# Would run if it became markup, in a text or in an attribute; short enough for every field.
MARKUP = '"><img src=x onerror=xqz=1>'


@pytest.fixture(scope="module")
def clinic(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with his_alone(Path(tmp_path_factory.mktemp("hostile")) / "node") as node:
        yield Clinic(node, browser)


def type_everywhere(page: Page, form: str, **kept: str) -> None:
    """Hostile words in every field of a form but those that are named, as somebody would who knows the tools."""
    page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    page.evaluate("document.querySelectorAll('[maxlength]').forEach((e) => e.removeAttribute('maxlength'))")
    fields = page.locator(f":is({form} input:not([type]), {form} input[type=text], {form} textarea):visible")
    for name in fields.evaluate_all("all => all.map((e) => e.id)"):
        page.fill(f"[id='{name}']", kept.get(name, MARKUP))


def runs(page: Page) -> list[str]:
    """What of the words has become more than words."""
    found = page.evaluate("[typeof xqz, document.querySelectorAll('img, main script, [onerror]').length]")
    return [] if found == ["undefined", 0] else [f"{page.url}: {found}"]


def test_nothing_that_is_typed_runs(clinic: Clinic) -> None:
    wrong: list[str] = []

    def opened(who: str | None, path: str, *, status: int = 200) -> Page:
        page = clinic.open(who)
        troubles.append(Trouble(page, expected_status={200, status}))
        page.on("dialog", lambda dialog: wrong.append(f"{page.url}: a dialog"))
        page.goto(clinic.url(path))
        return page

    def sends(page: Page, button: str) -> None:
        page.click(button)
        page.wait_for_load_state()
        wrong.extend(runs(page))

    troubles: list[Trouble] = []
    desk = opened("zhoumin", "/reception", status=422)
    person = {"birth_date": "1980-03-14", "id_number": "", "phone": "", "guardian_phone": ""}
    desk.select_option("#department_id", index=1)
    desk.check("input[name=sex][value='1']")
    type_everywhere(desk, "#registration", **person)
    sends(desk, "#registration .btn--go")
    assert desk.locator("#name").input_value() == MARKUP, "refused with everything typed"
    desk.select_option("#id_type", "none")
    sends(desk, "#registration .btn--go")
    desk.wait_for_url("**registered=*")
    registration = desk.url.partition("registered=")[2].partition("&")[0]
    nurse = opened("linfang", f"/triage/{registration}", status=422)
    measures = dict.fromkeys(
        ("temperature", "pulse", "respiration", "blood_pressure", "oxygen", "weight_kg", "height_cm"), ""
    )
    nurse.check("input[name=level][value='3']")
    type_everywhere(nurse, "main form", **measures)
    sends(nurse, "main .btn--go")
    assert "/triage?saved=" in nurse.url
    work.look_for(nurse, clinic, "img")
    wrong += runs(nurse)
    for path in ("/triage", "/reception", f"/reception/{registration}"):
        nurse.goto(clinic.url(path))
        wrong += runs(nurse)
    record = nurse.locator("main a[href^='/patients/']").first.get_attribute("href") or "/patients"
    doctor = opened("shenliqun", "/calling/room", status=422)
    type_everywhere(doctor, "main form")
    sends(doctor, "main .btn--go")
    doctor.goto(clinic.url("/encounters/"))
    sends(doctor, "main form[action='/encounters/call'] button >> nth=0")
    for button in ("[name=action][value=save]", "[name=action][value=rx-find]", "[name=action][value=find]"):
        type_everywhere(doctor, "#note", **measures, onset_date="", **{"od-count": ""})
        sends(doctor, f"button{button}")
    for who, path in (
        ("shenliqun", record), ("shenliqun", "/orders"), ("zhoumin", f"{record}/edit"), ("weiran", "/audit"),
        ("admin", "/settings"), ("admin", "/staff"), ("hanmei", record), (None, "/calling"),
    ):  # fmt: skip
        wrong += runs(opened(who, path))
    assert [*wrong, *(line for trouble in troubles for line in trouble.lines)] == []
