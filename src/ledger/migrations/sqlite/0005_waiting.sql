-- The ledger, fifth edition: what a deferred message waits for, and what consumers show of their lanes.

-- Deferred because an agent could not take it: the agent, by the name that the message has.
ALTER TABLE turns ADD COLUMN held_for TEXT;

-- 1: when it was last deferred its turn was promised at its lanes' pace, and nobody has changed the pace.
ALTER TABLE turns ADD COLUMN promised INTEGER NOT NULL DEFAULT 0;

CREATE INDEX turns_held ON turns (campaign, held_for, due_at) WHERE held_for IS NOT NULL;

-- What each consumer shows of itself to those who look: written over, never added to.
CREATE TABLE shown (
    holder TEXT    NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,  -- ms: when it was shown
    lanes  TEXT    NOT NULL   -- JSON: its lanes, the busiest first
) STRICT, WITHOUT ROWID;
