-- Notes that turns of a candidate wrote. They lie here until the verdict over its rollout, and what
-- becomes of them stands beside the rollout, so that a note that comes late goes the same way.
CREATE TABLE notes (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    rollout TEXT NOT NULL,
    release TEXT NOT NULL,
    agent   TEXT NOT NULL,
    session TEXT NOT NULL,
    run     TEXT NOT NULL,
    day     TEXT NOT NULL,
    time    TEXT NOT NULL,
    text    TEXT NOT NULL,
    label   TEXT NOT NULL,
    state   TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX notes_by_state ON notes (state, seq);
CREATE INDEX notes_by_rollout ON notes (rollout, seq);
ALTER TABLE rollouts ADD COLUMN notes TEXT NOT NULL DEFAULT 'open';
