-- What is known of fixes: trials with the state of their machine, recipes of the owner's, what was learned.
-- `kind` tells them apart; the body is JSON of whoever keeps it.
CREATE TABLE healing (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    at   INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX healing_by_age ON healing (kind, at);
