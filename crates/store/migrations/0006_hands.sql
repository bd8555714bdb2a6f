-- Questions to the owner. `body` is the whole question as JSON; the columns are what is looked for.
CREATE TABLE questions (
    id         TEXT PRIMARY KEY NOT NULL,
    state      TEXT NOT NULL,
    digest     TEXT NOT NULL,
    session    TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    settled_at INTEGER,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX questions_by_state ON questions (state, asked_at);

-- What the owner answered with "always". `body` is the rule as JSON.
CREATE TABLE standing_rules (
    id         TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per decision, effect, outcome, question and answer. Each hash takes in the one before it
-- and a salted digest of the body, so that a body can be erased and a row cannot be changed.
CREATE TABLE receipts (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    session TEXT,
    digest  TEXT NOT NULL,
    prev    TEXT NOT NULL,
    hash    TEXT NOT NULL,
    salt    TEXT,
    body    TEXT
) STRICT;
CREATE INDEX receipts_by_session ON receipts (session) WHERE body IS NOT NULL;

-- Who wrote a file, by the digest of what was written. Text without a row has no known writer.
CREATE TABLE file_labels (
    path   TEXT NOT NULL,
    digest TEXT NOT NULL,
    label  TEXT NOT NULL,
    writer TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (path, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_labels_by_age ON file_labels (at);

-- What stood in a file before a tool changed it; no object where there was no file.
CREATE TABLE undo (
    seq       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    at        INTEGER NOT NULL,
    session   TEXT NOT NULL,
    run       TEXT NOT NULL,
    path      TEXT NOT NULL,
    before    TEXT,
    after     TEXT,
    undone_at INTEGER
) STRICT;

-- Outputs that were too long to be read in one piece, for the conversation that they belong to.
CREATE TABLE kept_outputs (
    seq     INTEGER PRIMARY KEY,
    handle  TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    object  TEXT NOT NULL,
    label   TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
