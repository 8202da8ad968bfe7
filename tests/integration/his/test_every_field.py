"""The walker: every field of every form of the clinic, whatever forms there are."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from html import unescape

import pytest
from werkzeug.test import TestResponse

from edge_node.his import forms, request_key
from edge_node.simulation.page import Control, Page
from tests.support.markup import Markup
from tests.support.walked_clinic import a_walked_clinic
from tests.support.walking import Found, Snapshot, Walk, act, shape


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with a_walked_clinic(tmp_path_factory.mktemp("fields")) as walk:
        yield walk


TEXTS = frozenset({"text", "textarea", "password"})
TYPED = {
    "empty": "",
    "blank": " \u3000\t",
    "too-long": "长" * 12_000,
    "words": "words not a number",
    "rare-han": "𠮷野𬭎",
    "zero-width": "甲\u200b乙\u200d丙",
    "nul": "甲\0乙",
    "unseen": "甲\x01\x1d\x7f\x9f乙\x08",
    "breaks": "甲\x0b乙\x0c丙\x85丁",
    "bidi": "甲\u202e乙\u2066丙",
    "combining": "e\u0301\u0327\u0323",
    "emoji": "👩\u200d👩\u200d👧",
    "future": "2999-12-31",
    "huge": "9" * 30,
    "minus": "-1",
}
# Fields whose problem is said beside another one, since it is a pair that does not fit.
BESIDE = {
    "doctor_id": "department_id",
    "guardian_name": "guardian_relation",
    "id_type": "id_number",
    "id_number": "id_type",
    "hours": "destination",
}
# Answers that keep nothing by themselves: what is looked for, who signs in, what a button does.
NOT_KEPT = frozenset(
    {"q", "dx", "rx-q", "od-q", "mrn", "code", "station", "username", "action", "od-count", "template"}
)


# Typed anew each time, or cut where a search ends; which of two was wrong is said to nobody.
TYPED_ANEW = frozenset({"one_time_code", "od-q"})
# A signature that is refused keeps what was typed as a draft (decision 75).
DRAFTS = frozenset({"note_draft", "prescription", "prescription_draft"})
SAYS_NOT_WHICH = frozenset({"staff.sign_in"})
# Forms that a walk cannot fill: the code of a second factor. And one whose every press makes another seed: the one that
# is shown last counts.
NEVER_TAKEN = frozenset({"factor.confirm"})
ANEW_EACH_TIME = frozenset({"factor.begin"})


def walked(walk: Walk, turn: int = 0) -> list[tuple[Found, Control]]:
    """Every field once for each address that it is posted to. Of several forms with that field (a note that is begun,
    written, amended) each has its turn."""
    fields: dict[tuple[str, str], list[tuple[Found, Control]]] = {}
    for found in walk.atlas.forms:
        for control in found.controls():
            if control.name != "csrf_token":
                fields.setdefault((found.endpoint, shape(control.name)), []).append((found, control))
    return [one[turn % len(one)] for one in fields.values()]


def norm(words: str) -> str:
    """As a field may tidy what was typed: its spaces, full-width letters, and what nobody sees."""
    return " ".join(unicodedata.normalize("NFKC", forms.seen(words)).split())


def unseen(changed: Mapping[str, Sequence[tuple[object, ...]]]) -> list[str]:
    """The tables that keep a sign that no page shows, as itself or as JSON writes it."""
    return [
        table
        for table, rows in changed.items()
        for cell in (cell for row in rows for cell in row)
        if isinstance(cell, str) and (forms.seen(cell) != cell or re.search(r"(?<!\\)\\(u00[01]|[bf])", cell))
    ]


def judged(walk: Walk, found: Found, control: Control, typed: str, before: Snapshot) -> list[str]:
    """Everything that is wrong with the answer to one value in one field."""
    sent = walk.filled(found, {control.name: typed})
    answer = walk.post(found, sent)
    status, visible = answer.status_code, control.kind in TEXTS
    changed = before.changed()
    if status >= 500:
        return [f"{status}"]
    if tables := unseen(changed):
        return [f"{status}, and kept what nobody can see: {tables}"]
    if status in (401, 302) and "/login" in answer.headers.get("Location", "/login"):
        return ["the session is gone"] if found.role is not None else []
    if status >= 400:
        done = set(changed) - (DRAFTS if found.endpoint == "encounters.save" else set())
        wrong = [f"{status}, and {sorted(done)} changed"] if done else []
        if visible and status in (409, 422) and control.kind != "password":
            wrong += refused(found, control, answer.text, sent)
        elif visible and status not in (409, 422, 401, 429):
            wrong.append(f"{status} for what somebody may type")
        return wrong
    if changed and visible and typed.strip() and control.name not in NOT_KEPT and control.kind != "password":
        told = walk.his.conn.execute("SELECT detail FROM audit_log ORDER BY seq DESC LIMIT 3").fetchall()
        rows = "\n".join(str(cell) for row in (*(row for of in changed.values() for row in of), *told) for cell in row)
        exactly = any(words in rows for words in (typed, json.dumps(typed, ensure_ascii=False)[1:-1]))
        if not exactly and norm(typed) not in norm(rows):
            return [f"taken and not kept as it was typed: {sorted(changed)}"]
    return []


def refused(found: Found, control: Control, html: str, sent: Sequence[tuple[str, str]]) -> list[str]:
    """A refusal says what is wrong beside the field, and keeps what was typed in all of them."""
    page = Markup(html)
    wrong = []
    beside = page.beside(control.name) or page.beside(BESIDE.get(control.name, control.name))
    if control.name.startswith(("rx-", "reason-")) and any(
        one.attributes.get("href") == "#findings" for one in page.elements
    ):
        beside = beside or "among the findings, each with its line"
    if not beside and found.endpoint not in SAYS_NOT_WHICH:
        wrong.append("refused, and nothing said beside the field")
    forms = [one for one in Page(path=found.path, status=422, html=html).forms if one.action == found.form.action]
    again = next((one for one in forms if act(one) == act(found.form)), None)
    if again is None:
        return [*wrong, "refused without the form"]
    shown = {c.name: c.value for c in again.controls if c.kind in ("text", "textarea")}
    kinds = {c.name: c.kind for c in found.form.controls}
    for name, value in sent:
        if (
            kinds.get(name) in ("text", "textarea")
            and name not in TYPED_ANEW
            and norm(shown.get(name, "")) != norm(value)
        ):
            wrong.append(f"lost what was typed in {name}: {shown.get(name, 'no field')[:40]!r}")
    return wrong


@pytest.mark.parametrize("what", TYPED)
def test_every_field_of_every_form(walk: Walk, what: str) -> None:
    """Never a bug; refused with a sentence beside the field, everything typed and nothing changed; or kept as it is."""
    before, wrong = Snapshot(walk.his), dict[str, list[str]]()
    for found, control in walked(walk, list(TYPED).index(what)):
        if problems := judged(walk, found, control, TYPED[what], before):
            wrong[f"{found.endpoint} {control.name} ({found.page[:60]})"] = problems
        before.restore()
    assert wrong == {}


def test_every_form_can_be_filled_and_a_second_post_does_nothing_more(walk: Walk) -> None:
    """With what VALUES says each form is taken; posted twice with one key, as by a double click, it is taken once."""
    before, wrong = Snapshot(walk.his), []
    for found in walk.atlas.forms:
        key = request_key.new()
        sent = walk.filled(found, {})
        first = walk.post(found, sent, key=key)
        if first.status_code >= 400 and found.endpoint not in NEVER_TAKEN:
            wrong.append((found.endpoint, found.page, first.status_code, Markup(first.text).said()))
        once = Snapshot(walk.his)
        second = walk.post(found, sent, key=key)
        changed = {} if found.endpoint in ANEW_EACH_TIME else once.changed()
        if second.status_code >= 500 or changed:
            wrong.append((found.endpoint, found.page, second.status_code, f"twice: {changed}"))
        before.restore()
    assert wrong == [], "what a field needs is said in tests/support/walking.VALUES"


MARK = "xqz"
PAYLOADS = (
    f"'\"><{MARK} on{MARK}=1>{{{{7*7}}}}</textarea>%s", f"javascript:{MARK}()", f"\"><{MARK}>",
)  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [
        f"<p><{MARK}>",
        f"<p title='' on{MARK}=1>",
        f"<a href=' JavaScript:{MARK}()'>",
        "<textarea></textarea><script>x</script>",
    ],
)
def test_what_the_walk_looks_for(page: str) -> None:
    assert Markup(page).planted(MARK)


def test_nothing_typed_becomes_markup_anywhere(walk: Walk) -> None:
    """Marked words in every field, through the forms; then every page of everybody: they are words, and only words."""
    first = before = Snapshot(walk.his)
    wrong, kept = list[str](), 0

    def look(where: str, answer: TestResponse) -> None:
        if answer.mimetype == "text/html":
            wrong.extend(f"{where}: {found}" for found in Markup(answer.text).planted(MARK))
            if "49</textarea>" in unescape(answer.text):
                wrong.append(f"{where}: a template was evaluated")

    for found in walk.atlas.forms:
        taken: dict[str, str] = {}
        for control in found.controls():
            if control.name in ("csrf_token", "request_key"):
                continue
            for payload in PAYLOADS if control.kind in TEXTS else PAYLOADS[:1]:
                answer = walk.send(found, {control.name: payload})
                look(f"{found.endpoint} {control.name}", answer)
                if answer.status_code < 400 and control.kind in TEXTS - {"password"} and before.changed():
                    taken.setdefault(control.name, payload)
                before.restore()
        if taken and walk.send(walk.again(found), taken).status_code < 400:
            kept += len(taken)
        before = Snapshot(walk.his)
    assert kept > 20, "of most fields something marked was kept"
    pages = walk.look_around().pages
    first.restore()
    for seen in pages:
        wrong += [f"{seen.role} {seen.path}: {found}" for found in Markup(seen.html).planted(MARK)]
        if "49</textarea>" in unescape(seen.html):
            wrong.append(f"{seen.path}: a template was evaluated")
    assert wrong == []


def test_every_button_of_every_form(walk: Walk) -> None:
    """Whatever is pressed, with what stands in the form and with nothing in it: an answer, never a bug."""
    before, wrong = Snapshot(walk.his), []
    for found in walk.atlas.forms:
        buttons = {(c.name, shape(f"-{c.value}")): c for c in found.form.controls if c.is_button and c.name}
        for button in buttons.values():
            for typed in ({}, {c.name: "" for c in found.controls() if c.kind in ("text", "textarea")}):
                answer = walk.send(found, typed, press=button)
                if answer.status_code >= 500 or (answer.status_code >= 400 and before.changed()):
                    wrong.append((found.endpoint, button.name, button.value, answer.status_code))
                before.restore()
    assert wrong == []


# With signs that HTML, SQL and Python's formatting would each make something else of.
EXACTLY = "𠮷野 é <i>&amp;'\"%s{x}"
# Kept for the audit log, or until it is used: why something was done, a template's words.
NOT_SHOWN = NOT_KEPT | {
    "reason",
    "end_reason",
    "why",
    "mine",
    "correct_note",
    "template:history",
    "template:examination",
}


def test_what_was_taken_is_shown_as_it_was_typed(walk: Walk) -> None:
    before, wrong, shown = Snapshot(walk.his), [], 0
    for found, control in walked(walk):
        names = {control.name, f"{found.endpoint.rpartition('_')[2]}:{control.name}"}
        if control.kind not in ("text", "textarea") or names & NOT_SHOWN:
            continue
        answer = walk.send(found, {control.name: EXACTLY})
        if answer.status_code == 302 and before.changed():
            if any(EXACTLY in Markup(html).words for html in pages_after(walk, found, answer.location)):
                shown += 1
            else:
                wrong.append((found.endpoint, control.name, found.page))
        before.restore()
    assert (wrong, shown > 15) == ([], True)


def pages_after(walk: Walk, found: Found, location: str) -> Iterator[str]:
    """Where a form leads, its own page, and what both lead to of the same record."""
    known = set[str]()
    todo = [location.partition("#")[0], found.page]
    while todo and len(known) < 20:
        path = todo.pop(0)
        answer = walk.client(found.role).get(path) if path not in known else None
        known.add(path)
        if answer is not None and answer.status_code == 200:
            yield answer.text
            links = Page(path=path, status=200, html=answer.text.partition("<main")[2]).links
            todo += [one.href.partition("#")[0] for one in links if re.search("/[0-9A-Z]{26}", one.href)]
