-- The lanes that several consumers share (src/pacing/shared.rs has the arithmetic). Times are nanoseconds
-- since 1970-01-01T00:00:00Z on the server's clock.
CREATE TABLE lanes (
    lane       TEXT COLLATE "C" PRIMARY KEY,
    free_at    BIGINT NOT NULL,  -- the end of what was handed out; 0: it is new
    period     BIGINT NOT NULL,  -- from one to the next
    holder     TEXT,             -- who has borrowed it
    held_until BIGINT            -- with a holder
) WITH (
    -- A few rows that change many times a second, in place.
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000
);

-- How many of the account's calls at once are each consumer's.
CREATE TABLE account_places (
    holder TEXT COLLATE "C" PRIMARY KEY,
    places BIGINT NOT NULL,
    until  BIGINT NOT NULL  -- ns: then they are anybody's
);
