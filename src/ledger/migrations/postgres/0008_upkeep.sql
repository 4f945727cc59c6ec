-- The ledger, eighth edition: what the queue lost is published again, and damaged rows are named.

-- When the message was last published again because the queue had lost it, ms.
ALTER TABLE turns ADD COLUMN again_at BIGINT;
-- When messages of the campaign were last published again because its queue had lost them, ms.
ALTER TABLE campaigns ADD COLUMN again_at BIGINT;

-- JSON: how many deliveries of each campaign the consumer holds, and when it said so, ms on the store's clock.
ALTER TABLE consumers ADD COLUMN holding TEXT;
ALTER TABLE consumers ADD COLUMN holding_at BIGINT;

-- Messages whose stored fields contradict each other, as a consumer met them. A row goes when its message is
-- taken again.
CREATE TABLE damaged (
    campaign TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    detail   TEXT   NOT NULL,  -- what contradicts what
    at       BIGINT NOT NULL,  -- ms: when it was last met
    PRIMARY KEY (campaign, id)
);
