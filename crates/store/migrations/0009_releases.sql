-- Releases that nothing serves yet. `id` is the object that says what one is made of, `release` the object
-- of the behaviour that it would be.
CREATE TABLE candidates (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    release    TEXT NOT NULL,
    state      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;

-- Signed statements about releases, each an object.
CREATE TABLE envelopes (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    release TEXT NOT NULL,
    kind    TEXT NOT NULL,
    object  TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX envelopes_by_release ON envelopes (release, seq);

-- Moves of aliases as a chain: the hash takes in the one before it. Rows from before have none of their
-- own; the first with one takes in all of them.
ALTER TABLE alias_log ADD COLUMN hash TEXT;
