-- How often the declared repositories were changed.
ALTER TABLE clock ADD COLUMN declared bigint NOT NULL DEFAULT 0;

-- Repositories that are declared here, for processes that have no manifests. A generation names one content of a row
-- and is never used again; credentials are sealed with a key that is not in the database.
CREATE TABLE declared (
    name         text COLLATE "C" PRIMARY KEY,
    settings     json NOT NULL,
    generation   bigint NOT NULL,
    sealed_with  text COLLATE "C", -- the id of the key
    sealed       bytea,
    CHECK ((sealed_with IS NULL) = (sealed IS NULL))
);
