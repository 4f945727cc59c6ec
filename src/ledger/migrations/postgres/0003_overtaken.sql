-- Whether a lease on the message ran out while its holder may have been alive: such a holder may still
-- send what it was about to send.
ALTER TABLE turns ADD COLUMN overtaken BOOLEAN NOT NULL DEFAULT FALSE;

-- Whether the consumer of this name shows that it lives: it holds an advisory lock for as long as its
-- process does. 1718384739 is "flxc" in ASCII.
CREATE FUNCTION lives(holder TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = 1718384739 AND objid = hashtext(holder)::oid)
$$;
