-- Devices that proved a key and that the owner approved. The table of the first version was never
-- written. `scopes` and `about` are JSON.
DROP TABLE devices;
CREATE TABLE devices (
    id           TEXT PRIMARY KEY NOT NULL,
    public_key   TEXT NOT NULL,
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    name         TEXT,
    about        TEXT NOT NULL,
    approved_by  TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    approved_at  INTEGER NOT NULL,
    last_seen_at INTEGER
) STRICT, WITHOUT ROWID;

-- One token per device, known by its digest. It goes with its device.
CREATE TABLE device_tokens (
    device     TEXT PRIMARY KEY NOT NULL,
    digest     TEXT NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
