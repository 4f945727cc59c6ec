-- The ledger, first edition.
--
-- Every time is a whole number of milliseconds since 1970-01-01T00:00:00Z. Words in `state`,
-- `reason` and `outcome` are those of the closed lists in src/message and src/ledger. JSON is text.
-- A message is a row of `messages`, and of exactly one of `turns` (its turn is open) and `outcomes`
-- (its turn is over): that the three add up is what the books check.

-- What the ledger knows of itself.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,  -- id, account_sid, base, probe
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger's own name: 32 hex digits, drawn once.
INSERT INTO meta (name, value) VALUES ('id', lower(hex(randomblob(16))));
-- Written by every readiness check, and read by nobody.
INSERT INTO meta (name, value) VALUES ('probe', '0');

CREATE TABLE campaigns (
    number     INTEGER PRIMARY KEY,    -- the order in which campaigns were first applied
    id         TEXT    NOT NULL UNIQUE,
    state      TEXT    NOT NULL,       -- running, paused, finished, cancelled
    reason     TEXT,                   -- why it is in this state, for an operator
    definition TEXT    NOT NULL,       -- JSON: the campaign file with everything discovered filled in
    applied_at INTEGER NOT NULL,       -- ms: first applied
    changed_at INTEGER NOT NULL        -- ms: definition or state last written
) STRICT;

-- One reading of one file. rows = accepted + duplicate + suppressed + its rows in `rejects`.
CREATE TABLE imports (
    number     INTEGER PRIMARY KEY,
    campaign   TEXT    NOT NULL REFERENCES campaigns (id),
    file       TEXT    NOT NULL,            -- its name, as it was given
    begun_at   INTEGER NOT NULL,            -- ms
    rows       INTEGER NOT NULL DEFAULT 0,  -- rows accounted for so far
    accepted   INTEGER NOT NULL DEFAULT 0,  -- rows that became messages
    duplicate  INTEGER NOT NULL DEFAULT 0,  -- rows whose id or address the campaign had already
    suppressed INTEGER NOT NULL DEFAULT 0   -- rows whose customer has opted out
) STRICT;

CREATE INDEX imports_by_campaign ON imports (campaign);

-- One row of a file that was not taken.
CREATE TABLE rejects (
    number   INTEGER PRIMARY KEY,
    import   INTEGER NOT NULL REFERENCES imports (number),
    campaign TEXT    NOT NULL,  -- the import's
    line     INTEGER NOT NULL,  -- physical line of the file, counted from 1
    "column" TEXT,              -- the header's name of the column that is wrong
    reason   TEXT    NOT NULL,  -- RejectReason
    detail   TEXT    NOT NULL   -- one sentence for an operator
) STRICT;

CREATE INDEX rejects_by_reason ON rejects (campaign, reason);

-- One customer's turn in a campaign, as it was accepted. Written once, never changed.
CREATE TABLE messages (
    number      INTEGER PRIMARY KEY,  -- the order of acceptance
    campaign    TEXT    NOT NULL REFERENCES campaigns (id),
    id          TEXT    NOT NULL,     -- the publisher's, or a hash of the address
    address     TEXT    NOT NULL,     -- the customer's, normalised
    payload     TEXT    NOT NULL,     -- JSON: the message on the wire
    accepted_at INTEGER NOT NULL,     -- ms
    UNIQUE (campaign, id),
    UNIQUE (campaign, address)
) STRICT;

-- Where an open message is. Deleted when its turn is over.
CREATE TABLE turns (
    campaign     TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'deferred', 'in_flight')),
    reason       TEXT,                        -- deferred: DeferReason
    due_at       INTEGER,                     -- deferred, ms: not before this time
    wake_at      INTEGER,                     -- deferred, ms: when the ledger brings it back: due_at, or
                                              -- a minute later when the queue holds a delayed copy
    queued       INTEGER NOT NULL,            -- 1: the queue has it, or brings it back; else 0
    queue_after  INTEGER,                     -- waiting and not queued, ms: from then on anybody may
                                              -- publish it
    attempts     INTEGER NOT NULL DEFAULT 0,  -- attempts that failed so far
    last_failure TEXT,                        -- JSON: the failure of the last attempt that was put off
    holder       TEXT,                        -- in flight: the consumer that works on it
    lease        INTEGER NOT NULL DEFAULT 0,  -- number of the last lease; 0 before the first; only grows
    lease_until  INTEGER,                     -- in flight, ms: from then on others may take it
    PRIMARY KEY (campaign, id),
    FOREIGN KEY (campaign, id) REFERENCES messages (campaign, id),
    CHECK ((state = 'deferred') = (due_at IS NOT NULL)),
    CHECK ((state = 'deferred') = (wake_at IS NOT NULL)),
    CHECK ((state = 'deferred') = (reason IS NOT NULL)),
    CHECK ((state = 'in_flight') = (lease_until IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX turns_by_state ON turns (campaign, state, reason);
CREATE INDEX turns_to_wake ON turns (wake_at) WHERE state = 'deferred';
CREATE INDEX turns_to_queue ON turns (queue_after) WHERE state = 'waiting' AND queued = 0;

-- How a message's turn was over. Written once.
CREATE TABLE outcomes (
    number   INTEGER PRIMARY KEY,  -- the order in which turns were over
    campaign TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    outcome  TEXT    NOT NULL CHECK (outcome IN ('done', 'skipped', 'dead', 'unknown')),
    reason   TEXT,                 -- SkipReason, DeadReason or UnknownReason; none when done
    detail   TEXT    NOT NULL,     -- JSON: the ending, with its failure or evidence
    effects  TEXT    NOT NULL,     -- JSON: what stands at Twilio, by SID
    attempts INTEGER NOT NULL,     -- attempts that failed, the last of a dead message included
    at       INTEGER NOT NULL,     -- ms
    UNIQUE (campaign, id),
    FOREIGN KEY (campaign, id) REFERENCES messages (campaign, id)
) STRICT;

CREATE INDEX outcomes_by_reason ON outcomes (campaign, outcome, reason);
CREATE INDEX outcomes_dead ON outcomes (at) WHERE outcome = 'dead';

-- What happened to each saga, in order.
CREATE TABLE journal (
    campaign TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    seq      INTEGER NOT NULL,  -- counted from 0 within the message
    at       INTEGER NOT NULL,  -- ms
    event    TEXT    NOT NULL,  -- JSON: the event
    PRIMARY KEY (campaign, id, seq),
    FOREIGN KEY (campaign, id) REFERENCES messages (campaign, id)
) STRICT, WITHOUT ROWID;

-- Deliveries that were no message.
CREATE TABLE strays (
    number   INTEGER PRIMARY KEY,
    campaign TEXT    NOT NULL,  -- the one whose queue it lay on
    detail   TEXT    NOT NULL,  -- what is wrong with it
    body     TEXT    NOT NULL,  -- cut to a kilobyte
    at       INTEGER NOT NULL   -- ms
) STRICT;
