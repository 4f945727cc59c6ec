-- The ledger, first edition, on PostgreSQL (13 or later).
--
-- Every time is a whole number of milliseconds since 1970-01-01T00:00:00Z. Words in `state`,
-- `reason` and `outcome` are those of the closed lists in src/message and src/ledger. JSON is text,
-- for it is read and written whole. Keys sort by their bytes: the rules of a language would cost time and
-- differ from one server to the next.
-- A message is a row of `messages`, and of exactly one of `turns` (its turn is open) and `outcomes`
-- (its turn is over): that the three add up is what the books check.

-- What the ledger knows of itself.
CREATE TABLE meta (
    name  TEXT COLLATE "C" PRIMARY KEY,  -- id, account_sid, base, probe
    value TEXT NOT NULL
);

-- The ledger's own name: 32 hex digits, drawn once.
INSERT INTO meta (name, value) VALUES ('id', replace(gen_random_uuid()::text, '-', ''));
-- Written by every readiness check, and read by nobody.
INSERT INTO meta (name, value) VALUES ('probe', '0');

-- The store's clock in milliseconds: what leases are given and compared by, whatever the clocks of the
-- consumers' machines say. A caller that chooses the time (a test) passes it in; all others pass NULL.
CREATE FUNCTION lease_clock(chosen BIGINT) RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(chosen, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT)
$$;

CREATE TABLE campaigns (
    id         TEXT COLLATE "C" PRIMARY KEY,
    number     BIGINT GENERATED ALWAYS AS IDENTITY,  -- the order in which they were first applied
    state      TEXT   NOT NULL,  -- running, paused, finished, cancelled
    reason     TEXT,             -- why it is in this state, for an operator
    definition TEXT   NOT NULL,  -- JSON: the campaign file with everything discovered filled in
    applied_at BIGINT NOT NULL,  -- ms: first applied
    changed_at BIGINT NOT NULL   -- ms: definition or state last written
);

-- One reading of one file. rows = accepted + duplicate + suppressed + its rows in `rejects`.
CREATE TABLE imports (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign   TEXT COLLATE "C" NOT NULL REFERENCES campaigns (id),
    file       TEXT   NOT NULL,            -- its name, as it was given
    begun_at   BIGINT NOT NULL,            -- ms
    rows       BIGINT NOT NULL DEFAULT 0,  -- rows accounted for so far
    accepted   BIGINT NOT NULL DEFAULT 0,  -- rows that became messages
    duplicate  BIGINT NOT NULL DEFAULT 0,  -- rows whose id or address the campaign had already
    suppressed BIGINT NOT NULL DEFAULT 0   -- rows whose customer has opted out
);

CREATE INDEX imports_by_campaign ON imports (campaign);

-- One row of a file that was not taken.
CREATE TABLE rejects (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    import   BIGINT NOT NULL REFERENCES imports (number),
    campaign TEXT COLLATE "C" NOT NULL,  -- the import's
    line     BIGINT NOT NULL,            -- physical line of the file, counted from 1
    "column" TEXT,                       -- the header's name of the column that is wrong
    reason   TEXT   NOT NULL,            -- RejectReason
    detail   TEXT   NOT NULL             -- one sentence for an operator
);

CREATE INDEX rejects_by_reason ON rejects (campaign, reason);

-- One customer's turn in a campaign, as it was accepted. Written once, never changed.
CREATE TABLE messages (
    campaign    TEXT COLLATE "C" NOT NULL REFERENCES campaigns (id),
    id          TEXT COLLATE "C" NOT NULL,            -- the publisher's, or a hash of the address
    number      BIGINT GENERATED ALWAYS AS IDENTITY,  -- the order of acceptance
    address     TEXT COLLATE "C" NOT NULL,            -- the customer's, normalised
    payload     TEXT   NOT NULL,                      -- JSON: the message on the wire
    accepted_at BIGINT NOT NULL,                      -- ms
    PRIMARY KEY (campaign, id),
    UNIQUE (campaign, address),
    UNIQUE (campaign, number)                         -- for exports, page by page
);

