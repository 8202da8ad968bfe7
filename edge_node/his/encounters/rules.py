"""What a note needs before it is signed, and what in it wants a second look. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.encounters.note import PROSE_FIELDS, TEXT_FIELDS, Diagnosis, Note
from edge_node.his.forms import FieldProblem
from edge_node.his.reception.rules import Status
from edge_node.i18n import Text, text

# A note is read by the next doctor in a minute; this is several printed pages.
PROSE_LIMIT = 10_000
VALUE_LIMIT = 40
DIAGNOSES_LIMIT = 20
REASON_LIMIT = 500
# Where a template leaves room.
PLACE = "___"

FEVER_C = Decimal("37.3")
_MEASURE = re.compile(r"\d{1,3}(\.\d)?")
_COUNT = re.compile(r"\d{1,3}")
_PRESSURE = re.compile(r"(\d{2,3})/(\d{2,3})")

FIELD_NAMES: Mapping[str, Text] = {
    "complaint": text("Complaint"),
    "history": text("History of present illness"),
    "examination": text("Examination"),
    "temperature": text("Temperature"),
    "pulse": text("Pulse"),
    "respiration": text("Respiration"),
    "blood_pressure": text("Blood pressure"),
    "onset_date": text("Onset date"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Measures of a note that can be read; None where nothing readable was written."""

    temperature_c: Decimal | None = None
    pulse_per_min: int | None = None
    respiration_per_min: int | None = None
    systolic_mmhg: int | None = None
    diastolic_mmhg: int | None = None


def vitals(note: Note) -> Vitals:
    """Read the measures of a note."""
    pressure = _PRESSURE.fullmatch(note.blood_pressure)
    return Vitals(
        temperature_c=Decimal(note.temperature) if _MEASURE.fullmatch(note.temperature) else None,
        pulse_per_min=int(note.pulse) if _COUNT.fullmatch(note.pulse) else None,
        respiration_per_min=int(note.respiration) if _COUNT.fullmatch(note.respiration) else None,
        systolic_mmhg=int(pressure[1]) if pressure else None,
        diastolic_mmhg=int(pressure[2]) if pressure else None,
    )


def before_signing(note: Note, *, today: date, birth_date: date) -> list[FieldProblem]:
    """Everything that stands between this note and a signature, in the order of the form; empty when it can be signed.

    What the outpatient log asks of a doctor: a complaint, a diagnosis that is not left out, an onset that can be true.
    """
    return [*missing(note), *too_long(note), *_unreadable(note), *_onset(note.onset_date, today, birth_date)]


def before_amending(note: Note, signed: Note, reason: str) -> list[FieldProblem]:
    """What an amendment needs beside: a reason, and a change."""
    problems = []
    if not reason:
        problems.append(FieldProblem(field="reason", text=text("Say why the signed note is changed")))
    elif len(reason) > REASON_LIMIT:
        problems.append(FieldProblem(field="reason", text=_too_long(len(reason), REASON_LIMIT)))
    if note == signed:
        problems.append(
            FieldProblem(field="complaint", text=text("Nothing differs from the signed version; change it or leave it"))
        )
    return problems


def away(status: Status) -> FieldProblem | None:
    """Why a first note cannot be signed: its patient is not with a doctor, so that the visit would never end."""
    match status:
        case Status.WAITING:
            said = text("The patient is back in the queue: save the note, and call them in to sign it")
        case Status.CANCELLED:
            said = text("The registration was cancelled meanwhile: the note can be saved, and not be signed")
        case _:
            return None
    return FieldProblem(field="complaint", text=said)


def is_left_open(queue_date: date, today: date) -> bool:
    """Is a visit that was not ended one of an earlier day? Its queue number is another patient's by now.

    One of a later day is not: the clock was set back, and whoever was called is still with the doctor.
    """
    return queue_date < today


def missing(note: Note) -> list[FieldProblem]:
    """What a signed note must have and this one has not."""
    problems = []
    if not note.complaint:
        problems.append(FieldProblem(field="complaint", text=text("The complaint is missing")))
    if not note.diagnoses:
        problems.append(FieldProblem(field="dx", text=text("A diagnosis is missing")))
    return problems


