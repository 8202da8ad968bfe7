"""Tables of the clinic's day, first half: triage, allergies, catalogues, prescriptions, orders, and who may do what.

As everywhere: times are UTC milliseconds (`*_at`), dates ISO text, money whole fen, doses decimal text in the drug's
own dose unit. What a doctor signs is frozen; a change is the next version.
"""

from __future__ import annotations

STAFF = """
-- A role was added, and a CHECK cannot be altered in place.
CREATE TABLE staff_role_2 (
    staff_id TEXT NOT NULL REFERENCES staff(id),
    role TEXT NOT NULL CHECK (role IN
        ('registrar','nurse','doctor','pharmacist','cashier','manager','admin','auditor')),
    PRIMARY KEY (staff_id, role)
) STRICT;
INSERT INTO staff_role_2 (staff_id, role) SELECT staff_id, role FROM staff_role;
DROP TABLE staff_role;
ALTER TABLE staff_role_2 RENAME TO staff_role;

ALTER TABLE staff ADD COLUMN licence_no TEXT NOT NULL DEFAULT '';
-- The seed of the second factor, sealed; it counts once its owner has shown a code. `totp_step`: the last one used.
ALTER TABLE staff ADD COLUMN totp_sealed BLOB;
ALTER TABLE staff ADD COLUMN totp_confirmed_at INTEGER;
ALTER TABLE staff ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;
-- When the person of this session last proved who they are.
ALTER TABLE session ADD COLUMN confirmed_at INTEGER;

CREATE TABLE staff_right (
    staff_id TEXT NOT NULL REFERENCES staff(id),
    right TEXT NOT NULL CHECK (right IN ('narcotic', 'restricted')),
    PRIMARY KEY (staff_id, right)
) STRICT;

CREATE TABLE setting (
    key TEXT PRIMARY KEY, value TEXT NOT NULL,
    updated_at INTEGER NOT NULL, updated_by TEXT REFERENCES staff(id)
) STRICT;

-- Where a person has signed in lately: what somebody tries elsewhere locks nobody out there.
CREATE TABLE staff_address (
    staff_id TEXT NOT NULL REFERENCES staff(id), address TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (staff_id, address)
) STRICT, WITHOUT ROWID;

-- The audit page asks by person, record and day. Most rows say that somebody looked: these are found without an index
-- of their actions, and would only make it large.
CREATE INDEX audit_log_by_staff ON audit_log(staff_id);
CREATE INDEX audit_log_by_object ON audit_log(object);
CREATE INDEX audit_log_by_time ON audit_log(at);
CREATE INDEX audit_log_by_action ON audit_log(action) WHERE action <> 'viewed';
"""

