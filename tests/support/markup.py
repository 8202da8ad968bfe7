"""A page taken apart: which elements and attributes it has, what a person reads, and what is said beside a field."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

# What no page of ours has of its own, and a browser would act upon.
_ADDRESSES = ("href", "src", "action", "formaction", "xlink:href", "data", "poster", "background", "content")
_VOID = frozenset({"input", "br", "meta", "link", "img", "use", "path", "rect", "line", "circle", "hr", "col", "wbr"})


@dataclass
class Element:
    """One element with its text; text of what is inside belongs to it too."""

    tag: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


class Markup(HTMLParser):
    """Parses stricter than a browser: also what stands in a text area or a title would be found as an element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag=tag, attributes={name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag=tag, attributes={name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self._open.pop().tag == tag:
                return

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text.append(data)

    @property
    def words(self) -> str:
        """Everything that is read, and everything that stands in fields."""
        whole = next((one.text for one in self.elements if one.tag == "html"), [])
        values = [one.attributes["value"] for one in self.elements if "value" in one.attributes]
        return "".join(whole) + "\n" + "\n".join(values)

    def planted(self, marker: str) -> list[str]:
        """Where a marker has become more than text: an element, an attribute, an address that a browser would run."""
        found = [f"<{one.tag}>" for one in self.elements if marker in one.tag]
        for one in self.elements:
            found += [f"<{one.tag} {name}>" for name in one.attributes if marker in name or name.startswith("on")]
            found += [
                f"<{one.tag} {name}={value!r}>"
                for name, value in one.attributes.items()
                if name in _ADDRESSES and value.strip().lower().startswith(("javascript:", "data:", "vbscript:"))
            ]
            if one.tag in ("script", "style") and one.words:
                found.append(f"<{one.tag}> with words of its own")
        return found

    def said(self) -> str:
        """The summary of what went wrong, else the heading."""
        summary = [one.words for one in self.elements if one.attributes.get("class") == "errors"]
        return (summary or [one.words for one in self.elements if one.tag == "h1"] or [""])[0]

    def beside(self, name: str) -> str:
        """What is said beside the field that is marked as wrong; "" where nothing is, or the field is not marked."""
        for one in self.elements:
            marked = one.attributes.get("aria-invalid") == "true"
            if marked and name in (one.attributes.get("name"), one.attributes.get("aria-labelledby", "")[:-6]):
                note = one.attributes.get("aria-describedby", "")
                return next((other.words for other in self.elements if note and other.attributes.get("id") == note), "")
        return ""
