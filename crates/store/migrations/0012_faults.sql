-- Faults: what was counted of each, from the event log. `into_fault` says that it counts as a part of
-- another, `is_apart` that a person took it out of one.
CREATE TABLE faults (
    id         TEXT PRIMARY KEY NOT NULL,
    into_fault TEXT,
    is_apart   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    is_muted   INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX faults_by_age ON faults (last_seen);

-- Occasions on which faults of a place could have shown themselves.
CREATE TABLE fault_places (
    place TEXT PRIMARY KEY NOT NULL,
    body  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was changed in the register of faults, by whom. The last number is its version.
CREATE TABLE fault_edits (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    who  TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Cycles of the lab, and what it is told again at the next.
CREATE TABLE lab_runs (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE lab_memory (
    name TEXT PRIMARY KEY NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
