-- The ledger, sixth edition: operators stop campaigns, and consumers confirm it.

-- JSON: who paused or cancelled the campaign, while it is paused or cancelled.
ALTER TABLE campaigns ADD COLUMN stopped_by TEXT;
-- ms: since when the campaign is in its state.
ALTER TABLE campaigns ADD COLUMN state_since INTEGER NOT NULL DEFAULT 0;
UPDATE campaigns SET state_since = changed_at;
-- Earlier editions had no command for it: every pause was the program's, for credentials that Twilio refused.
UPDATE campaigns SET stopped_by = '{"kind":"program","cause":"credentials_refused"}' WHERE state = 'paused';

-- How often the state of a campaign has changed: the number of the last change.
INSERT INTO meta (name, value) VALUES ('changes', '0');

-- The consumers that may live. Each renews its row every second, and with it its right to start changing calls.
CREATE TABLE consumers (
    holder     TEXT    NOT NULL PRIMARY KEY,  -- its name in leases
    host       TEXT    NOT NULL,              -- the name of its machine
    pid        INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,              -- ms
    confirmed  INTEGER                        -- number of the last change that it has carried out
) STRICT, WITHOUT ROWID;

-- 1: a lease on the message ended without a settlement. Something of the message may stand at Twilio that
-- its journal does not know.
ALTER TABLE turns ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;
UPDATE turns SET doubtful = 1 WHERE lease > 0;
