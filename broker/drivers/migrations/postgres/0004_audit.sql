-- The audit log.
CREATE TABLE audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    count       bigint NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    address     text COLLATE "C",
    action      text COLLATE "C" NOT NULL,
    subject     text COLLATE "C",
    version     text COLLATE "C",
    repository  text COLLATE "C",
    outcome     text COLLATE "C" NOT NULL,
    detail      text
);

-- One for each way to ask, in the order of the answer.
CREATE INDEX audit_by_time ON audit (last_at, id);
CREATE INDEX audit_by_actor ON audit (actor, last_at, id);
CREATE INDEX audit_by_subject ON audit (subject, last_at, id);
CREATE INDEX audit_by_action ON audit (action, last_at, id);

-- The last batch of each writer, so that none is added twice.
CREATE TABLE audit_writers (
    writer      bytea PRIMARY KEY,
    batch       bigint NOT NULL,
    written_at  timestamptz NOT NULL
);
