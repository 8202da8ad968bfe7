"""Every page, looked at in a real browser: in both languages, at a desk's width and at a tablet's, and without script.

The pictures land in tests/e2e/shots/ (not in the repository), beside which a person can hold the design.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize

from tests.support import clinic as work
from tests.support.clinic import GULI, OUYANG, SHAN, TAN, WIDE, Clinic
from tests.support.pages import Trouble, faults, overflow

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
REGISTRAR, DOCTOR, MANAGER = "zhoumin", "shenliqun", "hanmei"
INTERNAL = 1
# What two people write differs each time, else there is no conflict.
COUNT = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What has happened in the clinic by the time the pages are looked at."""

    clinic: Clinic
    waiting: str
    other_waiting: str
    signed: str
    amended: str
    draft: str
    patient: str
    said: tuple[str, ...]

    def go(self, page: Page, path: str) -> None:
        page.goto(self.clinic.url(path))


@contextmanager
def opened(
    clinic: Clinic, who: str | None, *, language: str = "zh_Hans_CN", script: bool = True
) -> Iterator[tuple[Page, Trouble]]:
    """A page of somebody's browser, and what goes wrong on it."""
    page = clinic.open(who, language=language, script=script)
    try:
        yield page, Trouble(page)
    finally:
        page.close()


@pytest.fixture(scope="module")
def morning(clinic: Clinic) -> Day | Exception:
    """The day as far as it came; one test looks at what stopped it, so that it is not told for every page."""
    try:
        return work_a_morning(clinic)
    except Exception as error:
        return error


@pytest.fixture
def day(morning: Day | Exception) -> Day:
    if isinstance(morning, Exception):
        pytest.skip("the morning's work failed: see test_a_morning_without_script")
    return morning


def work_a_morning(clinic: Clinic) -> Day:
    """Four patients and three notes, all of it without JavaScript: whatever needs a script to be done fails here."""
    said: list[str] = []
    with opened(clinic, REGISTRAR, script=False) as (page, trouble):
        registrations = [
            work.register(page, clinic, person, department=INTERNAL) for person in (SHAN, GULI, TAN, OUYANG)
        ]
        work.look_for(page, clinic, "syq")
        patient = page.locator("main table a").first.get_attribute("href") or ""
        said += trouble.lines
    encounters = []
    with opened(clinic, DOCTOR, script=False) as (page, trouble):
        for _ in range(3):
            encounters.append(work.call_next(page, clinic))
            work.write_note(page)
            work.add_diagnosis(page, "jxzqgy")
        for encounter in encounters[:2]:
            page.goto(clinic.url(f"/encounters/{encounter}"))
            work.sign(page)
        page.goto(clinic.url(f"/encounters/{encounters[1]}?amend=1"))
        page.fill("#history", "3 天前受凉后咳嗽，咳黄痰。补充：有青霉素皮疹史。")
        page.fill("#reason", "补充过敏史")
        work.sign(page)
        said += trouble.lines
    return Day(
        clinic=clinic, waiting=registrations[3], other_waiting=registrations[2], signed=encounters[0],
        amended=encounters[1], draft=encounters[2], patient=patient, said=tuple(said),
    )  # fmt: skip


# How each page is reached. A page in answer to a form is asked for with the form.


def wrong_password(day: Day, page: Page) -> None:
    day.go(page, "/login")
    page.fill("#code", "nobody")
    page.fill("#password", "wrong-password")
    page.click("form[action='/login'] .btn--go")


def empty_registration(day: Day, page: Page) -> None:
    day.go(page, "/reception")
    page.fill("#phone", "1380516220")
    page.fill("#birth_date", "1980-02-30")
    page.click("#registration .btn--go")


def same_person(day: Day, page: Page) -> None:
    day.go(page, "/reception")
    page.select_option("#department_id", index=2)
    work.fill_person(page, SHAN)
    page.click("#registration .btn--go")


def empty_person(day: Day, page: Page) -> None:
    day.go(page, "/patients/new")
    page.fill("#name", "王")
    page.click("#record-form .btn--go")


def looking_for(typed: str, *, at: str) -> Callable[[Day, Page], None]:
    """Somebody is looked for, at the desk or among all patients."""
    return lambda day, page: work.look_for(page, day.clinic, typed, at=at)


def chosen(day: Day, page: Page) -> None:
    work.look_for(page, day.clinic, "syq", at="/reception")
    page.click("main table [data-key='1']")
    page.wait_for_url("**patient=*")


def looked_up(day: Day, page: Page) -> None:
    day.go(page, f"/encounters/{day.draft}")
    page.fill("#dx", "急性")
    page.click("button[name=action][value=find]")


def cannot_sign(day: Day, page: Page) -> None:
    day.go(page, f"/encounters/{day.draft}")
    page.fill("#complaint", "")
    page.fill("#temperature", "379")
    page.click("button[name=action][value=sign]")


def conflict(day: Day, page: Page) -> None:
    """Somebody saved after this form was opened."""
    day.go(page, f"/encounters/{day.draft}")
    other = page.context.new_page()
    day.go(other, f"/encounters/{day.draft}")
    for place, words in ((other, "另一台电脑上"), (page, "这台电脑上")):
        place.fill("#history", f"3 天前受凉后咳嗽，咳黄痰。{words}补写，第 {next(COUNT)} 次。")
        place.click("button[name=action][value=save]")
        place.wait_for_load_state()
    other.close()


