-- The ledger, eighth edition: the Twilio account knows which ledger runs a campaign.

-- Since when another ledger may have carried out messages of the campaign, ms: each is looked for at Twilio first.
ALTER TABLE campaigns ADD COLUMN distrusted_from INTEGER;

-- The incarnations that the ledger has had: one for each process that worked on it. The account keeps the last one,
-- so that a copy or an older state of the ledger is told from the one that ran last.
CREATE TABLE incarnations (
    token    TEXT    NOT NULL PRIMARY KEY,  -- drawn at random
    beat     INTEGER NOT NULL,              -- raised once a minute while the process works
    drawn_at INTEGER NOT NULL               -- ms
) STRICT, WITHOUT ROWID;
