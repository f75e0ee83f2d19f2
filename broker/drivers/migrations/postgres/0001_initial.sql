-- Stamps are seconds since the Unix epoch, digests are SHA-256. Names compare byte by byte, as everywhere else.
-- Blobs have tables of their own, so that reading the index of all packages never passes over them; they are
-- compressed already, so PostgreSQL is told not to try.
-- JSON is kept as the text it was written as: what it means is for the program to say.

-- The logical clock of Last-Modified: always exactly one row. Whoever writes what is published locks it first, so
-- that stamps are given in the order of the commits.
CREATE TABLE clock (
    id              smallint PRIMARY KEY CHECK (id = 1),
    document_stamp  bigint NOT NULL,
    unique_stamp    bigint NOT NULL,
    absent_stamp    bigint NOT NULL,
    -- How often packages, tokens and repositories were changed.
    packages        bigint NOT NULL,
    tokens          bigint NOT NULL,
    repositories    bigint NOT NULL
);

INSERT INTO clock VALUES (1, 0, 0, 0, 0, 0, 0);

-- The revision at which each package was last changed, in any repository or as it is served.
CREATE TABLE changed (
    package   text COLLATE "C" PRIMARY KEY,
    revision  bigint NOT NULL
);

CREATE INDEX changed_by_revision ON changed (revision);

-- Every package of every repository.
CREATE TABLE packages (
    repository  text COLLATE "C" NOT NULL,
    package     text COLLATE "C" NOT NULL,
    validator   text,
    versions    integer NOT NULL,
    skipped     integer NOT NULL,
    PRIMARY KEY (repository, package)
);

-- The versions of a package: JSON, compressed with zstd.
CREATE TABLE package_contents (
    repository  text COLLATE "C" NOT NULL,
    package     text COLLATE "C" NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (repository, package),
    FOREIGN KEY (repository, package) REFERENCES packages ON DELETE CASCADE
);

-- Every name that is served or once was. Without an owner it is withdrawn and keeps only its stamps, so that they
-- grow if it comes back.
CREATE TABLE published (
    package        text COLLATE "C" PRIMARY KEY,
    owner          text COLLATE "C",
    stable_stamp   bigint NOT NULL,
    stable_digest  bytea NOT NULL,
    dev_stamp      bigint NOT NULL,
    dev_digest     bytea NOT NULL,
    description    text NOT NULL,
    kind           text NOT NULL,
    abandoned      text NOT NULL
);

-- The documents of served names, as they go on the wire.
CREATE TABLE documents (
    package  text COLLATE "C" NOT NULL REFERENCES published ON DELETE CASCADE,
    channel  text COLLATE "C" NOT NULL CHECK (channel IN ('stable', 'dev')),
    gzip     bytea NOT NULL,
    zstd     bytea NOT NULL,
    PRIMARY KEY (package, channel)
);

-- The root file of each view, by the digest of what the view may see.
CREATE TABLE root_stamps (
    view    bytea PRIMARY KEY,
    digest  bytea NOT NULL,
    stamp   bigint NOT NULL
);

CREATE INDEX root_stamps_by_age ON root_stamps (stamp);

CREATE TABLE repositories (
    name             text COLLATE "C" PRIMARY KEY,
    kind             text NOT NULL,
    url              text NOT NULL,
    fingerprint      text NOT NULL,
    state            text,
    listing          text,
    changed_at       timestamptz,
    failure_at       timestamptz,
    failure_count    bigint,
    failure_message  text,
    skipped          json NOT NULL,
    CHECK ((failure_at IS NULL) = (failure_count IS NULL)
       AND (failure_at IS NULL) = (failure_message IS NULL))
);

CREATE TABLE settings (
    key    text COLLATE "C" PRIMARY KEY,
    value  text NOT NULL
);

CREATE TABLE tokens (
    name         text COLLATE "C" PRIMARY KEY,
    hash         bytea NOT NULL,
    scope        json NOT NULL,
    expires_at   timestamptz,
    floor_stamp  bigint NOT NULL
);

-- Archives in storage, in the order they are looked up: by address, or by package.
CREATE TABLE archives (
    package     text COLLATE "C" NOT NULL,
    version     text COLLATE "C" NOT NULL,
    reference   text COLLATE "C" NOT NULL,
    repository  text COLLATE "C" NOT NULL,
    format      text COLLATE "C" NOT NULL, -- a file name extension with its dot
    blob        bytea NOT NULL,
    sha1        text NOT NULL,
    size        bigint NOT NULL,
    PRIMARY KEY (package, version, reference, repository, format)
);

CREATE INDEX archives_by_repository ON archives (repository);

-- Leave to do what one process at a time may do. An epoch is never used again.
CREATE TABLE claims (
    epoch       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what        text COLLATE "C" NOT NULL UNIQUE,
    expires_at  timestamptz NOT NULL
);

ALTER TABLE package_contents ALTER COLUMN content SET STORAGE EXTERNAL;
ALTER TABLE documents ALTER COLUMN gzip SET STORAGE EXTERNAL, ALTER COLUMN zstd SET STORAGE EXTERNAL;
