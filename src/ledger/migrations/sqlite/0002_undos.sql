-- The ledger, second edition: an undo that failed is tried again, and an import says when it ended.

-- ms: its last row is accounted for. None while it runs, and for ever when it died.
ALTER TABLE imports ADD COLUMN ended_at INTEGER;

-- What is left at Twilio of a message that is stuck, and when it is next tried to take it away. Beside
-- its row of `outcomes`, which is dead with the reason `stuck` for as long as this one is there.
CREATE TABLE undos (
    campaign    TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    due_at      INTEGER NOT NULL,            -- ms: not before this time
    tries       INTEGER NOT NULL DEFAULT 0,  -- how often it was tried again so far
    holder      TEXT,                        -- being tried: the consumer that does
    lease       INTEGER NOT NULL,            -- number of the last lease; goes on from the turn's
    lease_until INTEGER,                     -- being tried, ms: from then on others may
    PRIMARY KEY (campaign, id),
    FOREIGN KEY (campaign, id) REFERENCES messages (campaign, id)
) STRICT, WITHOUT ROWID;

-- The numbers of their turns' leases are gone: the time in ms is more than any message's takers.
INSERT INTO undos (campaign, id, due_at, lease)
SELECT campaign, id, at, at FROM outcomes WHERE outcome = 'dead' AND reason = 'stuck';
