-- The ledger, twelfth edition: a message grows old while it is tried, not while it waits.

-- Since when the message is tried, ms: since it was taken first, or first after Twilio was away or it waited for anything
-- but its next try.
ALTER TABLE turns ADD COLUMN tried_since BIGINT;
