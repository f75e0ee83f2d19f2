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