def too_long(note: Note) -> list[FieldProblem]:
    """Fields that hold more than is kept; also a draft is refused then, with everything still in the form."""
    problems = []
    for name in TEXT_FIELDS:
        length, limit = len(getattr(note, name)), PROSE_LIMIT if name in PROSE_FIELDS else VALUE_LIMIT
        if length > limit:
            problems.append(FieldProblem(field=name, text=_too_long(length, limit)))
    if len(note.diagnoses) > DIAGNOSES_LIMIT or any(_is_too_long(diagnosis) for diagnosis in note.diagnoses):
        problems.append(
            FieldProblem(field="dx", text=text("At most %(limit)d diagnoses of 200 characters", limit=DIAGNOSES_LIMIT))
        )
    return problems


def _is_too_long(diagnosis: Diagnosis) -> bool:
    return any(len(name) > 200 for name in (diagnosis.name, diagnosis.syndrome_name)) or any(
        len(code) > 40 for code in (diagnosis.code, diagnosis.insurance_code, diagnosis.syndrome_code)
    )


def _too_long(length: int, limit: int) -> Text:
    return text("%(length)d characters are more than can be kept (%(limit)d)", length=length, limit=limit)


def _unreadable(note: Note) -> list[FieldProblem]:
    """Measures that cannot be read, or that no living person has: a digit was lost or two fields were mixed up."""
    read = vitals(note)
    problems = []
    if note.temperature and not (read.temperature_c and 25 <= read.temperature_c <= 45):
        problems.append(FieldProblem(field="temperature", text=text("25 to 45, such as 37.6")))
    if note.pulse and not (read.pulse_per_min and 10 <= read.pulse_per_min <= 350):
        problems.append(FieldProblem(field="pulse", text=text("10 to 350, such as 88")))
    if note.respiration and not (read.respiration_per_min and 3 <= read.respiration_per_min <= 120):
        problems.append(FieldProblem(field="respiration", text=text("3 to 120, such as 19")))
    if note.blood_pressure:
        high, low = read.systolic_mmhg, read.diastolic_mmhg
        if not (high and low and 30 <= high <= 350 and 10 <= low <= 250):
            problems.append(FieldProblem(field="blood_pressure", text=text("Two numbers, such as 138/86")))
        elif high <= low:
            problems.append(FieldProblem(field="blood_pressure", text=text("The higher number first, such as 138/86")))
    return problems


def _onset(onset: str, today: date, birth_date: date) -> list[FieldProblem]:
    if not onset:
        return []
    try:
        day = date.fromisoformat(onset)
    except ValueError:
        return [FieldProblem(field="onset_date", text=text("A date such as %(today)s", today=today.isoformat()))]
    if day > today:
        return [FieldProblem(field="onset_date", text=text("%(day)s has not come yet", day=onset))]
    if day < birth_date:
        return [
            FieldProblem(field="onset_date", text=text("The patient was born on %(born)s", born=birth_date.isoformat()))
        ]
    return []


# Age in full years up to which a row holds, then usual pulse and respiration per minute. Wide on purpose: outside means
# "look again", not "ill".
_USUAL = (
    (0, (90, 180), (24, 60)),
    (4, (75, 150), (18, 40)),
    (11, (65, 130), (15, 30)),
    (200, (50, 110), (10, 24)),
)
ADULT_YEARS = 18


def full_years(birth_date: date, on: date) -> int:
    """Age in full years; 0 before the first birthday."""
    return max(0, on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day)))


