-- What replicas share for a short time, where they have no Redis. Unlogged: after a crash of the server it is empty,
-- which loses only memory of recent events. Rows are overwritten all the time, so pages keep room for their next
-- versions.

-- How many events a key had in its present window. The window's end is written once, when it opens.
CREATE UNLOGGED TABLE counters (
    key     text COLLATE "C" PRIMARY KEY,
    events  bigint NOT NULL,
    ends    timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX counters_by_end ON counters (ends);

-- When the bucket of a key is full again. `expires` is some time after that, and moves seldom: an index over what is
-- written with each request would keep the row from being overwritten in its page.
CREATE UNLOGGED TABLE quotas (
    key      text COLLATE "C" PRIMARY KEY,
    full_at  timestamptz NOT NULL,
    -- Whether the last request was allowed.
    allowed  boolean NOT NULL,
    expires  timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX quotas_by_end ON quotas (expires);
