-- Leases that ran out and were taken over while their holder was alive. Until it lets go, or is dead, it
-- may still send what it was about to send.
CREATE TABLE overtaken (
    campaign TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    lease    BIGINT NOT NULL,  -- its number
    holder   TEXT   NOT NULL,
    PRIMARY KEY (campaign, id, lease)
);

-- How many events its journal had when it was last taken. A lease under which nothing was recorded since
-- has announced no call that could come late.
ALTER TABLE turns ADD COLUMN events_taken BIGINT NOT NULL DEFAULT 0;

-- Whether the consumer of this name shows that it lives: it holds an advisory lock for as long as its
-- process does. 1718384739 is "flxc" in ASCII.
CREATE FUNCTION lives(holder TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = 1718384739 AND objid = hashtext(holder)::oid)
$$;