-- Where an open message is. Deleted when its turn is over.
CREATE TABLE turns (
    campaign     TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'deferred', 'in_flight')),
    reason       TEXT,                        -- deferred: DeferReason
    due_at       BIGINT,                      -- deferred, ms: not before this time
    wake_at      BIGINT,                      -- deferred, ms: when the ledger brings it back: due_at,
                                              -- or a minute later when the queue holds a delayed copy
    queued       BOOLEAN NOT NULL,            -- the queue has it, or brings it back
    queue_after  BIGINT,                      -- waiting and not queued, ms: from then on anybody may
                                              -- publish it
    lister       TEXT,                        -- waiting and not queued: the process that is publishing it
    listed_until BIGINT,                      -- with a lister, ms on the store's clock: from then on
                                              -- another one may
    attempts     BIGINT  NOT NULL DEFAULT 0,  -- attempts that failed so far
    last_failure TEXT,                        -- JSON: the failure of the last attempt put off
    holder       TEXT,                        -- in flight: the consumer that works on it
    lease        BIGINT  NOT NULL DEFAULT 0,  -- number of the last lease; 0 before the first; only grows
    lease_until  BIGINT,                      -- in flight, ms on the store's clock: from then on others
                                              -- may take it
    events       BIGINT  NOT NULL DEFAULT 0,  -- how many events its journal has: the next one's number
    PRIMARY KEY (campaign, id),
    FOREIGN KEY (campaign, id) REFERENCES messages (campaign, id),
    CHECK ((state = 'deferred') = (due_at IS NOT NULL)),
    CHECK ((state = 'deferred') = (wake_at IS NOT NULL)),
    CHECK ((state = 'deferred') = (reason IS NOT NULL)),
    CHECK ((state = 'in_flight') = (lease_until IS NOT NULL))
) WITH (
    -- Rows come, change a few times and go: they are swept early, and have room to change in place.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05
);

CREATE INDEX turns_to_wake ON turns (wake_at) WHERE state = 'deferred';
CREATE INDEX turns_to_queue ON turns (queue_after) WHERE state = 'waiting' AND NOT queued;

-- How a message's turn was over. Written once.
CREATE TABLE outcomes (
    campaign TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    number   BIGINT GENERATED ALWAYS AS IDENTITY,  -- the order in which turns were over
    outcome  TEXT   NOT NULL CHECK (outcome IN ('done', 'skipped', 'dead', 'unknown')),
    reason   TEXT,             -- SkipReason, DeadReason or UnknownReason; none when done
    detail   TEXT   NOT NULL,  -- JSON: the ending, with its failure or evidence
    effects  TEXT   NOT NULL,  -- JSON: what stands at Twilio, by SID
    attempts BIGINT NOT NULL,  -- attempts that failed, the last of a dead message included
    at       BIGINT NOT NULL,  -- ms
    PRIMARY KEY (campaign, id)
);

CREATE INDEX outcomes_by_reason ON outcomes (campaign, outcome, reason);
CREATE INDEX outcomes_dead ON outcomes (at) WHERE outcome = 'dead';

-- What happened to each saga, in order. It and `outcomes` are written only beside the row of `turns`
-- that they belong to, which refers to its message: a reference of their own would lock the
-- message's row once more with every event.
CREATE TABLE journal (
    campaign TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    seq      BIGINT NOT NULL,  -- counted from 0 within the message
    at       BIGINT NOT NULL,  -- ms
    event    TEXT   NOT NULL,  -- JSON: the event
    PRIMARY KEY (campaign, id, seq)
);

-- Deliveries that were no message.
CREATE TABLE strays (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign TEXT COLLATE "C" NOT NULL,  -- the one whose queue it lay on
    detail   TEXT   NOT NULL,            -- what is wrong with it
    body     TEXT   NOT NULL,            -- cut to a kilobyte
    at       BIGINT NOT NULL             -- ms
);
