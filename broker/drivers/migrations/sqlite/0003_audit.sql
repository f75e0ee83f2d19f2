-- The audit log. Times are microseconds since the Unix epoch here, as they are compared again and again.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    address     TEXT,
    action      TEXT NOT NULL,
    subject     TEXT,
    version     TEXT,
    repository  TEXT,
    outcome     TEXT NOT NULL,
    detail      TEXT
) STRICT;

-- One for each way to ask, in the order of the answer. Every index of SQLite ends with the id.
CREATE INDEX audit_by_time ON audit (last_at);
CREATE INDEX audit_by_actor ON audit (actor, last_at);
CREATE INDEX audit_by_subject ON audit (subject, last_at);
CREATE INDEX audit_by_action ON audit (action, last_at);

-- The last batch of each writer, so that none is added twice.
CREATE TABLE audit_writers (
    writer      BLOB NOT NULL PRIMARY KEY,
    batch       INTEGER NOT NULL,
    written_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
