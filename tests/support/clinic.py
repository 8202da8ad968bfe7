"""A clinic's staff at work in a real browser, found by the names of controls so that it works in any language."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, Page, StorageState, ViewportSize

from tests.support.node import RunningNode

# A deadline, not a wait: far beyond what a loaded machine needs.
PATIENCE_MS = 30_000
WIDE: ViewportSize = {"width": 1366, "height": 768}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A made-up person; the ID number has the right form and check digit, and belongs to nobody we know."""

    name: str
    sex: str
    birth_date: str
    id_number: str = ""
    phone: str = ""
    address: str = ""


def id_number(region: str, birth_date: str, serial: str) -> str:
    """A resident's ID number with its check digit (GB 11643)."""
    digits = region + birth_date.replace("-", "") + serial
    weights = [2 ** (18 - place) % 11 for place in range(1, 18)]
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11]


SHAN = Person(
    name="单雅琴",
    sex="2",
    birth_date="1980-03-14",
    id_number=id_number("320502", "1980-03-14", "202"),
    phone="13805162207",
    address="西城街道桂花里 12 号",
)
TAN = Person(name="覃𬭎", sex="1", birth_date="1996-11-02")
GULI = Person(name="古丽娜尔·买买提", sex="2", birth_date="1992-05-20", phone="13900000518")
OUYANG = Person(name="欧阳淑贞", sex="2", birth_date="1952-07-30", address="西城街道桂花里 3 号")


@dataclass
class Clinic:
    """The running node and the browser before it; each person has one session, whatever the language."""

    node: RunningNode
    browser: Browser
    _passwords: dict[str, str] = field(default_factory=dict)
    _sessions: dict[str, StorageState] = field(default_factory=dict)
    _contexts: dict[tuple[str | None, str, bool], BrowserContext] = field(default_factory=dict)

    def open(self, who: str | None = None, *, language: str = "zh_Hans_CN", script: bool = True) -> Page:
        """A page of somebody's own browser, signed in (or not, for None) and not yet anywhere."""
        if who is not None and who not in self._sessions:
            self._sessions[who] = self._sign_in(who)
        key = (who, language, script)
        if key not in self._contexts:
            state = self._sessions[who] if who is not None else None
            self._contexts[key] = self.context(language, script=script, state=state)
        return self._contexts[key].new_page()

    def password(self, who: str) -> str:
        if not self._passwords:
            self._passwords.update(self.node.passwords())
        return self._passwords[who]

    def knows(self, who: str, password: str) -> None:
        """From now on this is the person's password."""
        self.password(who)
        self._passwords[who] = password

    def url(self, path: str) -> str:
        return self.node.url + path

    def context(
        self, language: str = "zh_Hans_CN", *, script: bool = True, state: StorageState | None = None
    ) -> BrowserContext:
        """A browser of its own, without a session unless `state` holds one."""
        context = self.browser.new_context(viewport=WIDE, java_script_enabled=script, storage_state=state)
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": "lang", "value": language, "url": self.node.url}])
        return context

    def _sign_in(self, who: str) -> StorageState:
        context = self.context(script=False)
        try:
            page = context.new_page()
            sign_in(page, self, who)
            return context.storage_state()
        finally:
            context.close()


def sign_in(page: Page, clinic: Clinic, who: str) -> None:
    """Sign in with a password that is already the person's own."""
    page.goto(clinic.url("/login"))
    page.fill("#code", who)
    page.fill("#password", clinic.password(who))
    page.click("form[action='/login'] .btn--go")
    page.wait_for_url(lambda url: "/login" not in url)


def fill_person(page: Page, person: Person) -> None:
    """Fill a form of a person; the type of document follows from whether there is a number."""
    page.fill("#name", person.name)
    page.check(f"input[name=sex][value='{person.sex}']")
    page.fill("#birth_date", person.birth_date)
    page.select_option("#id_type", "resident" if person.id_number else "none")
    page.fill("#id_number", person.id_number)
    page.fill("#phone", person.phone)
    page.fill("#address", person.address)


def register(page: Page, clinic: Clinic, person: Person, *, department: int = 1) -> str:
    """Register somebody new for the n-th department; returns the registration's id."""
    page.goto(clinic.url("/reception"))
    page.select_option("#department_id", index=department)
    fill_person(page, person)
    page.click("#registration .btn--go")
    page.wait_for_url("**registered=*")
    return page.url.partition("registered=")[2].partition("&")[0]


def look_for(page: Page, clinic: Clinic, typed: str, *, at: str = "/patients") -> None:
    """Type into the search field of a page, and Enter."""
    page.goto(clinic.url(at))
    page.fill("#scan", typed)
    page.press("#scan", "Enter")
    page.wait_for_url("**find=*")


def call_next(page: Page, clinic: Clinic) -> str:
    """Call in whoever waits longest; returns the encounter's id."""
    page.goto(clinic.url("/encounters/"))
    page.click("main form[action='/encounters/call'] button >> nth=0")
    page.wait_for_url(lambda url: len(url.rsplit("/", 1)[-1]) == 26)
    return page.url.rsplit("/", 1)[-1]


def write_note(page: Page) -> None:
    """Fill the note that is open and keep it as a draft."""
    page.fill("#complaint", "咳嗽、咳黄痰 3 天")
    page.fill("#history", "3 天前受凉后咳嗽，咳黄痰，伴发热，最高 38.2 ℃，无胸痛、无咯血。")
    page.fill("#temperature", "37.9")
    page.fill("#pulse", "88")
    page.fill("#respiration", "20")
    page.fill("#blood_pressure", "128/82")
    page.fill("#examination", "咽充血，双肺呼吸音粗，可闻及少许湿啰音。")
    page.click("button[name=action][value=save]")
    page.wait_for_load_state()


def add_diagnosis(page: Page, typed: str) -> None:
    """Look a diagnosis up and take the first that is found."""
    page.fill("#dx", typed)
    page.click("button[name=action][value=find]")
    page.wait_for_load_state()
    found = page.locator("button[name=add]")
    if found.count():
        found.first.click()
        page.wait_for_load_state()


def sign(page: Page) -> None:
    """Sign the note that is open. Enter on the button, since one that looks held back can be pressed all the same."""
    page.press("button[name=action][value=sign]", "Enter")
    page.wait_for_load_state()
