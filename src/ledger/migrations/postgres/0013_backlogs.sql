-- The ledger, thirteenth edition: a message whose turn comes later waits in a backlog, and holds no time of its own.
-- The column `promised` is not used any more.

-- The lanes that it waits for, as pacing names them: deferred for its pace, or called up and not taken yet.
ALTER TABLE turns ADD COLUMN backlog TEXT COLLATE "C";

-- With a backlog, ms: its age, by which its turn comes.
ALTER TABLE turns ADD COLUMN backlog_since BIGINT;

CREATE INDEX turns_in_backlog ON turns (campaign, backlog, backlog_since, id)
    WHERE backlog IS NOT NULL AND state = 'deferred' AND reason = 'pace';

-- What was promised a time comes back at once, and is put into its backlog.
UPDATE turns SET due_at = 0, wake_at = 0 WHERE state = 'deferred' AND reason = 'pace';