PATIENTS = """
ALTER TABLE patient ADD COLUMN occupation TEXT NOT NULL DEFAULT '';
ALTER TABLE patient ADD COLUMN guardian_name TEXT NOT NULL DEFAULT '';
ALTER TABLE patient ADD COLUMN guardian_relation TEXT NOT NULL DEFAULT '';
ALTER TABLE patient ADD COLUMN guardian_phone TEXT NOT NULL DEFAULT '';
ALTER TABLE patient ADD COLUMN merged_into TEXT REFERENCES patient(id);
-- Somebody asked about allergies, whatever the answer.
ALTER TABLE patient ADD COLUMN allergies_asked_at INTEGER;
ALTER TABLE patient ADD COLUMN allergies_asked_by TEXT REFERENCES staff(id);
CREATE INDEX patient_by_merged_into ON patient(merged_into) WHERE merged_into IS NOT NULL;

-- Two records of one person. Nothing is moved: what hangs on `merged_id` is read with `kept_id` until it is undone.
CREATE TABLE patient_merge (
    id TEXT PRIMARY KEY, kept_id TEXT NOT NULL REFERENCES patient(id), merged_id TEXT NOT NULL REFERENCES patient(id),
    at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id), reason TEXT NOT NULL,
    undone_at INTEGER, undone_by TEXT REFERENCES staff(id), undone_reason TEXT NOT NULL DEFAULT '',
    CHECK (kept_id <> merged_id), CHECK ((undone_at IS NULL) = (undone_by IS NULL))
) STRICT;
CREATE UNIQUE INDEX patient_merge_open ON patient_merge(merged_id) WHERE undone_at IS NULL;
CREATE INDEX patient_merge_by_kept ON patient_merge(kept_id);

-- What a record was called before (a newborn before it was named): a name that still finds it.
CREATE TABLE patient_former_name (
    patient_id TEXT NOT NULL REFERENCES patient(id), name TEXT NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (patient_id, name)
) STRICT;
CREATE INDEX patient_former_name_by_name ON patient_former_name(name);

CREATE TABLE allergy (
    id TEXT PRIMARY KEY, patient_id TEXT NOT NULL REFERENCES patient(id),
    substance TEXT NOT NULL, reaction TEXT NOT NULL DEFAULT '', since TEXT NOT NULL DEFAULT '',
    recorded_at INTEGER NOT NULL, recorded_by TEXT NOT NULL REFERENCES staff(id),
    ended_at INTEGER, ended_by TEXT REFERENCES staff(id), end_reason TEXT NOT NULL DEFAULT '',
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
) STRICT;
CREATE INDEX allergy_by_patient ON allergy(patient_id);

-- The visit that a return on the same day belongs to; when and where the patient was called.
ALTER TABLE registration ADD COLUMN follows TEXT REFERENCES registration(id);
ALTER TABLE registration ADD COLUMN called_at INTEGER;
ALTER TABLE registration ADD COLUMN room TEXT NOT NULL DEFAULT '';

-- Each measuring is a row of its own; the newest is shown.
CREATE TABLE triage (
    id TEXT PRIMARY KEY, registration_id TEXT NOT NULL REFERENCES registration(id),
    temperature TEXT NOT NULL DEFAULT '', pulse TEXT NOT NULL DEFAULT '', respiration TEXT NOT NULL DEFAULT '',
    blood_pressure TEXT NOT NULL DEFAULT '', oxygen TEXT NOT NULL DEFAULT '',
    weight_kg TEXT NOT NULL DEFAULT '', height_cm TEXT NOT NULL DEFAULT '',
    pregnant INTEGER CHECK (pregnant IN (0, 1)),
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 4), note TEXT NOT NULL DEFAULT '',
    at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id)
) STRICT;
CREATE INDEX triage_by_registration ON triage(registration_id, at);
CREATE TRIGGER triage_kept BEFORE UPDATE ON triage
    BEGIN SELECT RAISE(ABORT, 'a measuring is never changed; measure again'); END;
CREATE TRIGGER triage_kept_too BEFORE DELETE ON triage
    BEGIN SELECT RAISE(ABORT, 'a measuring is never deleted'); END;
"""

CATALOGUES = """
-- Clinical and insurance code side by side; diseases and syndromes of Chinese medicine have kinds of their own.
ALTER TABLE icd ADD COLUMN insurance_code TEXT NOT NULL DEFAULT '';
ALTER TABLE icd ADD COLUMN kind TEXT NOT NULL DEFAULT 'disease'
    CHECK (kind IN ('disease', 'tcm_disease', 'tcm_syndrome'));
ALTER TABLE icd ADD COLUMN active INTEGER NOT NULL DEFAULT 1;
ALTER TABLE diagnosis ADD COLUMN insurance_code TEXT NOT NULL DEFAULT '';
ALTER TABLE diagnosis ADD COLUMN kind TEXT NOT NULL DEFAULT 'disease' CHECK (kind IN ('disease', 'tcm_disease'));
ALTER TABLE diagnosis ADD COLUMN syndrome_code TEXT NOT NULL DEFAULT '';
ALTER TABLE diagnosis ADD COLUMN syndrome_name TEXT NOT NULL DEFAULT '';

CREATE TABLE note_template (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, department_id TEXT REFERENCES department(id),
    body TEXT NOT NULL CHECK (json_valid(body)), rank INTEGER NOT NULL, active INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE price_item (
    id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL, unit TEXT NOT NULL,
    price_fen INTEGER NOT NULL CHECK (price_fen >= 0),
    kind TEXT NOT NULL CHECK (kind IN
        ('registration', 'examination', 'treatment', 'injection', 'skin_test', 'laboratory', 'material', 'other')),
    insurance_code TEXT NOT NULL DEFAULT '', initials TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX price_item_by_initials ON price_item(initials);

-- `unit` is the unit of a dose, `pack` how many of them one pack holds, `ingredients` milligrams in one of them.
CREATE TABLE drug (
    id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL, spec TEXT NOT NULL DEFAULT '',
    initials TEXT NOT NULL, herbal INTEGER NOT NULL CHECK (herbal IN (0, 1)),
    unit TEXT NOT NULL, pack TEXT NOT NULL, pack_unit TEXT NOT NULL,
    price_fen INTEGER NOT NULL CHECK (price_fen >= 0),
    ingredients TEXT NOT NULL CHECK (json_valid(ingredients)),
    groups TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(groups)),
    routes TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(routes)),
    control TEXT NOT NULL DEFAULT 'none'
        CHECK (control IN ('none', 'toxic', 'psychotropic-2', 'psychotropic-1', 'narcotic')),
    release TEXT NOT NULL DEFAULT 'ordinary' CHECK (release IN ('ordinary', 'sustained', 'injection')),
    antibacterial TEXT NOT NULL DEFAULT 'none' CHECK (antibacterial IN ('none', 'free', 'restricted', 'special')),
    skin_test INTEGER NOT NULL DEFAULT 0 CHECK (skin_test IN (0, 1)),
    on_site_only INTEGER NOT NULL DEFAULT 0 CHECK (on_site_only IN (0, 1)),
    long_for TEXT NOT NULL DEFAULT '',
    max_single TEXT, max_daily TEXT, max_daily_per_kg TEXT,
    min_age_months INTEGER, forbidden_below_months INTEGER,
    pregnancy TEXT NOT NULL DEFAULT '' CHECK (pregnancy IN ('', 'caution', 'forbidden')),
    usual_dose TEXT NOT NULL DEFAULT '', usual_route TEXT NOT NULL DEFAULT '',
    usual_frequency TEXT NOT NULL DEFAULT '', usual_days INTEGER,
    insurance_code TEXT NOT NULL DEFAULT '', approval_no TEXT NOT NULL DEFAULT '',
    active INTEGER NOT NULL DEFAULT 1, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX drug_by_initials ON drug(initials);
CREATE INDEX drug_by_name ON drug(name);
"""

