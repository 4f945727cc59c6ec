-- The ledger, sixth edition: what a deferred message waits for, and what consumers show of their lanes.

-- Deferred because an agent could not take it: the agent, by the name that the message has.
ALTER TABLE turns ADD COLUMN held_for TEXT COLLATE "C";

-- When it was last deferred its turn was promised at its lanes' pace, and nobody has changed the pace.
ALTER TABLE turns ADD COLUMN promised BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX turns_held ON turns (campaign, held_for, due_at) WHERE held_for IS NOT NULL;

-- What each consumer shows of itself to those who look: written over, never added to.
CREATE TABLE shown (
    holder TEXT COLLATE "C" PRIMARY KEY,
    at     BIGINT NOT NULL,  -- ms on the store's clock: when it was shown
    lanes  TEXT   NOT NULL   -- JSON: its lanes, the busiest first
);
