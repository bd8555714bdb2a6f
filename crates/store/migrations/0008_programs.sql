-- Programs that may write in a workspace. A row stands before its program starts and goes when what that
-- changed has its label; one with an end was not looked at as a whole. Times are those of the file system,
-- in nanoseconds. `present` are the names that shape the agent and were there, as JSON.
CREATE TABLE program_runs (
    id      TEXT PRIMARY KEY NOT NULL,
    agent   TEXT NOT NULL,
    session TEXT NOT NULL,
    began   INTEGER NOT NULL,
    ended   INTEGER,
    label   TEXT NOT NULL,
    present TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX program_runs_by_agent ON program_runs (agent, began);

-- The same text under another name has the same writers.
CREATE INDEX file_labels_by_digest ON file_labels (digest);
