"""The note of an encounter as a value, its one JSON form, and the chain that its signed versions make. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.forms import posted_json

# What the first version of an encounter's note follows.
NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A diagnosis of a note: the catalogue's code and name, or the doctor's own words with an empty code.

    `code` is that of the clinical edition, `insurance_code` what the insurance calls the same disease. A disease of
    Chinese medicine has its syndrome beside it, once one is chosen; that too may be in the doctor's own words.
    """

    code: str
    name: str
    insurance_code: str = ""
    kind: DiagnosisKind = DiagnosisKind.DISEASE
    syndrome_code: str = ""
    syndrome_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a doctor writes. All values are text as typed, empty where nothing was: a draft may hold half a number.

    temperature in degrees Celsius, pulse and respiration per minute, blood_pressure as systolic/diastolic in mmHg,
    onset_date as ISO date; `rules.vitals` reads them. The first diagnosis is the main one.
    """

    complaint: str = ""
    history: str = ""
    examination: str = ""
    temperature: str = ""
    pulse: str = ""
    respiration: str = ""
    blood_pressure: str = ""
    onset_date: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()


TEXT_FIELDS = tuple(name for name in Note.__dataclass_fields__ if name != "diagnoses")
# Prose, of which two people may each have written a part; the others are one value each.
PROSE_FIELDS = ("complaint", "history", "examination")


def to_json(note: Note) -> str:
    """The canonical form: what is stored, and what a version's hash covers."""
    return canonical_json({**asdict(note), "diagnoses": [stated(diagnosis) for diagnosis in note.diagnoses]})


def from_json(body: str) -> Note:
    """The reverse of to_json. Raises ValueError when the text is not a note; a field it lacks is empty."""
    document = posted_json(body)
    try:
        diagnoses = tuple(diagnosis_of(row) for row in document["diagnoses"])
        return Note(**{name: str(document.get(name, "")) for name in TEXT_FIELDS}, diagnoses=diagnoses)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a note: {error}") from error


# What diagnoses learned to say after the first notes were signed, and what each of it is while nothing is said.
_LATER = {"insurance_code": "", "kind": str(DiagnosisKind.DISEASE), "syndrome_code": "", "syndrome_name": ""}


def stated(diagnosis: Diagnosis) -> dict[str, str]:
    """A diagnosis as JSON holds it. A later field stands there only where it says something, so that a note that was
    signed before it has the text, and with it the hash, that it had."""
    found = {"code": diagnosis.code, "name": diagnosis.name}
    return found | {name: said for name, empty in _LATER.items() if (said := str(getattr(diagnosis, name))) != empty}


def diagnosis_of(row: Mapping[str, Any]) -> Diagnosis:
    """The reverse of `stated`. Raises KeyError, TypeError or ValueError when it is none."""
    later = {name: str(row.get(name, empty)) for name, empty in _LATER.items()}
    kind = DiagnosisKind(later.pop("kind"))
    if kind is DiagnosisKind.TCM_SYNDROME:
        raise ValueError("a syndrome stands beside its disease")
    return Diagnosis(code=str(row["code"]), name=str(row["name"]), kind=kind, **later)


def canonical_json(document: Mapping[str, Any]) -> str:
    """JSON in one way only: keys sorted, no spaces, characters as they are."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a version states beside the note: who signed what, when by which clock, and why again."""

    encounter_id: str
    n: int
    revision: int
    author_id: str
    signed_at: int
    clock_state: str
    reason: str
    mode: str


def version_hash(previous: bytes, body: str, signature: Signature) -> bytes:
    """SHA-256 over the previous version's hash and everything that this version states.

    `body` is the stored text itself, so that the chain also notices a body that was rewritten to an equal note.
    """
    return hashlib.sha256(previous + canonical_json({**asdict(signature), "body": body}).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One stored version as the chain sees it."""

    body: str
    signature: Signature
    previous_hash: bytes
    hash: bytes


def first_broken(links: Sequence[Link]) -> int | None:
    """The number of the first version, in order, that is not what was signed or follows nothing; None when all hold."""
    previous = NO_HASH
    for expected_n, link in enumerate(links, start=1):
        honest = (
            link.signature.n == expected_n
            and link.previous_hash == previous
            and link.hash == version_hash(previous, link.body, link.signature)
        )
        if not honest:
            return expected_n
        previous = link.hash
    return None
