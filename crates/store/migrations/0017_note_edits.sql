-- Notes that could be taken away, as it was proposed, with what a person said and what puts them back.
CREATE TABLE note_edits (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT NOT NULL UNIQUE,
    agent  TEXT NOT NULL,
    path   TEXT NOT NULL,
    digest TEXT NOT NULL,
    state  TEXT NOT NULL,
    body   TEXT NOT NULL
) STRICT;
-- Nothing is proposed about a note while something waits.
CREATE UNIQUE INDEX note_edits_waiting ON note_edits (agent, path, digest) WHERE state = 'proposed';
