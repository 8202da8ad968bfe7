"""Two people changed one note: what each changed, and both in one text. Pure.

What is shown is compared by characters (by words where the script has spaces). What is put together is compared by
whole clauses: letter by letter, two honest sentences can become a third that nobody wrote, such as a symptom without
its "no".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from edge_node.his.encounters.note import PROSE_FIELDS, TEXT_FIELDS, Diagnosis, Note

_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[.,/][0-9]+)*|\s+|.")
# The enumeration comma is no end of a clause: "无胸痛、咯血" denies both.
_CLAUSE_END = re.compile(r"([，。；！？,;!?\n]|\.(?=\s|$)|\s+(?=[，。；！？,;!?\n])|(?<=[，。；！？,;!?.\n])\s+)")
_CHINESE = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")


class Change(StrEnum):
    """What became of a piece of text; the names of the HTML elements that show it."""

    SAME = "same"
    ADDED = "ins"
    REMOVED = "del"


@dataclass(frozen=True, slots=True)
class Piece:
    change: Change
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldConflict:
    """One field in which the saved note and mine differ; each side as changes against what both began with."""

    field: str
    saved: tuple[Piece, ...]
    mine: tuple[Piece, ...]
    merged: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteConflict:
    """Everything that differs, and the whole note with both sides put together."""

    fields: tuple[FieldConflict, ...]
    saved_diagnoses: tuple[Diagnosis, ...]
    mine_diagnoses: tuple[Diagnosis, ...]
    diagnoses_differ: bool
    merged: Note


def compare(base: Note, saved: Note, mine: Note) -> NoteConflict:
    """Put two notes that began with `base` side by side and together.

    Prose that only one side changed takes that change; where both changed one place, the merged text holds both, the
    saved first. Of a single value (a temperature, a date) that both changed, mine stands in the merged note and both
    are shown. Nothing is dropped that was not deleted by somebody.
    """
    merged = {name: _merge_field(name, *(getattr(note, name) for note in (base, saved, mine))) for name in TEXT_FIELDS}
    fields = tuple(
        FieldConflict(
            field=name,
            saved=changes(getattr(base, name), getattr(saved, name)),
            mine=changes(getattr(base, name), getattr(mine, name)),
            merged=merged[name],
        )
        for name in TEXT_FIELDS
        if getattr(saved, name) != getattr(mine, name)
    )
    return NoteConflict(
        fields=fields,
        saved_diagnoses=saved.diagnoses,
        mine_diagnoses=mine.diagnoses,
        diagnoses_differ=saved.diagnoses != mine.diagnoses,
        merged=Note(**merged, diagnoses=merge_diagnoses(base.diagnoses, saved.diagnoses, mine.diagnoses)),
    )


def _merge_field(name: str, base: str, saved: str, mine: str) -> str:
    if name in PROSE_FIELDS:
        return merge_text(base, saved, mine)
    return saved if mine == base else mine


def changes(old: str, new: str) -> tuple[Piece, ...]:
    """How `old` became `new`, as pieces that read in order."""
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    pieces: list[Piece] = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece(Change.SAME, "".join(before[i:j])))
            continue
        if i < j:
            pieces.append(Piece(Change.REMOVED, "".join(before[i:j])))
        if k < m:
            pieces.append(Piece(Change.ADDED, "".join(after[k:m])))
    return tuple(pieces)


def merge_text(base: str, saved: str, mine: str) -> str:
    """Both sides' changes in one text; where both changed the same place, the saved words and then mine."""
    original, theirs, ours = _clauses(base), _clauses(saved), _clauses(mine)
    merged: list[str] = []
    at, at_theirs, at_ours = 0, 0, 0
    for start, start_theirs, start_ours, length in _agreements(original, theirs, ours):
        before = original[at:start]
        their_part, our_part = theirs[at_theirs:start_theirs], ours[at_ours:start_ours]
        if their_part in (before, our_part):
            merged += our_part
        elif our_part == before:
            merged += their_part
        else:
            merged += _one_after_the_other(their_part, our_part)
        merged += original[start : start + length]
        at, at_theirs, at_ours = start + length, start_theirs + length, start_ours + length
    return "".join(merged)


def merge_diagnoses(
    base: Sequence[Diagnosis], saved: Sequence[Diagnosis], mine: Sequence[Diagnosis]
) -> tuple[Diagnosis, ...]:
    """The saved list in its order without what I removed, then what I added."""
    kept = [diagnosis for diagnosis in saved if diagnosis in mine or diagnosis not in base]
    return tuple(kept + [diagnosis for diagnosis in mine if diagnosis not in base and diagnosis not in kept])


def _clauses(text: str) -> list[str]:
    """Clauses and the punctuation between them, each a token: a new clause often changes the stop before it."""
    return [token for token in _CLAUSE_END.split(text) if token]


def _one_after_the_other(theirs: list[str], ours: list[str]) -> list[str]:
    """Both, with a semicolon between: after a comma, mine would read as a part of what the other wrote."""
    if not theirs or not ours:
        return theirs + ours
    while ours and (_CLAUSE_END.fullmatch(ours[0]) or ours[0].isspace()):
        ours = ours[1:]
    if not ours or _CLAUSE_END.fullmatch(theirs[-1]):
        return theirs + ours
    stop = "；" if _CHINESE.search("".join(theirs + ours)) else "; "
    return [*theirs, stop, *ours]


def _agreements(base: list[str], theirs: list[str], ours: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Stretches of `base` that both sides kept: place in base, theirs and ours, and length; last an empty one."""
    their_place, our_place = _places(base, theirs), _places(base, ours)
    at = 0
    while at < len(base):
        if at not in their_place or at not in our_place:
            at += 1
            continue
        length = 1
        while (
            their_place.get(at + length) == their_place[at] + length
            and our_place.get(at + length) == our_place[at] + length
        ):
            length += 1
        yield at, their_place[at], our_place[at], length
        at += length
    yield len(base), len(theirs), len(ours), 0


def _places(base: list[str], other: list[str]) -> dict[int, int]:
    """Where each kept token of `base` stands in `other`."""
    blocks = SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}
