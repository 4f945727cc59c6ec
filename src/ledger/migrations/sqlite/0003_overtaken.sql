-- Leases that ran out and were taken over while their holder was alive. Until it lets go, or is dead, it
-- may still send what it was about to send.
CREATE TABLE overtaken (
    campaign TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    lease    INTEGER NOT NULL,  -- its number
    PRIMARY KEY (campaign, id, lease)
) STRICT, WITHOUT ROWID;

-- How many events its journal had when it was last taken. A lease under which nothing was recorded since
-- has announced no call that could come late.
ALTER TABLE turns ADD COLUMN events_taken INTEGER NOT NULL DEFAULT 0;
