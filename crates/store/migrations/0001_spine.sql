-- Ids are texts that sort by time. JSON columns hold values of the protocol; columns beside them
-- are what queries look for. Times are milliseconds since the Unix epoch.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY NOT NULL,
    key           TEXT NOT NULL,
    agent         TEXT NOT NULL,
    title         TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    leaf          TEXT,
    model         TEXT,
    deleted_at    INTEGER,
    entries       INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_micros   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_live ON sessions (updated_at) WHERE deleted_at IS NULL;
CREATE INDEX sessions_deleted ON sessions (deleted_at) WHERE deleted_at IS NOT NULL;

-- The session that a key points at now. Earlier sessions of the key stay in `sessions`. Whoever
-- removes a session removes its key first: a foreign key would need an index that each new
-- conversation pays for.
CREATE TABLE session_keys (
    key     TEXT PRIMARY KEY NOT NULL,
    session TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Transcript trees. `seq` is the order in which entries were stored.
CREATE TABLE entries (
    seq     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL REFERENCES sessions (id),
    parent  TEXT,
    at      INTEGER NOT NULL,
    run     TEXT,
    label   TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX entries_session ON entries (session);
CREATE INDEX entries_run ON entries (run) WHERE run IS NOT NULL;

CREATE TABLE inbox (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    session_key     TEXT NOT NULL,
    idempotency_key TEXT,
    state           TEXT NOT NULL,
    run             TEXT,
    received_at     INTEGER NOT NULL,
    settled_at      INTEGER,
    body            TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX inbox_idempotency ON inbox (session_key, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX inbox_pending ON inbox (seq) WHERE state = 'pending';

CREATE TABLE outbox (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    session         TEXT NOT NULL,
    run             TEXT NOT NULL,
    surface         TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    text            TEXT NOT NULL,
    state           TEXT NOT NULL,
    at              INTEGER NOT NULL,
    settled_at      INTEGER
) STRICT;
CREATE INDEX outbox_run ON outbox (run);
CREATE INDEX outbox_open ON outbox (seq) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_uncertain ON outbox (seq) WHERE state = 'uncertain';

-- The journal of calls that leave traces: intent first, outcome after.
CREATE TABLE effects (
    seq      INTEGER PRIMARY KEY,
    run      TEXT NOT NULL,
    call_id  TEXT NOT NULL,
    session  TEXT NOT NULL,
    call     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    outcome  TEXT,
    ended_at INTEGER,
    UNIQUE (run, call_id)
) STRICT;
CREATE INDEX effects_open ON effects (seq) WHERE outcome IS NULL;

-- The event log. `seq` is commit order: who follows the log by it misses nothing.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    session TEXT,
    body    TEXT NOT NULL
) STRICT;
-- Kinds that every turn leaves are found by walking back; an index over them would touch one more
-- page for each event.
CREATE INDEX events_rare ON events (kind)
    WHERE kind NOT IN ('message_in', 'message_out', 'turn', 'model_call', 'tool_call');
CREATE INDEX events_session ON events (session) WHERE session IS NOT NULL;

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;
-- Retention writes the bound that it removes up to before it removes anything.
CREATE TRIGGER events_are_kept BEFORE DELETE ON events
WHEN OLD.at >= coalesce((SELECT value FROM meta WHERE name = 'events_kept_from'), 0)
BEGIN
    SELECT RAISE(ABORT, 'events are removed by retention alone');
END;

CREATE TABLE devices (
    id           TEXT PRIMARY KEY NOT NULL,
    name         TEXT NOT NULL,
    public_key   TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE TABLE releases (
    id     TEXT PRIMARY KEY NOT NULL,
    object TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE TABLE aliases (
    alias   TEXT PRIMARY KEY NOT NULL,
    release TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE alias_log (
    seq          INTEGER PRIMARY KEY,
    alias        TEXT NOT NULL,
    from_release TEXT,
    to_release   TEXT NOT NULL,
    reason       TEXT NOT NULL,
    by           TEXT NOT NULL,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX alias_log_alias ON alias_log (alias);
CREATE TRIGGER alias_log_is_not_changed BEFORE UPDATE ON alias_log
BEGIN
    SELECT RAISE(ABORT, 'the alias log is append-only');
END;
CREATE TRIGGER alias_log_is_kept BEFORE DELETE ON alias_log
BEGIN
    SELECT RAISE(ABORT, 'the alias log is append-only');
END;

-- Summed as it is written: the budget check of a turn reads a handful of rows whatever the day
-- held. What one session cost stands in `sessions`.
CREATE TABLE spend (
    day           TEXT NOT NULL,
    agent         TEXT NOT NULL,
    model         TEXT NOT NULL,
    calls         INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_micros   INTEGER NOT NULL,
    PRIMARY KEY (day, agent, model)
) STRICT, WITHOUT ROWID;

-- Browser sessions, known by the digest of their cookie.
CREATE TABLE web_sessions (
    digest     TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    via        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);
