"""The table of permissions in words: which pages and forms make up one act. Data, and its joining with the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.his.staff.model import Role
from edge_node.i18n import Text, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that people do, and the roles that may; None is everybody. Without a name, `endpoint` stands for it."""

    name: Text | None
    endpoint: str
    roles: frozenset[Role] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Acts of one part of the clinic."""

    name: Text
    acts: Sequence[Act]


# Each chapter with its acts, each act with the endpoints that it takes.
_WORDS: Sequence[tuple[Text, Sequence[tuple[Text, Sequence[str]]]]] = (
    (
        text("Reception"),
        (
            (text("See the queue of the day"), ("reception.index", "reception.find", "reception.registration")),
            (
                text("Register a patient, take one back on the same day, cancel a registration"),
                ("reception.register", "reception.come_back", "reception.cancel"),
            ),
        ),
    ),
    (
        text("Triage"),
        ((text("Measure and set the urgency"), ("triage.index", "triage.show", "triage.measure")),),
    ),
    (
        text("Patients"),
        (
            (text("Find patients and read records"), ("patients.index", "patients.find", "patients.record")),
            (text("Show an ID number, phone or address whole (leaves a trace)"), ("patients.show_whole",)),
            (
                text("Merge two records of one person"),
                ("patients.compare", "patients.compare_with", "patients.merge"),
            ),
            (
                text("Say that two records are of different people, and take it back"),
                ("patients.say_apart", "patients.take_back_apart"),
            ),
            (text("Undo a merge"), ("patients.undo_merge",)),
            (
                text("Make and change records"),
                ("patients.new", "patients.begin", "patients.create", "patients.edit", "patients.change"),
            ),
            (text("Record allergies"), ("patients.record_allergy", "patients.no_allergy")),
            (text("End an allergy"), ("patients.end_allergy",)),
        ),
    ),
    (
        text("Encounters"),
        (
            (
                text("Call patients from the queue"),
                (
                    "encounters.index", "encounters.call", "encounters.waiting", "encounters.begin",
                    "encounters.put_back", "calling.room", "calling.choose_room", "calling.again",
                ),
            ),
            (
                text("Write and sign notes and prescriptions"),
                ("encounters.show", "encounters.save", "encounters.settle", "encounters.history"),
            ),
            (text("Print prescriptions (leaves a trace)"), ("encounters.paper", "encounters.print_paper")),
            (text("Print notes (leaves a trace)"), ("encounters.note_paper", "encounters.print_note")),
            (text("Keep templates of notes"), ("encounters.template", "encounters.keep_template")),
        ),
    ),
    (
        text("Treatments"),
        (
            (
                text("Carry out treatments, injections and skin tests"),
                ("orders.index", "orders.show", "orders.carry_out"),
            ),
            (text("Cancel what was ordered"), ("orders.cancelling", "orders.cancel")),
        ),
    ),
    (
        text("Console"),
        (
            (text("See node, lines and copies"), ("console.index", "console.line", "console.replica")),
            (text("Give orders about copies"), ("console.order", "console.end_order")),
        ),
    ),
    (
        text("Audit and settings"),
        (
            (text("Read the audit log (leaves a trace)"), ("traces.index", "traces.find")),
            (text("Change settings"), ("settings.index", "settings.change")),
            (text("See who may do what"), ("settings.permissions",)),
            (
                text("See who is signed in, sign people out, lock accounts"),
                ("people.index", "people.end_sessions", "people.confirm", "people.lock", "people.unlock"),
            ),
        ),
    ),
    (
        text("Everybody"),
        (
            (
                text("Own password, second factor and sessions, locking the desk"),
                (
                    "home", "staff.logout", "staff.password", "factor.index", "factor.begin", "factor.confirm",
                    "factor.remove", "sessions.index", "sessions.end", "sessions.end_others",
                ),
            ),
            (
                text("Sign in, the call screen, the state of the node, trust of these pages, language"),
                (
                    "calling.index",
                    "staff.login", "staff.sign_in", "staff.sign_in_code", "posture.index", "posture.line",
                    "trust.index", "trust.certificate", "language.choose", "health.healthz", "health.readyz",
                    "health.status", "static",
                ),
            ),
        ),
    ),
)  # fmt: skip


def chapters(table: Mapping[str, frozenset[Role] | None]) -> list[Chapter]:
    """Every endpoint of the table, in words; those that have none yet come last, by their own name."""
    found, named = [], set()
    for name, acts in _WORDS:
        rows: dict[tuple[str, frozenset[Role] | None], Act] = {}
        for words, endpoints in acts:
            for endpoint in (one for one in endpoints if one in table):
                named.add(endpoint)
                # Pages of one act for different roles stand in rows of their own, so that the page never says too much.
                rows.setdefault(
                    (words.message, table[endpoint]), Act(name=words, endpoint=endpoint, roles=table[endpoint])
                )
        if rows:
            found.append(Chapter(name=name, acts=list(rows.values())))
    bare = [Act(name=None, endpoint=endpoint, roles=table[endpoint]) for endpoint in sorted(set(table) - named)]
    return [*found, Chapter(name=text("Others"), acts=bare)] if bare else found
