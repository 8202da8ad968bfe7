"""A page as a person at a desk uses it: its forms with everything that stands in them, its links, its problems. Pure.

A form is sent as the browser would send it (HTML standard, "constructing the entry list"), hidden fields and all. So a
field that is added to a page later goes along by itself, and nothing here knows of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

_TEXTS = frozenset({"text", "search", "tel", "email", "url", "number", "date", "time", "month", "datetime-local"})
_BUTTONS = frozenset({"submit", "image"})
# Between two of them stands a space, when a page is read out.
_BLOCKS = frozenset({"td", "th", "li", "p", "div", "dd", "dt", "br", "option", "span", "a", "button", "small"})


class NoSuchControl(Exception):
    """The page does not have what a person looked for; says what it has instead."""


@dataclass(slots=True, kw_only=True)
class Control:
    """One control of a form. `value` of a select is the chosen option's; `row` is what stands in its row of a table;
    `is_main` is the button that the page means to be pressed, `within` the class of the block that it stands in."""

    name: str
    kind: str
    value: str
    checked: bool = False
    disabled: bool = False
    is_main: bool = False
    options: list[tuple[str, str]] = field(default_factory=list)
    row: str = ""
    within: str = ""

    @property
    def is_button(self) -> bool:
        return self.kind in _BUTTONS

    @property
    def goes_along(self) -> bool:
        """Is it sent without having been pressed?"""
        if not self.name or self.disabled or self.is_button or self.kind in ("button", "reset", "file"):
            return False
        return self.checked if self.kind in ("radio", "checkbox") else True


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link, its words, and what stands in its row of a table."""

    href: str
    text: str
    row: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with its controls, wherever on the page they stand."""

    action: str
    method: str
    controls: Sequence[Control]

    def has(self, name: str) -> bool:
        """Is there a field of this name that can be filled?"""
        return any(control.name == name and not control.is_button for control in self.controls)

    def value(self, name: str) -> str:
        """What stands in a field; empty for a choice that was not made. Raises NoSuchControl."""
        found = self._fields(name)
        chosen = [control for control in found if control.goes_along]
        return chosen[0].value if chosen else ""

    def options(self, name: str) -> list[tuple[str, str]]:
        """What a select offers: pairs of value and words. Raises NoSuchControl."""
        return [option for control in self._fields(name) for option in control.options]

    def names(self, kind: str = "") -> list[str]:
        """The names of its fields, or of those of one kind, in the order of the page."""
        found = (c.name for c in self.controls if c.name and not c.is_button and kind in ("", c.kind))
        return list(dict.fromkeys(found))

    def buttons(self, name: str, value: str = "") -> list[Control]:
        """Its buttons of a name, and of a value where one is given."""
        found = (c for c in self.controls if c.is_button and not c.disabled and c.name == name)
        return [control for control in found if value in ("", control.value)]

    def main(self) -> tuple[str, str]:
        """The button that the page means to be pressed, for `filled`. Raises NoSuchControl."""
        found = next((c for c in self.controls if c.is_button and c.is_main and not c.disabled), None)
        if found is None:
            raise NoSuchControl(f"{self.action} has no main button")
        return found.name, found.value

    def filled(self, values: Mapping[str, str], *, press: tuple[str, str] | None = None) -> list[tuple[str, str]]:
        """What a browser sends: every field with what stands in it, `values` typed over, and the pressed button.

        Without `press` the form's first button goes along, as when somebody presses Enter. Raises NoSuchControl for a
        field, a choice or a button that is not there.
        """
        for name, value in values.items():
            self._check(name, value)
        sent = [pair for control in self.controls if (pair := _sent(control, values)) is not None]
        if press is None:
            first = next((c for c in self.controls if c.is_button and not c.disabled), None)
            return [*sent, (first.name, first.value)] if first is not None and first.name else sent
        if not self.buttons(*press):
            offered = sorted({f"{c.name}={c.value}" for c in self.controls if c.is_button and c.name})
            raise NoSuchControl(f"{self.action} has no button {press[0]}={press[1]}; it has {', '.join(offered)}")
        return [*sent, press] if press[0] else sent

    def _fields(self, name: str) -> list[Control]:
        found = [control for control in self.controls if control.name == name and not control.is_button]
        if not found:
            raise NoSuchControl(f"{self.action} has no field {name}; it has {', '.join(self.names())}")
        return found

    def _check(self, name: str, value: str) -> None:
        found = self._fields(name)
        offered = [o[0] for c in found for o in c.options] + [c.value for c in found if c.kind in ("radio", "checkbox")]
        # An empty value takes a tick away.
        if offered and value not in offered and not (value == "" and found[0].kind == "checkbox"):
            raise NoSuchControl(f"{self.action} does not offer {value} for {name}, only {', '.join(offered)}")


def _sent(control: Control, values: Mapping[str, str]) -> tuple[str, str] | None:
    typed = values.get(control.name)
    if typed is None or control.is_button or control.disabled:
        return (control.name, control.value) if control.goes_along else None
    if control.kind in ("radio", "checkbox"):
        return (control.name, control.value) if control.value == typed else None
    return control.name, typed


@dataclass(frozen=True, kw_only=True)
class Page:
    """An answer that a person sees. It is read when somebody looks for something in it."""

    path: str
    status: int
    html: str

    @property
    def title(self) -> str:
        return self._read.title

    @property
    def links(self) -> Sequence[Link]:
        return self._read.links

    @property
    def problems(self) -> Sequence[str]:
        """What the summary above a refused form says, line by line."""
        return self._read.problems

    @property
    def forms(self) -> Sequence[Form]:
        return self._read.forms()

    def form(self, action: str) -> Form:
        """The form that leads to an address. Raises NoSuchControl."""
        found = self.find(action)
        if found is None:
            raise NoSuchControl(f"{self.path} ({self.status}) has no form to {action}: {self.title}")
        return found

    def find(self, action: str) -> Form | None:
        """The form that leads to an address, or None."""
        return next((form for form in self.forms if form.action == action), None)

    def link(self, part: str) -> Link | None:
        """The first link whose address holds this, or None."""
        return next((link for link in self.links if part in link.href), None)

    def says(self) -> str:
        """What went wrong, as far as the page says it: its problems, else its title."""
        return f"{self.status} {self.path}: {'; '.join(self.problems) or self.title}"

    @cached_property
    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        reader.close()
        return reader


class _Reader(HTMLParser):
    """Reads a whole page once. Forms do not nest, and our pages close what they open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.links: list[Link] = []
        self.problems: list[str] = []
        # Under the form's id, else under its place on the page: controls may stand outside of it, and before it.
        self._found: dict[str, tuple[str, str]] = {}
        self._controls: dict[str, list[Control]] = {}
        self._form = ""
        # The texts that are being listened to, each until its element ends.
        self._heard: dict[str, list[str]] = {}
        self._row: list[tuple[list[Control], list[tuple[str, str]]]] = []
        self._select: Control | None = None
        self._textarea: Control | None = None
        self._option: tuple[str | None, bool, bool] | None = None
        self._href = ""
        self._blocks: list[str] = []

    def forms(self) -> list[Form]:
        return [
            Form(action=action, method=method, controls=self._controls.get(key, []))
            for key, (action, method) in self._found.items()
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self.handle_data(" ")
        match tag:
            case "title" if not self.title:
                self._heard["title"] = []
            case "form":
                self._form = given.get("id") or f"form {len(self._found)}"
                self._found[self._form] = (given.get("action", ""), given.get("method", "get").lower())
            case "input":
                self._input(given)
            case "button":
                self._keep(given, given.get("type", "submit") or "submit", given.get("value", ""))
            case "textarea":
                self._textarea = self._keep(given, "textarea", "")
                self._heard["textarea"] = []
            case "select":
                self._select = self._keep(given, "select", "")
            case "option" if self._select is not None:
                self._end_option()
                self._option = (given.get("value"), "selected" in given, "disabled" in given)
                self._heard["option"] = []
            case "a" if "href" in given:
                self._href = given["href"]
                self._heard["a"] = []
            case "tr":
                self._heard["row"] = []
                self._row.append(([], []))
            case "div":
                self._blocks.append(given.get("class", ""))
            case "li" if "errors" in self._blocks:
                self._heard["li"] = []

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "title":
                self.title = self.title or self._said("title")
            case "form":
                self._form = ""
            case "textarea" if self._textarea is not None:
                # A line feed right after the tag belongs to the mark-up.
                self._textarea.value = "".join(self._heard.pop("textarea", [])).removeprefix("\n")
                self._textarea = None
            case "option":
                self._end_option()
            case "select":
                self._end_select()
            case "a" if self._href:
                link = (self._href, self._said("a"))
                if self._row:
                    self._row[-1][1].append(link)
                else:
                    self.links.append(Link(href=link[0], text=link[1], row=""))
                self._href = ""
            case "tr" if self._row:
                self._end_row()
            case "div" if self._blocks:
                self._blocks.pop()
            case "li" if "li" in self._heard:
                self.problems.append(self._said("li"))

    def handle_data(self, data: str) -> None:
        for parts in self._heard.values():
            parts.append(data)

    def _said(self, what: str) -> str:
        return " ".join("".join(self._heard.pop(what, [])).split())

    def _input(self, given: Mapping[str, str]) -> None:
        kind = given.get("type", "text").lower() or "text"
        value = given.get("value", "on" if kind in ("radio", "checkbox") else "")
        self._keep(given, "text" if kind in _TEXTS else kind, value)

    def _keep(self, given: Mapping[str, str], kind: str, value: str) -> Control:
        control = Control(
            name=given.get("name", ""), kind=kind, value=value, checked="checked" in given,
            disabled="disabled" in given, is_main="btn--go" in given.get("class", "").split(),
            within=self._blocks[-1] if self._blocks else "",
        )  # fmt: skip
        if belongs_to := given.get("form") or self._form:
            self._controls.setdefault(belongs_to, []).append(control)
        if self._row:
            self._row[-1][0].append(control)
        return control

    def _end_option(self) -> None:
        if self._option is None or self._select is None:
            return
        value, selected, disabled = self._option
        words = self._said("option")
        if not disabled:
            shown = words if value is None else value
            if selected or not self._select.options:
                self._select.value = shown
            self._select.options.append((shown, words))
        self._option = None

    def _end_select(self) -> None:
        self._end_option()
        if self._select is not None and not self._select.options:
            self._select.disabled = True
        self._select = None

    def _end_row(self) -> None:
        controls, links = self._row.pop()
        row = self._said("row")
        for control in controls:
            control.row = row
        self.links += [Link(href=href, text=words, row=row) for href, words in links]
