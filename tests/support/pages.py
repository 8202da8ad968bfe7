"""What must hold of every page, looked at in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request, Response, ViewportSize

from tests.support.clinic import WIDE

TABLET: ViewportSize = {"width": 800, "height": 1100}

# Roles of the accessibility tree that people act on; Chromium's own computation of the name is the judge.
ACTED_ON = frozenset(
    {
        "button", "checkbox", "combobox", "ComboBoxSelect", "ComboBoxGrouping", "ComboBoxMenuButton", "Date",
        "DateTime", "DisclosureTriangle", "InputTime", "link", "listbox", "ListBox", "menuitem", "radio", "searchbox",
        "slider", "spinbutton", "switch", "tab", "textbox", "TextField", "ToggleButton",
    }
)  # fmt: skip

# Words in Latin letters also on a Chinese page: keys, names of programs and units, abbreviations of medicine.
LATIN_IN_CHINESE = frozenset(
    """Alt Enter Esc Tab RPO RTO TXID SQLite Litestream HIS ICD ID BMI CT MRI English mmHg cloud local nas
    his replica monitor edge node status run init restore KiB MiB GiB kB MB GB training
    links outbox line telecom unicom platform observe RTT MTU
    Windows Edge Chrome Chromium Firefox Safari Android HarmonyOS UOS iPad SHA hosts DNS""".lower().split()
)

# Pinyin initials, as in examples of what may be typed: words without a vowel.
# The end of a hash, whose letters are of no language.
_DIGEST = re.compile(r"\b[0-9a-f]{8,}\b")
_INITIALS = re.compile(r"[b-df-hj-np-tv-z]+")

# Half-width where Chinese has its own; after all is put together, which the catalogs cannot show.
_HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!](?=\s|[\u4e00-\u9fff]|$).{0,20}")

# Pairs of a text that a person sees or hears, and the language that it is said to be in.
_TEXTS = """
() => {
  const found = [];
  const language = (element) => element.closest("[lang]")?.getAttribute("lang") ?? "";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement, text = node.textContent.trim();
    if (!text || parent.closest("script, style, kbd, code, .mono, svg, textarea, [data-typed]")) continue;
    if (!parent.checkVisibility()) continue;
    found.push([text, language(parent), true]);
  }
  for (const element of document.querySelectorAll("[placeholder], [title], [aria-label], optgroup[label]"))
    for (const name of ["placeholder", "title", "aria-label", "label"])
      if (element.getAttribute(name)) found.push([element.getAttribute(name), language(element), false]);
  found.push([document.title, language(document.documentElement), false]);
  return found;
}
"""

_MEASURES = """
() => ({
  scrollWidth: document.documentElement.scrollWidth,
  clientWidth: document.documentElement.clientWidth,
  wide: [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && e.checkVisibility())
    .slice(-3).map((e) => e.outerHTML.slice(0, 120)),
  headings: [...document.querySelectorAll("h1, h2, h3, h4")].map((e) => Number(e.tagName[1])),
  mains: document.querySelectorAll("main").length,
  language: document.documentElement.lang,
  title: document.title,
  name: document.querySelector(".patient__name [data-typed]")?.textContent ?? "",
  said: document.querySelector("main").innerText,
  ids: [...document.querySelectorAll("[id]")].map((e) => e.id),
  accesskeys: [...document.querySelectorAll("[accesskey]")].filter((e) => e.checkVisibility())
    .map((e) => e.getAttribute("accesskey")),
  styled: document.querySelectorAll("[style]").length,
  foreign: [...document.querySelectorAll("[src], link[href]")].map((e) => e.src || e.href)
    .filter((address) => new URL(address, location).origin !== location.origin && !address.startsWith("data:")),
  small: [...document.querySelectorAll("button, .btn, input:not([type=hidden]), select, textarea, summary")]
    .filter((e) => e.checkVisibility() && !e.closest(".vh"))
    .filter((e) => { const box = (e.closest("label") ?? e).getBoundingClientRect();
                     return box.width > 0 && (box.width < 24 || box.height < 24); })
    .map((e) => e.outerHTML.slice(0, 120)),
})
"""


@dataclass
class Trouble:
    """What a page said or lacked while it was open; listens from the moment that it is made."""

    page: Page
    lines: list[str] = field(default_factory=list)
    expected_status: set[int] = field(default_factory=lambda: {200})

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.lines.append(f"script error: {error}"))
        self.page.on("requestfailed", self._not_loaded)
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # The browser reports the page's own status too; that is judged in _response.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.lines.append(f"console: {message.text}")

    def _not_loaded(self, request: Request) -> None:
        # What was still being fetched when the person went on is not missed.
        if request.failure != "net::ERR_ABORTED":
            self.lines.append(f"not loaded: {request.url} ({request.failure})")

    def _response(self, response: Response) -> None:
        document = response.request.resource_type == "document"
        if response.status >= 400 and not (document and response.status in self.expected_status):
            self.lines.append(f"{response.status} for {response.url}")


def faults(page: Page, *, language: str) -> list[str]:
    """Everything that is wrong with the page as it stands, in words; empty when nothing is."""
    measures: dict[str, Any] = page.evaluate(_MEASURES)
    found = [*_structure(measures, language), *_size(measures), *_nameless(page), *_untranslated(page, language)]
    if language == "zh_Hans_CN":
        found += [f"half-width punctuation: {words!r}" for words in _HALF_WIDTH.findall(measures["said"])]
    return found


def overflow(page: Page) -> list[str]:
    """Does the page scroll sideways at its present size?"""
    return list(_size(page.evaluate(_MEASURES)))


def _structure(measures: dict[str, Any], language: str) -> Iterator[str]:
    tag = {"zh_Hans_CN": "zh", "en": "en"}[language]
    if not measures["language"].startswith(tag):
        yield f"<html lang> is {measures['language']!r}"
    if not measures["title"].split("·")[0].strip():
        yield "the page has no title of its own"
    if measures["name"] and measures["name"] in measures["title"]:
        yield "the patient's name is in the title, which stands in the browser's history"
    headings = measures["headings"]
    if headings.count(1) != 1:
        yield f"{headings.count(1)} first-level headings instead of one"
    if any(after - before > 1 for before, after in pairwise(headings)):
        yield f"a level of heading is left out: {headings}"
    if measures["mains"] != 1:
        yield f"{measures['mains']} main landmarks instead of one"
    for name in ("ids", "accesskeys"):
        twice = {value for value in measures[name] if measures[name].count(value) > 1}
        if twice:
            yield f"{name} used twice: {', '.join(sorted(twice))}"
    if measures["styled"]:
        yield f"{measures['styled']} inline styles, which the content policy forbids"
    for address in measures["foreign"]:
        yield f"an asset from elsewhere: {address}"
    for element in measures["small"]:
        yield f"a target below 24 by 24 pixels: {element}"


def _size(measures: dict[str, Any]) -> Iterator[str]:
    if measures["scrollWidth"] > measures["clientWidth"]:
        yield f"scrolls sideways, {measures['scrollWidth']} in {measures['clientWidth']} px: {measures['wide']}"


def _nameless(page: Page) -> Iterator[str]:
    session = page.context.new_cdp_session(page)
    try:
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    finally:
        session.detach()
    for node in nodes:
        role = node.get("role", {}).get("value", "")
        if not node.get("ignored") and role in ACTED_ON and not node.get("name", {}).get("value", "").strip():
            yield f"a {role} without a name"


def _untranslated(page: Page, language: str) -> Iterator[str]:
    """English words on a Chinese page; Chinese ones on an English page that are not marked as such by `lang`.

    Names stay Chinese in titles and labels of an English page, where nothing can be marked.
    """
    for text, tag, can_be_marked in page.evaluate(_TEXTS):
        if language == "zh_Hans_CN" and not tag.startswith("en"):
            said = _DIGEST.sub("", text)
            words = [word.lower() for word in re.findall(r"[A-Za-z]{3,}", said) if not _INITIALS.fullmatch(word)]
            if set(words) - LATIN_IN_CHINESE:
                yield f"not Chinese: {text[:80]!r}"
        if language == "en" and can_be_marked and not tag.startswith("zh") and re.search(r"[\u3400-\u9fff]", text):
            yield f"not English, and not marked as Chinese: {text[:80]!r}"


def judge_and_keep(
    page: Page, reach: Callable[[Page], None], *, as_file: Path, language: str, status: int = 200, full: bool = False
) -> None:
    """Bring a page to what is to be seen, judge it in a wide window and on a tablet, keep a picture of each, close it.

    `status` is what the last answer may be besides 200; the pictures are `<as_file>-<language>-<width>.png`.
    """
    trouble = Trouble(page, expected_status={200, status})
    try:
        reach(page)
        page.wait_for_load_state()
        said = faults(page, language=language)
        for size in (WIDE, TABLET):
            page.set_viewport_size(size)
            said += overflow(page)
            page.screenshot(path=f"{as_file}-{language}-{size['width']}.png", full_page=full)
        assert not [*dict.fromkeys(said), *trouble.lines]
    finally:
        page.close()
