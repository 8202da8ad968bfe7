"""The schema of node.db, the node's journal; written by the monitor alone. Append-only like the clinical one."""

from __future__ import annotations

from sqlite_utils import Database

from edge_node.store.schema import Schema

MIGRATIONS = Schema("node", needed="m0002_history")

FIRST_SLICE = """
-- A change of mode or line, with its reason. `seq` is its author's number, so that nothing is told twice.
CREATE TABLE transition (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL,
    reason TEXT NOT NULL, args TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX transition_by_time ON transition(at);
"""


@MIGRATIONS()
def m0001_first_slice(db: Database) -> None:
    """Transitions."""
    db.executescript(FIRST_SLICE)


# What a month's report is made of. A transition is known by its author's era and number: a watcher that finds its own
# folder empty (a new machine) begins to count anew, and that is a new era.
HISTORY = """
ALTER TABLE transition RENAME TO transition_before;
DROP INDEX transition_by_time;
CREATE TABLE transition (
    era INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, boottime REAL NOT NULL, boot_id TEXT NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL,
    from_line TEXT, to_line TEXT, reason TEXT NOT NULL, args TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (era, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO transition (era, seq, at, boottime, boot_id, kind, subject, from_state, to_state, reason, args)
    SELECT 1, seq, at, 0.0, '', kind, subject, from_state, to_state, reason, args FROM transition_before;
DROP TABLE transition_before;
CREATE INDEX transition_by_subject ON transition(kind, subject, era, seq);
CREATE INDEX transition_by_seq ON transition(seq);

-- Since when and until when somebody was there to see: a watcher's run as its status file tells it, and its samples.
-- What no such span covers is unknown, whatever the last transition said. `blind_s` is the run's blind time so far.
CREATE TABLE heard (
    source TEXT NOT NULL CHECK (source IN ('status', 'samples')), start INTEGER NOT NULL, until INTEGER NOT NULL,
    blind_s REAL NOT NULL DEFAULT 0, PRIMARY KEY (source, start)
) STRICT, WITHOUT ROWID;

-- Time that is not counted. `line` is empty where it holds for all.
CREATE TABLE uncounted (
    why TEXT NOT NULL CHECK (why IN ('maintenance', 'blind')), line TEXT NOT NULL,
    start INTEGER NOT NULL, until INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (why, line, start)
) STRICT, WITHOUT ROWID;

-- A line with a target that was asked through it.
CREATE TABLE series (
    id INTEGER PRIMARY KEY, line TEXT NOT NULL, target TEXT NOT NULL, UNIQUE (line, target)
) STRICT;

-- What became of the samples of a minute and of an hour; times in microseconds, NULL where nothing was answered. Not
-- one sample is kept. `lost_out` and `lost_back`: losses of which the direction is known. By time first, so that a turn
-- of the recorder changes one page and not one for each series: what it changes is shipped over the lines.
CREATE TABLE minute (
    at INTEGER NOT NULL, series INTEGER NOT NULL REFERENCES series(id),
    count INTEGER NOT NULL, lost INTEGER NOT NULL, lost_out INTEGER NOT NULL, lost_back INTEGER NOT NULL,
    min_us INTEGER, p5_us INTEGER, p50_us INTEGER, p95_us INTEGER, max_us INTEGER, jitter_us INTEGER,
    PRIMARY KEY (at, series)
) STRICT, WITHOUT ROWID;
-- `spread`: how many answers took how long, so that the quantiles of a month can be told to one part in a hundred.
CREATE TABLE hour (
    at INTEGER NOT NULL, series INTEGER NOT NULL REFERENCES series(id),
    count INTEGER NOT NULL, lost INTEGER NOT NULL, lost_out INTEGER NOT NULL, lost_back INTEGER NOT NULL,
    min_us INTEGER, p5_us INTEGER, p50_us INTEGER, p95_us INTEGER, max_us INTEGER, jitter_us INTEGER,
    spread BLOB NOT NULL, PRIMARY KEY (at, series)
) STRICT, WITHOUT ROWID;

-- How far the traces have been read: everything before `closed_until` stands above, and reading begins anew at this
-- place of this day's file, where the oldest sample of what is not closed yet stands.
CREATE TABLE trace_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1), day TEXT NOT NULL, place INTEGER NOT NULL, closed_until INTEGER NOT NULL
) STRICT;
"""


@MIGRATIONS()
def m0002_history(db: Database) -> None:
    """Who saw, what was seen by the minute and the hour, and what is not counted."""
    db.executescript(HISTORY)


EVIDENCE = """
-- Announced work on a line, as the operators' orders have it; by its number, since it can be taken back. Not counted
-- unless it was (`until` is then when). `announced` after `start`: somebody said so afterwards, and the report says it.
CREATE TABLE maintenance (
    id TEXT PRIMARY KEY, line TEXT NOT NULL, start INTEGER NOT NULL, until INTEGER NOT NULL,
    announced INTEGER NOT NULL, given_by TEXT NOT NULL, reason TEXT NOT NULL, cancelled INTEGER, cancelled_by TEXT
) STRICT, WITHOUT ROWID;

-- How the interface of a line was, from a moment on; NULL where that was not known.
CREATE TABLE link (
    line TEXT NOT NULL, at INTEGER NOT NULL, present INTEGER, carrier INTEGER, has_address INTEGER, has_route INTEGER,
    PRIMARY KEY (line, at)
) STRICT, WITHOUT ROWID;

-- The frozen surroundings of incidents, in the order in which they were frozen: each names the digest of the one
-- before, so that none can be changed, left out or put in later. `incident` is the era and number of its first
-- transition; one that lasts longer than traces are kept is frozen while it goes on, and again when it has ended.
-- `sha256` is that of the file, `digest` that of its content.
CREATE TABLE evidence (
    number INTEGER PRIMARY KEY, incident TEXT NOT NULL, line TEXT NOT NULL, start INTEGER NOT NULL,
    until INTEGER NOT NULL, goes_on INTEGER NOT NULL, made INTEGER NOT NULL, file TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, digest TEXT NOT NULL, previous TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_by_incident ON evidence(incident);

-- When the recorder began, and how often: its first write after each start, also in the place of frames that a killed
-- one left behind.
CREATE TABLE recorder (
    one INTEGER PRIMARY KEY CHECK (one = 1), started INTEGER NOT NULL, starts INTEGER NOT NULL
) STRICT;
"""


@MIGRATIONS()
def m0003_evidence(db: Database) -> None:
    """Announced work with who and why, the links of the lines, frozen incidents, the recorder itself."""
    db.executescript(EVIDENCE)


COPIES = """
-- Each restore drill once, by its destination and its beginning. `rto_ms`: from the first question to a database that
-- was looked through, NULL where none came back; `newest` is the newest change that did. `checks`: what was looked at,
-- as a list of name, outcome and what was seen.
CREATE TABLE drill (
    at INTEGER NOT NULL, destination TEXT NOT NULL, outcome TEXT NOT NULL, rto_ms INTEGER, txid INTEGER,
    newest INTEGER, size_bytes INTEGER, checks TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (at, destination)
) STRICT, WITHOUT ROWID;

-- How far each destination was behind at worst (its RPO) in the five minutes from `at` on; no row: not known.
CREATE TABLE behind (
    at INTEGER NOT NULL, destination TEXT NOT NULL, rpo_ms INTEGER NOT NULL, PRIMARY KEY (at, destination)
) STRICT, WITHOUT ROWID;
"""


@MIGRATIONS()
def m0004_copies(db: Database) -> None:
    """How long each restore drill took and what it showed; how far each destination was behind."""
    db.executescript(COPIES)
