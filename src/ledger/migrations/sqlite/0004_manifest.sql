-- The ledger, fourth edition: an import says which file it read and how, and goes on where one that died
-- stopped; a delivery that was no message says why.

ALTER TABLE imports ADD COLUMN sha256 TEXT;     -- of the file's bytes, in hex; none before this edition
ALTER TABLE imports ADD COLUMN reading TEXT;    -- SHA-256 of what decides how its rows are read, in hex
ALTER TABLE imports ADD COLUMN continues INTEGER;  -- number of the import that died and that it goes on with
ALTER TABLE imports ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;  -- rows that those before it account for
ALTER TABLE imports ADD COLUMN seen_at INTEGER; -- ms: its last sign of life

ALTER TABLE strays ADD COLUMN reason TEXT NOT NULL DEFAULT 'malformed';  -- DeadReason
