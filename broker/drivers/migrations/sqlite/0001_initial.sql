-- Stamps are seconds since the Unix epoch, digests are SHA-256, times are RFC 3339 text.
-- Blobs have tables of their own, so that reading the index of all packages never passes over them.

-- The logical clock of Last-Modified: always exactly one row.
CREATE TABLE clock (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    document_stamp  INTEGER NOT NULL,
    unique_stamp    INTEGER NOT NULL,
    absent_stamp    INTEGER NOT NULL,
    -- How often packages, tokens and repositories were changed.
    packages        INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    repositories    INTEGER NOT NULL
) STRICT;

INSERT INTO clock VALUES (1, 0, 0, 0, 0, 0, 0);

-- The revision at which each package was last changed, in any repository or as it is served.
CREATE TABLE changed (
    package   TEXT NOT NULL PRIMARY KEY,
    revision  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX changed_by_revision ON changed (revision);

-- Every package of every repository.
CREATE TABLE packages (
    repository  TEXT NOT NULL,
    package     TEXT NOT NULL,
    validator   TEXT,
    versions    INTEGER NOT NULL,
    skipped     INTEGER NOT NULL,
    PRIMARY KEY (repository, package)
) STRICT, WITHOUT ROWID;

-- The versions of a package: JSON, compressed with zstd.
CREATE TABLE package_contents (
    repository  TEXT NOT NULL,
    package     TEXT NOT NULL,
    content     BLOB NOT NULL,
    PRIMARY KEY (repository, package),
    FOREIGN KEY (repository, package) REFERENCES packages ON DELETE CASCADE
) STRICT;

-- Every name that is served or once was. Without an owner it is withdrawn and keeps only its stamps, so that they
-- grow if it comes back.
CREATE TABLE published (
    package        TEXT NOT NULL PRIMARY KEY,
    owner          TEXT,
    stable_stamp   INTEGER NOT NULL,
    stable_digest  BLOB NOT NULL,
    dev_stamp      INTEGER NOT NULL,
    dev_digest     BLOB NOT NULL,
    description    TEXT NOT NULL,
    kind           TEXT NOT NULL,
    abandoned      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The documents of served names, as they go on the wire.
CREATE TABLE documents (
    package  TEXT NOT NULL REFERENCES published ON DELETE CASCADE,
    channel  TEXT NOT NULL CHECK (channel IN ('stable', 'dev')),
    gzip     BLOB NOT NULL,
    zstd     BLOB NOT NULL,
    PRIMARY KEY (package, channel)
) STRICT;

-- The root file of each view, by the digest of what the view may see.
CREATE TABLE root_stamps (
    view    BLOB NOT NULL PRIMARY KEY,
    digest  BLOB NOT NULL,
    stamp   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX root_stamps_by_age ON root_stamps (stamp);

CREATE TABLE repositories (
    name             TEXT NOT NULL PRIMARY KEY,
    kind             TEXT NOT NULL,
    url              TEXT NOT NULL,
    fingerprint      TEXT NOT NULL,
    state            TEXT,
    listing          TEXT,
    changed_at       TEXT,
    failure_at       TEXT,
    failure_count    INTEGER,
    failure_message  TEXT,
    skipped          TEXT NOT NULL, -- JSON list
    CHECK ((failure_at IS NULL) = (failure_count IS NULL)
       AND (failure_at IS NULL) = (failure_message IS NULL))
) STRICT;

CREATE TABLE settings (
    key    TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    name         TEXT NOT NULL PRIMARY KEY,
    hash         BLOB NOT NULL,
    scope        TEXT NOT NULL, -- JSON
    expires_at   TEXT,
    floor_stamp  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Archives in storage, in the order they are looked up: by address, or by package.
CREATE TABLE archives (
    package     TEXT NOT NULL,
    version     TEXT NOT NULL,
    reference   TEXT NOT NULL,
    repository  TEXT NOT NULL,
    format      TEXT NOT NULL, -- a file name extension with its dot
    blob        BLOB NOT NULL,
    sha1        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    PRIMARY KEY (package, version, reference, repository, format)
) STRICT, WITHOUT ROWID;
