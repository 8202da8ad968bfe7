"""The clinical schema. Append-only: a migration that has been released is never edited.

All tables are STRICT; times are UTC milliseconds (`*_at`), dates are ISO text in the clinic's own time zone, identities
are ULIDs made on the node. What order things happened in is told by sequences, never by a ULID.
"""

from __future__ import annotations

from sqlite_utils import Database

from edge_node.store.clinic_day import CATALOGUES, PATIENTS, PRESCRIPTIONS, STAFF
from edge_node.store.schema import Schema

# m0003 lets a person be an auditor, a role that a program before it does not know.
MIGRATIONS = Schema("his", needed="m0003_clinic_day")

FIRST_SLICE = """
CREATE TABLE sequence_block (
    name TEXT NOT NULL, epoch INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (name, epoch)
) STRICT;

CREATE TABLE department (
    id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, mark TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL, name_en TEXT NOT NULL, rank INTEGER NOT NULL, active INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE staff (
    id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL, title TEXT NOT NULL DEFAULT '',
    department_id TEXT REFERENCES department(id),
    password_hash TEXT NOT NULL, must_change INTEGER NOT NULL, locked_until INTEGER,
    active INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE staff_role (
    staff_id TEXT NOT NULL REFERENCES staff(id),
    role TEXT NOT NULL CHECK (role IN ('registrar','nurse','doctor','pharmacist','cashier','manager','admin')),
    PRIMARY KEY (staff_id, role)
) STRICT;

-- id_hash is SHA-256 of the random id in the cookie: whoever reads a copy of the database cannot take a session over.
CREATE TABLE session (
    id_hash BLOB PRIMARY KEY, staff_id TEXT NOT NULL REFERENCES staff(id), station TEXT NOT NULL,
    address TEXT NOT NULL, created_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT;

CREATE TABLE login_attempt (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, code TEXT NOT NULL, address TEXT NOT NULL, ok INTEGER NOT NULL
) STRICT;
CREATE INDEX login_attempt_by_code ON login_attempt(code, at);
CREATE INDEX login_attempt_by_address ON login_attempt(address, at);

CREATE TABLE patient (
    id TEXT PRIMARY KEY, mrn TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    sex INTEGER NOT NULL CHECK (sex IN (0, 1, 2, 9)),
    birth_date TEXT NOT NULL, phone TEXT NOT NULL DEFAULT '',
    id_type TEXT NOT NULL, id_number_sealed BLOB, id_number_digest BLOB, id_number_masked TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL, created_by TEXT NOT NULL REFERENCES staff(id), updated_at INTEGER NOT NULL,
    CHECK ((id_number_sealed IS NULL) = (id_number_digest IS NULL))
) STRICT;
CREATE UNIQUE INDEX patient_by_id_number ON patient(id_type, id_number_digest) WHERE id_number_digest IS NOT NULL;
CREATE INDEX patient_by_phone ON patient(phone) WHERE phone <> '';
CREATE INDEX patient_by_name ON patient(name);

-- One row per reading of a name: its initials (syq) and its full spelling (shanyaqin).
CREATE TABLE patient_pinyin (
    key TEXT NOT NULL, patient_id TEXT NOT NULL REFERENCES patient(id),
    PRIMARY KEY (key, patient_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX patient_pinyin_by_patient ON patient_pinyin(patient_id);

CREATE TABLE registration (
    id TEXT PRIMARY KEY, visit_no TEXT NOT NULL UNIQUE, patient_id TEXT NOT NULL REFERENCES patient(id),
    department_id TEXT NOT NULL REFERENCES department(id), doctor_id TEXT REFERENCES staff(id),
    kind TEXT NOT NULL CHECK (kind IN ('first', 'return')),
    queue_date TEXT NOT NULL, queue_no INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'with_doctor', 'done', 'cancelled')),
    mode TEXT NOT NULL, registered_at INTEGER NOT NULL, registered_by TEXT NOT NULL REFERENCES staff(id),
    UNIQUE (queue_date, department_id, queue_no)
) STRICT;
CREATE INDEX registration_by_patient ON registration(patient_id, registered_at);

CREATE TABLE encounter (
    id TEXT PRIMARY KEY, registration_id TEXT NOT NULL UNIQUE REFERENCES registration(id),
    patient_id TEXT NOT NULL REFERENCES patient(id), doctor_id TEXT NOT NULL REFERENCES staff(id),
    started_at INTEGER NOT NULL, ended_at INTEGER
) STRICT;
CREATE INDEX encounter_by_patient ON encounter(patient_id, started_at);

-- Every saved state of an unsigned note, so that each edit has its person and time; the highest revision is the draft.
CREATE TABLE note_draft (
    encounter_id TEXT NOT NULL REFERENCES encounter(id), revision INTEGER NOT NULL,
    body TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    saved_at INTEGER NOT NULL, saved_by TEXT NOT NULL REFERENCES staff(id),
    PRIMARY KEY (encounter_id, revision)
) STRICT;

-- A signed note is never changed: an amendment is the next version, with its reason. `revision` is the draft it signs.
CREATE TABLE note_version (
    encounter_id TEXT NOT NULL REFERENCES encounter(id), n INTEGER NOT NULL, revision INTEGER NOT NULL,
    body TEXT NOT NULL, author_id TEXT NOT NULL REFERENCES staff(id), signed_at INTEGER NOT NULL,
    clock_state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', mode TEXT NOT NULL,
    previous_hash BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (encounter_id, n)
) STRICT;
CREATE TRIGGER note_version_kept BEFORE UPDATE ON note_version
    BEGIN SELECT RAISE(ABORT, 'a signed note is never changed'); END;
CREATE TRIGGER note_version_kept_too BEFORE DELETE ON note_version
    BEGIN SELECT RAISE(ABORT, 'a signed note is never deleted'); END;

CREATE TABLE diagnosis (
    encounter_id TEXT NOT NULL, n INTEGER NOT NULL, rank INTEGER NOT NULL,
    code TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (encounter_id, n, rank),
    FOREIGN KEY (encounter_id, n) REFERENCES note_version(encounter_id, n)
) STRICT;

CREATE TABLE icd (
    code TEXT PRIMARY KEY, name TEXT NOT NULL, name_en TEXT NOT NULL, initials TEXT NOT NULL
) STRICT;
CREATE INDEX icd_by_initials ON icd(initials);

-- The answer to a form that was posted already: a second click finds the first one's result.
CREATE TABLE request_key (token TEXT PRIMARY KEY, result TEXT NOT NULL, at INTEGER NOT NULL) STRICT;

CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, clock_state TEXT NOT NULL,
    staff_id TEXT, station TEXT NOT NULL, address TEXT NOT NULL,
    action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL,
    previous_hash BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_log_kept BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_log_kept_too BEFORE DELETE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END;
"""


