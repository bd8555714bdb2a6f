-- What agents leave for their owner: questions that wait for his words, and messages.
CREATE TABLE letters (
    id         TEXT PRIMARY KEY NOT NULL,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,
    session    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    settled_at INTEGER,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX letters_by_state ON letters (state, at);
CREATE INDEX letters_by_session ON letters (session, at);

-- Plan and counts of requests that sub-agents serve, by the run that the request began with.
CREATE TABLE requests (
    run        TEXT PRIMARY KEY NOT NULL,
    changed_at INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (changed_at);
