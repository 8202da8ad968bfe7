"""Contrast of every colour of the pages, computed from the stylesheet as WCAG 2.2 defines it.

Floors: text that is read all day 7, other text 4.5, edges of controls and shapes 3. Colour is never the only sign, but
it must be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STYLESHEET = ROOT / "edge_node/his/static/app.css"

ALL_DAY, TEXT, SHAPE = 7.0, 4.5, 3.0
GROUNDS = ("surface", "paper", "sunk")
TINTS = ("accent-bg", "ok-bg", "warn-bg", "bad-bg", "off-bg", "dim-bg", "exercise-bg")

# What is drawn on which ground, and how well it must be seen: tokens, or colours as CSS writes them.
PAIRS = [
    *(("ink", ground, ALL_DAY) for ground in (*GROUNDS, *TINTS)),
    *(("ink-2", ground, ALL_DAY) for ground in (*GROUNDS, *TINTS)),
    ("ink-3", "surface", TEXT),
    ("ink-3", "paper", TEXT),
    ("rule-2", "surface", SHAPE),
    ("rule-2", "paper", SHAPE),
    ("accent", "surface", TEXT),
    ("accent", "paper", TEXT),
    ("accent", "sunk", TEXT),
    ("accent", "accent-bg", TEXT),
    ("#fff", "accent", TEXT),
    ("focus", "surface", SHAPE),
    ("focus", "paper", SHAPE),
    ("#fff", "ink", ALL_DAY),
    *((kind, f"{kind}-bg", TEXT) for kind in ("ok", "warn", "bad", "off", "dim", "exercise")),
    *((kind, "surface", TEXT) for kind in ("ok", "warn", "bad", "off", "dim", "exercise")),
    ("warn-mark", "surface", SHAPE),
    ("warn-mark", "warn-bg", SHAPE),
    *(("#fff", kind, TEXT) for kind in ("bad", "off", "exercise")),
]

# A colour that is set in one block and lies on the ground of another.
INHERITED = [
    (".top__nav a", ".top", TEXT),
    (".top__clinic small", ".top", TEXT),
    (".top__me a", ".top", TEXT),
    (".top__find kbd", ".top", TEXT),
    (".top__find input::placeholder", ".top__find input", TEXT),
    (".posture--online", ".posture", ALL_DAY),
    (".posture--online .posture__name", ".posture", TEXT),
    (".posture--backup a", ".posture--backup", TEXT),
    (".posture--offline a", ".posture--offline", TEXT),
    (".posture--unknown", ".posture--unknown .posture__name", ALL_DAY),
]


@dataclass(frozen=True, slots=True)
class Rule:
    """One block of the stylesheet: its selectors and its declarations, comments left out."""

    selectors: tuple[str, ...]
    declarations: dict[str, str]


def rules(css: str) -> Iterator[Rule]:
    """The innermost blocks, so that those inside @media count too."""
    for selectors, body in re.findall(r"([^{};]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", css, flags=re.S)):
        pairs = (line.split(":", 1) for line in body.split(";") if ":" in line)
        yield Rule(
            selectors=tuple(" ".join(part.split()) for part in selectors.split(",")),
            declarations={name.strip(): value.strip() for name, value in pairs},
        )


RULES = list(rules(STYLESHEET.read_text(encoding="utf-8")))
TOKENS = {
    name.removeprefix("--"): value
    for rule in RULES
    if rule.selectors == (":root",)
    for name, value in rule.declarations.items()
    if value.startswith("#")
}


def rgb(value: str) -> tuple[float, float, float] | None:
    """Red, green and blue, 0 to 1, of a token's name or a value of CSS; None for what is no plain colour."""
    if match := re.fullmatch(r"var\(--([\w-]+)\)", value):
        value = match[1]
    digits = TOKENS.get(value, value).removeprefix("#")
    if not re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits):
        return None
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21. AssertionError for what is no colour."""
    colours = rgb(one), rgb(other)
    assert colours[0] is not None, f"{one} is no colour of the stylesheet"
    assert colours[1] is not None, f"{other} is no colour of the stylesheet"
    lighter, darker = sorted((luminance(colours[0]), luminance(colours[1])), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def declared(selector: str, name: str) -> str:
    """What the last rule for exactly this selector says; a background also counts by its longer name."""
    names = (name, "background-color") if name == "background" else (name,)
    found = [
        rule.declarations[key]
        for rule in RULES
        if selector in rule.selectors
        for key in names
        if key in rule.declarations
    ]
    assert found, f"the stylesheet has no {name} for {selector}"
    return found[-1]


@pytest.mark.parametrize(
    "one, other, expected",
    [("#000", "#ffffff", 21.0), ("#777777", "#fff", 4.48), ("#fff", "#fff", 1.0), ("#595959", "#ffffff", 7.0)],
    ids=lambda value: str(value),
)
def test_the_formula(one: str, other: str, expected: float) -> None:
    """Known values of WCAG's own examples."""
    assert contrast(one, other) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("text, ground, least", PAIRS, ids=lambda value: str(value))
def test_a_colour_is_seen_on_its_ground(text: str, ground: str, least: float) -> None:
    assert contrast(text, ground) >= least


@pytest.mark.parametrize("text, ground, least", INHERITED, ids=lambda value: str(value))
def test_a_colour_is_seen_on_the_ground_around_it(text: str, ground: str, least: float) -> None:
    assert contrast(declared(text, "color"), declared(ground, "background")) >= least


def test_every_block_that_sets_both_can_be_read() -> None:
    """Also the blocks that nobody listed above."""
    both = [
        (", ".join(rule.selectors), rule.declarations["color"], rule.declarations["background"])
        for rule in RULES
        if "color" in rule.declarations and "background" in rule.declarations
    ]
    plain = [(name, text, ground) for name, text, ground in both if rgb(text) and rgb(ground)]
    assert len(plain) > 10, "the stylesheet is not read as it is written"
    faint = [f"{name}: {contrast(text, ground):.2f}" for name, text, ground in plain if contrast(text, ground) < TEXT]
    assert not faint


def test_every_control_has_an_edge_that_is_seen() -> None:
    """Fields and buttons are told from the ground by their edge alone, also where colours are forced."""
    for selector in ("input", ".btn"):
        (colour,) = (part for part in declared(selector, "border").split() if rgb(part))
        assert contrast(colour, "surface") >= SHAPE
        assert contrast(colour, "paper") >= SHAPE


def test_there_is_no_dark_theme_and_no_colour_that_moves() -> None:
    css = STYLESHEET.read_text(encoding="utf-8")
    for word in ("prefers-color-scheme", "@keyframes", "animation:", "transition:", "font-style: italic"):
        assert word not in css