@MIGRATIONS()
def m0001_first_slice(db: Database) -> None:
    """Staff, patients, queue, encounters with signed notes, and the traces of who did what."""
    db.executescript(FIRST_SLICE)


# What must reach the outside, put in the transaction of what it tells of. `body` is the last column: who counts states
# then reads no page of a long body. `rank` is the drain order of its topic, lowest first.
OUTBOX = """
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    upstream TEXT NOT NULL, topic TEXT NOT NULL, key TEXT NOT NULL, rank INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'waiting', 'sent', 'dead', 'buried')),
    attempts INTEGER NOT NULL DEFAULT 0, put_at INTEGER NOT NULL, tried_at INTEGER, next_at INTEGER,
    settled_at INTEGER, outcome TEXT NOT NULL DEFAULT '', outcome_words TEXT NOT NULL DEFAULT '',
    body_sha256 BLOB NOT NULL, body TEXT NOT NULL,
    CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CHECK ((state IN ('sent', 'dead', 'buried')) = (settled_at IS NOT NULL))
) STRICT;
-- Of rows that are not done only, so that a year of sent ones costs the sender nothing.
CREATE INDEX outbox_open ON outbox(upstream, key, seq) WHERE state IN ('queued', 'waiting', 'dead');
CREATE INDEX outbox_next ON outbox(upstream, rank, seq) WHERE state IN ('queued', 'waiting');
CREATE TRIGGER outbox_frozen BEFORE UPDATE OF seq, id, upstream, topic, key, rank, put_at, body_sha256, body ON outbox
    BEGIN SELECT RAISE(ABORT, 'a message is never changed'); END;
CREATE TRIGGER outbox_kept BEFORE DELETE ON outbox WHEN OLD.state <> 'sent'
    BEGIN SELECT RAISE(ABORT, 'only a sent message may be deleted'); END;

-- What a person did with a dead letter.
CREATE TABLE outbox_act (
    id INTEGER PRIMARY KEY, message_seq INTEGER NOT NULL REFERENCES outbox(seq),
    act TEXT NOT NULL CHECK (act IN ('revive', 'bury')), at INTEGER NOT NULL, by TEXT NOT NULL, why TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_act_by_message ON outbox_act(message_seq);
"""


