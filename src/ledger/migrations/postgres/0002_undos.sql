-- The ledger, second edition: an undo that failed is tried again, and an import says when it ended.

-- ms: its last row is accounted for. None while it runs, and for ever when it died.
ALTER TABLE imports ADD COLUMN ended_at BIGINT;

-- What is left at Twilio of a message that is stuck, and when it is next tried to take it away. Beside
-- its row of `outcomes`, which is dead with the reason `stuck` for as long as this one is there.
CREATE TABLE undos (
    campaign    TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    due_at      BIGINT NOT NULL,            -- ms: not before this time
    tries       BIGINT NOT NULL DEFAULT 0,  -- how often it was tried again so far
    holder      TEXT,                       -- being tried: the consumer that does
    lease       BIGINT NOT NULL,            -- number of the last lease; goes on from the turn's
    lease_until BIGINT,                     -- being tried, ms on the store's clock: from then on others may
    events      BIGINT NOT NULL,            -- how many events its journal has: the next one's number
    PRIMARY KEY (campaign, id)
);

-- The numbers of their turns' leases are gone: the time in ms is more than any message's takers.
INSERT INTO undos (campaign, id, due_at, lease, events)
SELECT o.campaign, o.id, o.at, o.at,
    (SELECT count(*) FROM journal j WHERE j.campaign = o.campaign AND j.id = o.id)
FROM outcomes o WHERE o.outcome = 'dead' AND o.reason = 'stuck';