def wrong_change_of_password(day: Day, page: Page) -> None:
    day.go(page, "/password")
    page.fill("#password", "not-my-password")
    page.fill("#new_password", "short")
    page.click("form[action='/password'] .btn--go")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A page: who looks, how it is reached, and the status of the answer."""

    who: str | None
    reach: Callable[[Day, Page], None] | str
    status: int = 200


LOOKS = {
    "01-signin": Look(who=None, reach="/login"),
    "01-signin-wrong": Look(who=None, reach=wrong_password, status=422),
    "01-password": Look(who=REGISTRAR, reach="/password"),
    "01-password-errors": Look(who=REGISTRAR, reach=wrong_change_of_password, status=422),
    "02-reception": Look(who=REGISTRAR, reach="/reception"),
    "02-reception-found": Look(who=REGISTRAR, reach=looking_for("syq", at="/reception")),
    "02-reception-nobody": Look(who=REGISTRAR, reach=looking_for("nobody", at="/reception")),
    "02-reception-chosen": Look(who=REGISTRAR, reach=chosen),
    "02-reception-registered": Look(who=REGISTRAR, reach="/reception?registered={waiting}"),
    "02-reception-errors": Look(who=REGISTRAR, reach=empty_registration, status=422),
    "02-reception-twins": Look(who=REGISTRAR, reach=same_person, status=409),
    "02-reception-done": Look(who=REGISTRAR, reach="/reception?status=done"),
    "02-reception-empty": Look(who=REGISTRAR, reach="/reception?status=cancelled"),
    "02-registration": Look(who=REGISTRAR, reach="/reception/{waiting}"),
    "02-reception-manager": Look(who=MANAGER, reach="/reception"),
    "03-encounters": Look(who=DOCTOR, reach="/encounters/"),
    "03-waiting": Look(who=DOCTOR, reach="/encounters/queue/{waiting}"),
    "03-note": Look(who=DOCTOR, reach="/encounters/{draft}"),
    "03-note-lookup": Look(who=DOCTOR, reach=looked_up),
    "03-note-errors": Look(who=DOCTOR, reach=cannot_sign, status=422),
    "03-signed": Look(who=DOCTOR, reach="/encounters/{signed}"),
    "03-amended": Look(who=DOCTOR, reach="/encounters/{amended}"),
    "03-amending": Look(who=DOCTOR, reach="/encounters/{signed}?amend=1"),
    "03-versions": Look(who=DOCTOR, reach="/encounters/{amended}/versions"),
    "06-posture": Look(who=REGISTRAR, reach="/posture"),
    "08-console": Look(who=MANAGER, reach="/console"),
    "09-patients": Look(who=REGISTRAR, reach="/patients"),
    "09-patients-found": Look(who=REGISTRAR, reach=looking_for("syq", at="/patients")),
    "09-patients-nobody": Look(who=REGISTRAR, reach=looking_for("nobody", at="/patients")),
    "09-record": Look(who=REGISTRAR, reach="{patient}"),
    "09-record-edit": Look(who=REGISTRAR, reach="{patient}/edit"),
    "09-person-errors": Look(who=REGISTRAR, reach=empty_person, status=422),
    "13-conflict": Look(who=DOCTOR, reach=conflict, status=409),
    "13-not-found": Look(who=REGISTRAR, reach="/patients/01ARZ3NDEKTSV4RRFFQ69G5FAV", status=404),
    "13-forbidden": Look(who=REGISTRAR, reach="/console", status=403),
}  # fmt: skip


def reach(day: Day, look: Look, page: Page) -> None:
    if callable(look.reach):
        look.reach(day, page)
    else:
        day.go(
            page,
            look.reach.format(
                waiting=day.waiting, draft=day.draft, signed=day.signed, amended=day.amended, patient=day.patient,
            ),
        )  # fmt: skip
    page.wait_for_load_state()


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
@pytest.mark.parametrize("name", LOOKS)
def test_a_page_is_sound_at_both_widths(day: Day, name: str, language: str) -> None:
    look = LOOKS[name]
    with opened(day.clinic, look.who, language=language) as (page, trouble):
        trouble.expected_status.add(look.status)
        reach(day, look, page)
        found = faults(page, language=language)
        picture(page, f"{name}-{language}-{WIDE['width']}")
        page.set_viewport_size(TABLET)
        if "#" in page.url:
            page.goto(page.url)
        found += [f"at {TABLET['width']} px: {fault}" for fault in overflow(page)]
        picture(page, f"{name}-{language}-{TABLET['width']}")
        found += trouble.lines
        assert not found, "\n".join(found)


def test_a_morning_without_script(morning: Day | Exception) -> None:
    """Four patients registered, three called and written up, two notes signed, one amended: all by plain forms."""
    if isinstance(morning, Exception):
        raise morning
    day = morning
    assert not day.said, "\n".join(day.said)
    with opened(day.clinic, DOCTOR, script=False) as (page, _):
        for encounter, version in ((day.signed, 1), (day.amended, 2)):
            day.go(page, f"/encounters/{encounter}/versions")
            assert page.locator("tbody .b--ok").count() == version


def picture(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