PRESCRIPTIONS = """
CREATE TABLE prescription (
    id TEXT PRIMARY KEY, encounter_id TEXT NOT NULL REFERENCES encounter(id),
    patient_id TEXT NOT NULL REFERENCES patient(id),
    form TEXT NOT NULL CHECK (form IN ('medicines', 'herbal')),
    status TEXT NOT NULL CHECK (status IN ('draft', 'signed', 'void')),
    opened_at INTEGER NOT NULL, opened_by TEXT NOT NULL REFERENCES staff(id),
    voided_at INTEGER, voided_by TEXT REFERENCES staff(id), void_reason TEXT NOT NULL DEFAULT '',
    CHECK ((status = 'void') = (voided_at IS NOT NULL))
) STRICT;
CREATE INDEX prescription_by_encounter ON prescription(encounter_id);
CREATE INDEX prescription_by_patient ON prescription(patient_id, opened_at);

-- Every saved state of an unsigned sheet; the highest revision is the draft.
CREATE TABLE prescription_draft (
    prescription_id TEXT NOT NULL REFERENCES prescription(id), revision INTEGER NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body)), saved_at INTEGER NOT NULL, saved_by TEXT NOT NULL REFERENCES staff(id),
    PRIMARY KEY (prescription_id, revision)
) STRICT;

-- What was signed, with the number that is printed; `body` holds lines, findings and reasons as the doctor saw them.
CREATE TABLE prescription_version (
    prescription_id TEXT NOT NULL REFERENCES prescription(id), n INTEGER NOT NULL, revision INTEGER NOT NULL,
    rx_no TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('ordinary', 'emergency', 'child', 'psychotropic-2', 'narcotic')),
    valid_until TEXT NOT NULL, total_fen INTEGER NOT NULL, body TEXT NOT NULL CHECK (json_valid(body)),
    author_id TEXT NOT NULL REFERENCES staff(id), signed_at INTEGER NOT NULL, clock_state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', mode TEXT NOT NULL, previous_hash BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (prescription_id, n)
) STRICT;
CREATE TRIGGER prescription_version_kept BEFORE UPDATE ON prescription_version
    BEGIN SELECT RAISE(ABORT, 'a signed prescription is never changed'); END;
CREATE TRIGGER prescription_version_kept_too BEFORE DELETE ON prescription_version
    BEGIN SELECT RAISE(ABORT, 'a signed prescription is never deleted'); END;

CREATE TABLE prescription_line (
    prescription_id TEXT NOT NULL, n INTEGER NOT NULL, line INTEGER NOT NULL,
    drug_id TEXT NOT NULL REFERENCES drug(id), name TEXT NOT NULL,
    dose TEXT NOT NULL, unit TEXT NOT NULL, route TEXT NOT NULL, frequency TEXT NOT NULL,
    days INTEGER NOT NULL, packs INTEGER NOT NULL, price_fen INTEGER NOT NULL,
    -- As the catalogue said when it was signed: what is printed later says the same.
    spec TEXT NOT NULL DEFAULT '', pack_unit TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (prescription_id, n, line),
    FOREIGN KEY (prescription_id, n) REFERENCES prescription_version(prescription_id, n)
) STRICT;
CREATE INDEX prescription_line_by_drug ON prescription_line(drug_id);
CREATE TRIGGER prescription_line_kept BEFORE UPDATE ON prescription_line
    BEGIN SELECT RAISE(ABORT, 'a line of a signed prescription is never changed'); END;
CREATE TRIGGER prescription_line_kept_too BEFORE DELETE ON prescription_line
    BEGIN SELECT RAISE(ABORT, 'a line of a signed prescription is never deleted'); END;

-- Each print of a signed version, with the number of the copy that stands on the paper.
CREATE TABLE prescription_print (
    prescription_id TEXT NOT NULL, n INTEGER NOT NULL, copy INTEGER NOT NULL,
    at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id),
    PRIMARY KEY (prescription_id, n, copy),
    FOREIGN KEY (prescription_id, n) REFERENCES prescription_version(prescription_id, n)
) STRICT;
CREATE TRIGGER prescription_print_kept BEFORE UPDATE ON prescription_print
    BEGIN SELECT RAISE(ABORT, 'a print is never changed'); END;
CREATE TRIGGER prescription_print_kept_too BEFORE DELETE ON prescription_print
    BEGIN SELECT RAISE(ABORT, 'a print is never deleted'); END;

-- Treatments, injections and skin tests, and what came of them.
CREATE TABLE order_item (
    id TEXT PRIMARY KEY, encounter_id TEXT NOT NULL REFERENCES encounter(id),
    patient_id TEXT NOT NULL REFERENCES patient(id),
    kind TEXT NOT NULL CHECK (kind IN ('treatment', 'injection', 'skin_test')),
    price_item_id TEXT REFERENCES price_item(id), name TEXT NOT NULL, substance TEXT NOT NULL DEFAULT '',
    prescription_id TEXT REFERENCES prescription(id), line INTEGER,
    count INTEGER NOT NULL CHECK (count > 0), price_fen INTEGER NOT NULL,
    ordered_at INTEGER NOT NULL, ordered_by TEXT NOT NULL REFERENCES staff(id),
    cancelled_at INTEGER, cancelled_by TEXT REFERENCES staff(id), cancel_reason TEXT NOT NULL DEFAULT '',
    CHECK ((kind = 'skin_test') = (substance <> '')), CHECK ((cancelled_at IS NULL) = (cancelled_by IS NULL))
) STRICT;
CREATE INDEX order_item_by_encounter ON order_item(encounter_id);
CREATE INDEX order_item_by_patient ON order_item(patient_id, ordered_at);
CREATE INDEX order_item_by_time ON order_item(ordered_at);

CREATE TABLE order_result (
    id TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES order_item(id),
    result TEXT NOT NULL CHECK (result IN ('done', 'negative', 'positive', 'refused', 'mistaken')),
    note TEXT NOT NULL DEFAULT '', at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id),
    -- The result that this one stands for from now on; 'mistaken' stands for none.
    corrects TEXT REFERENCES order_result(id),
    CHECK (result <> 'mistaken' OR corrects IS NOT NULL)
) STRICT;
CREATE INDEX order_result_by_order ON order_result(order_id, at);
CREATE UNIQUE INDEX order_result_corrected ON order_result(corrects) WHERE corrects IS NOT NULL;
CREATE TRIGGER order_result_kept BEFORE UPDATE ON order_result
    BEGIN SELECT RAISE(ABORT, 'a result is never changed; record another'); END;
CREATE TRIGGER order_result_kept_too BEFORE DELETE ON order_result
    BEGIN SELECT RAISE(ABORT, 'a result is never deleted'); END;

-- A skin test was placed: from `started_at` on its watching time runs; `at` is when that was written down. The newest
-- counts, for a test may have to be placed again.
CREATE TABLE order_start (
    id TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES order_item(id),
    started_at INTEGER NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL REFERENCES staff(id)
) STRICT;
CREATE INDEX order_start_by_order ON order_start(order_id, at);
CREATE TRIGGER order_start_kept BEFORE UPDATE ON order_start
    BEGIN SELECT RAISE(ABORT, 'a beginning is never changed; record another'); END;
CREATE TRIGGER order_start_kept_too BEFORE DELETE ON order_start
    BEGIN SELECT RAISE(ABORT, 'a beginning is never deleted'); END;
"""
