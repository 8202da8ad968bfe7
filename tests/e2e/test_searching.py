"""A search in a real browser: forward, back and again, and nothing of it in the browser's history."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from playwright.sync_api import Page, Request, expect

from tests.support import clinic as work
from tests.support.clinic import OUYANG, SHAN, Clinic
from tests.support.pages import Trouble, faults

SHOTS = Path(__file__).parent / "shots"
REGISTRAR = "zhoumin"


@pytest.fixture(scope="module", autouse=True)
def people(clinic: Clinic) -> None:
    page = clinic.open(REGISTRAR, script=False)
    for person in (SHAN, OUYANG):
        work.register(page, clinic, person)
    page.close()


def listed(page: Page) -> str:
    return page.locator("main table").first.inner_text()


@pytest.mark.parametrize(
    ("at", "script", "typed"),
    [
        ("/patients", True, SHAN.name), ("/reception", True, SHAN.phone), ("/patients", False, SHAN.phone),
        ("/reception", False, "syq"),
    ],
)  # fmt: skip
def test_back_and_again_show_what_was_found_and_post_nothing(clinic: Clinic, at: str, script: bool, typed: str) -> None:
    page = clinic.open(REGISTRAR, script=script)
    trouble, asked = Trouble(page), list[Request]()
    page.on("request", lambda request: asked.append(request))
    try:
        work.look_for(page, clinic, typed, at=at)
        found = page.url
        assert SHAN.name in listed(page)
        page.click("main table a[data-key='1']")
        page.wait_for_load_state()
        assert page.url != found
        for again in (page.go_back, page.reload):
            posted = len([one for one in asked if one.method == "POST"])
            again()
            expect(page).to_have_url(found)
            assert SHAN.name in listed(page)
            assert len([one for one in asked if one.method == "POST"]) == posted, "no question whether to send again"
        said = [unquote_plus(place) for one in asked for place in (one.url, one.headers.get("referer", ""))]
        # Three letters may stand in a key by chance.
        assert not [place for place in said if typed in place and typed != "syq"]
        assert not trouble.lines
    finally:
        page.close()


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
def test_a_search_that_is_over_says_so_and_is_typed_again(clinic: Clinic, language: str) -> None:
    page = clinic.open(REGISTRAR, language=language)
    trouble = Trouble(page)
    said = []
    try:
        for at in ("/patients", "/reception"):
            page.goto(clinic.url(f"{at}?find={'A' * 22}"))
            expect(page.locator("main .panel__foot").first).to_contain_text(
                "刚才查找的内容已不再保留，请重新输入。" if language == "zh_Hans_CN" else "not kept any longer"
            )
            said += faults(page, language=language)
            page.screenshot(path=SHOTS / f"20-search-over-{at.strip('/')}-{language}-1366.png")
            expect(page.locator("#scan")).to_be_focused()
            page.keyboard.type("syq")
            page.keyboard.press("Enter")
            expect(page.locator("main table").first).to_contain_text(SHAN.name)
        assert not [*said, *trouble.lines]
    finally:
        page.close()
