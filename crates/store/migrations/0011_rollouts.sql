-- Candidates that some units of traffic are served, and what was decided of them. `body` is the state of
-- the machine that decides; of those that go on there is one at the most.
CREATE TABLE rollouts (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    is_open  INTEGER NOT NULL,
    coin     BLOB NOT NULL,
    at       INTEGER NOT NULL,
    ended_at INTEGER,
    body     TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX rollouts_open ON rollouts (is_open) WHERE is_open = 1;

-- Episodes of conversations, each on one arm from before its first turn.
CREATE TABLE units (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    rollout    TEXT NOT NULL,
    session    TEXT NOT NULL,
    arm        TEXT NOT NULL,
    share      REAL NOT NULL,
    at         INTEGER NOT NULL,
    closed_at  INTEGER,
    settled_at INTEGER,
    bad        TEXT
) STRICT;
CREATE INDEX units_by_rollout ON units (rollout, seq);
CREATE INDEX units_unsettled ON units (rollout, seq) WHERE settled_at IS NULL;
