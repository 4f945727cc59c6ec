-- The ledger, eleventh edition: a message that waits for its `not_before` is scheduled, as one that waits for its pace is; and a
-- message does not grow old while no consumer runs.

-- The word of the reason differs from the word of the state.
UPDATE turns SET reason = 'not_before' WHERE reason = 'scheduled';
UPDATE campaigns SET reason = 'all imported files are complete' WHERE reason = 'its files are worked off';

-- Up to when the time since tried_since counts, ms: the due time of a retry, or the time of the last take. The time from then
-- until the next take is a wait for a consumer.
ALTER TABLE turns ADD COLUMN tried_until INTEGER;
UPDATE turns SET tried_until = coalesce(due_at, tried_since) WHERE tried_since IS NOT NULL;
