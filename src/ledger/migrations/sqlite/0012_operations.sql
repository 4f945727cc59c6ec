-- The ledger, twelfth edition: operations are recorded, and operators pause everything, a sender or an agent.

-- One row for each operation that changed something, written in the transaction of the change. Rows are never changed
-- or removed.
CREATE TABLE audit (
    number        INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,  -- ms
    actor         TEXT    NOT NULL,  -- JSON: Actor
    operation     TEXT    NOT NULL,  -- OperationName
    campaign      TEXT,
    id            TEXT,              -- the message, if the operation concerned one
    arguments     TEXT    NOT NULL,  -- JSON: an object
    reason        TEXT,              -- as the actor gave it
    counts_before TEXT,              -- JSON: MessageCounts of the campaign, or of all without a campaign
    counts_after  TEXT
) STRICT;

CREATE INDEX audit_by_campaign ON audit (campaign, number);

CREATE TRIGGER audit_row_stays BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'a row of the audit is never changed');
END;

CREATE TRIGGER audit_row_is_kept BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'a row of the audit is never removed');
END;

-- What operators have paused besides campaigns. A row is removed when the pause ends.
CREATE TABLE pauses (
    scope  TEXT    NOT NULL CHECK (scope IN ('all', 'sender', 'agent')),
    name   TEXT    NOT NULL,  -- the sender's address or the agent's name; empty for all
    actor  TEXT    NOT NULL,  -- JSON: Actor
    reason TEXT,
    since  INTEGER NOT NULL,  -- ms
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Messages that wait for the end of such a pause.
CREATE INDEX turns_paused ON turns (campaign) WHERE reason = 'paused';

-- One row for each time that a message was put off: when, why, and until when.
CREATE TABLE waits (
    number   INTEGER PRIMARY KEY,
    campaign TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    at       INTEGER NOT NULL,  -- ms
    reason   TEXT    NOT NULL,  -- WaitReason
    due_at   INTEGER NOT NULL,  -- ms: not before this time; of a pace, an estimate
    failure  TEXT               -- JSON: the failure that is retried
) STRICT;

CREATE INDEX waits_of_message ON waits (campaign, id);