@MIGRATIONS()
def m0002_outbox(db: Database) -> None:
    """Messages to the upstreams, and what people did with dead ones."""
    db.executescript(OUTBOX)


@MIGRATIONS()
def m0003_clinic_day(db: Database) -> None:
    """Auditors and rights, triage and allergies, catalogues, prescriptions and orders."""
    for part in (STAFF, PATIENTS, CATALOGUES, PRESCRIPTIONS):
        db.executescript(part)


LEFT_OPEN = """
-- What a doctor has begun and not signed, of whatever day: few rows, however many encounters there are.
CREATE INDEX encounter_open ON encounter(doctor_id) WHERE ended_at IS NULL;

-- Each print of a signed note, with the number of the copy that stands on the paper.
CREATE TABLE note_print (
    encounter_id TEXT NOT NULL, n INTEGER NOT NULL, copy INTEGER NOT NULL,
    at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id),
    PRIMARY KEY (encounter_id, n, copy),
    FOREIGN KEY (encounter_id, n) REFERENCES note_version(encounter_id, n)
) STRICT;
CREATE TRIGGER note_print_kept BEFORE UPDATE ON note_print
    BEGIN SELECT RAISE(ABORT, 'a print is never changed'); END;
CREATE TRIGGER note_print_kept_too BEFORE DELETE ON note_print
    BEGIN SELECT RAISE(ABORT, 'a print is never deleted'); END;

-- Two records that somebody has looked at and said to be of different people; of a pair one row at most holds.
CREATE TABLE patient_apart (
    id INTEGER PRIMARY KEY, one_id TEXT NOT NULL REFERENCES patient(id), other_id TEXT NOT NULL REFERENCES patient(id),
    at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id),
    undone_at INTEGER, undone_by TEXT REFERENCES staff(id),
    CHECK (one_id < other_id), CHECK ((undone_at IS NULL) = (undone_by IS NULL))
) STRICT;
CREATE UNIQUE INDEX patient_apart_open ON patient_apart(one_id, other_id) WHERE undone_at IS NULL;
CREATE INDEX patient_apart_by_other ON patient_apart(other_id);
-- What was said so far while a record was made stands in the audit log alone.
INSERT OR IGNORE INTO patient_apart (one_id, other_id, at, by)
    SELECT min(made.id, other.id), max(made.id, other.id), audit_log.at, audit_log.staff_id
    FROM audit_log JOIN json_each(audit_log.detail, '$.distinct_from') AS said
    JOIN patient AS made ON made.id = substr(audit_log.object, 9)
    JOIN patient AS other ON other.id = said.value AND other.id <> made.id
    JOIN staff ON staff.id = audit_log.staff_id
    WHERE audit_log.action = 'patient_created' ORDER BY audit_log.seq;
"""


@MIGRATIONS()
def m0004_left_open(db: Database) -> None:
    """Encounters that are left open, printed notes, and records that were said to be of different people."""
    db.executescript(LEFT_OPEN)