def remarks(note: Note, *, birth_date: date, today: date, herbs: bool = False) -> list[Text]:
    """What wants a second look; none of it stops anybody. A value that stops is no remark as well.

    `herbs` when a sheet of herbs is being written.
    """
    stopped = {problem.field for problem in _unreadable(note)}
    sound = {name: "" if name in stopped else getattr(note, name) for name in TEXT_FIELDS}
    read = vitals(Note(**sound, diagnoses=()))
    age_years = full_years(birth_date, today)
    _, pulse_range, respiration_range = next(row for row in _USUAL if age_years <= row[0])
    found = []
    if read.temperature_c is not None and read.temperature_c >= FEVER_C:
        found.append(
            text("Fever, %(value)s ℃: the outpatient log asks where the patient was exposed", value=note.temperature)
        )
    elif read.temperature_c is not None and read.temperature_c < 35:
        found.append(text("Temperature %(value)s ℃ is unusually low: measure again?", value=note.temperature))
    if read.pulse_per_min is not None and not pulse_range[0] <= read.pulse_per_min <= pulse_range[1]:
        found.append(text("Pulse %(value)s is unusual at this age", value=note.pulse))
    if read.respiration_per_min is not None and not (
        respiration_range[0] <= read.respiration_per_min <= respiration_range[1]
    ):
        found.append(text("Respiration %(value)s is unusual at this age", value=note.respiration))
    if age_years >= ADULT_YEARS and read.systolic_mmhg is not None and read.diastolic_mmhg is not None:
        found += _pressure_remarks(read.systolic_mmhg, read.diastolic_mmhg, note.blood_pressure)
    unfilled = [
        text("%(field)s: places of a template are left to fill", field=FIELD_NAMES[name])
        for name in PROSE_FIELDS
        if PLACE in getattr(note, name)
    ]
    return [*unfilled, *found, *_tcm_remarks(note, herbs)]


def _tcm_remarks(note: Note, herbs: bool) -> list[Text]:
    """Chinese medicine names a disease and its syndrome, and a sheet of herbs shows both."""
    found = [
        text("%(name)s: its syndrome is not said", name=diagnosis.name)
        for diagnosis in note.diagnoses
        if _awaits_syndrome(diagnosis)
    ]
    if herbs and not any(diagnosis.kind is DiagnosisKind.TCM_DISEASE for diagnosis in note.diagnoses):
        found.append(
            text("Herbs, and no diagnosis of Chinese medicine yet (%(law)s)", law="《中药处方格式及书写规范》")
        )
    return found


def _pressure_remarks(high: int, low: int, written: str) -> list[Text]:
    if high >= 180 or low >= 110:
        return [text("Blood pressure %(value)s is very high: measure again after a rest", value=written)]
    if high >= 140 or low >= 90:
        return [text("Blood pressure %(value)s is above 140/90", value=written)]
    if high < 90 or low < 60:
        return [text("Blood pressure %(value)s is low", value=written)]
    return []


def with_diagnosis(note: Note, diagnosis: Diagnosis) -> Note:
    """The note with one more diagnosis at the end; unchanged when it has it already or the name is empty."""
    if not diagnosis.name or _named(diagnosis) in map(_named, note.diagnoses):
        return note
    return replace(note, diagnoses=(*note.diagnoses, diagnosis))


def _named(diagnosis: Diagnosis) -> tuple[str, str, str]:
    """What makes it another diagnosis for a person: the insurance's code does not."""
    return diagnosis.code, diagnosis.name, diagnosis.syndrome_name


def awaiting_syndrome(note: Note) -> Diagnosis | None:
    """The disease of Chinese medicine that was added last of those without a syndrome; None when none waits."""
    return next((diagnosis for diagnosis in reversed(note.diagnoses) if _awaits_syndrome(diagnosis)), None)


def _awaits_syndrome(diagnosis: Diagnosis) -> bool:
    return diagnosis.kind is DiagnosisKind.TCM_DISEASE and not diagnosis.syndrome_name


def with_syndrome(note: Note, syndrome: Diagnosis) -> Note:
    """The note with a syndrome's code and name beside the disease that waits for one; unchanged when none does."""
    waiting = awaiting_syndrome(note)
    if waiting is None or not syndrome.name:
        return note
    whole = replace(waiting, syndrome_code=syndrome.code, syndrome_name=syndrome.name)
    return replace(note, diagnoses=tuple(whole if one is waiting else one for one in note.diagnoses))


def without_diagnosis(note: Note, diagnosis: Diagnosis) -> Note:
    """The note without this diagnosis."""
    return replace(note, diagnoses=tuple(other for other in note.diagnoses if other != diagnosis))


def with_main(note: Note, diagnosis: Diagnosis) -> Note:
    """The note with this one of its diagnoses first."""
    if diagnosis not in note.diagnoses:
        return note
    return replace(note, diagnoses=(diagnosis, *without_diagnosis(note, diagnosis).diagnoses))
