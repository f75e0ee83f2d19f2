-- Syncs that somebody asked for, of whoever decides when syncs are. A number names one request and is never used again.
CREATE TABLE sync_requests (
    repository  text COLLATE "C" PRIMARY KEY,
    request     bigint GENERATED ALWAYS AS IDENTITY
);
