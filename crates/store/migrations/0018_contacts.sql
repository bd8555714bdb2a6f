-- People whom the owner wrote to before anything of theirs was read.
CREATE TABLE contacts (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    text    TEXT NOT NULL,
    tool    TEXT NOT NULL,
    session TEXT NOT NULL,
    run     TEXT NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (kind, text)
) STRICT;
