-- How often the declared repositories were changed.
ALTER TABLE clock ADD COLUMN declared INTEGER NOT NULL DEFAULT 0;

-- Repositories that are declared here, for processes that have no manifests. A generation names one content of a row
-- and is never used again; credentials are sealed with a key that is not in the database.
CREATE TABLE declared (
    name         TEXT NOT NULL PRIMARY KEY,
    settings     TEXT NOT NULL, -- JSON
    generation   INTEGER NOT NULL,
    sealed_with  TEXT, -- the id of the key
    sealed       BLOB,
    CHECK ((sealed_with IS NULL) = (sealed IS NULL))
) STRICT;
