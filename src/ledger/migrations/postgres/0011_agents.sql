-- The ledger, eleventh edition: consumers count together what they have begun for an agent.

-- The messages whose task goes to an agent at once, for as long as what a consumer has read of the agent may not show
-- the task.
CREATE TABLE begun_for_agents (
    campaign TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    agent    TEXT COLLATE "C" NOT NULL,  -- a Worker's SID
    lease    BIGINT NOT NULL,            -- the number of the lease under which it was begun
    made_at  BIGINT,                     -- ms on the store's clock: until then its task was made; null: under way
    PRIMARY KEY (campaign, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX begun_by_agent ON begun_for_agents (agent);

-- Counts a message as begun for an agent if fewer than free are, of those that a look of read_ago may not show, or
-- anyway. Tells whether it did, and how many others there are. A task shows in looks that begin shows_after it was
-- made; no look is older than kept_for. Spans are ms. 1718384741 is "flxe" in ASCII.
CREATE FUNCTION begin_for_agent(of_agent TEXT, of_campaign TEXT, of_id TEXT, of_lease BIGINT, free BIGINT,
    read_ago BIGINT, shows_after BIGINT, kept_for BIGINT, anyway BOOLEAN, chosen BIGINT,
    OUT taken BOOLEAN, OUT others BIGINT)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    at BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(1718384741, hashtext(of_agent));
    at := lease_clock(chosen);
    -- Under way no more, and nobody said so: its consumer died, and may have made the task in the last moment.
    UPDATE begun_for_agents b SET made_at = at
    WHERE b.agent = of_agent AND b.made_at IS NULL AND NOT EXISTS (
        SELECT FROM turns t
        WHERE t.campaign = b.campaign AND t.id = b.id AND t.lease = b.lease AND t.state = 'in_flight'
          AND t.lease_until > at);
    DELETE FROM begun_for_agents b WHERE b.agent = of_agent AND b.made_at + shows_after + kept_for < at;
    SELECT count(*) INTO others FROM begun_for_agents b
    WHERE b.agent = of_agent AND (b.campaign, b.id) <> (of_campaign, of_id)
      AND (b.made_at IS NULL OR b.made_at + shows_after >= at - read_ago);
    taken := anyway OR others < free;
    IF taken THEN
        INSERT INTO begun_for_agents (campaign, id, agent, lease) VALUES (of_campaign, of_id, of_agent, of_lease)
        ON CONFLICT (campaign, id) DO UPDATE SET agent = excluded.agent, lease = excluded.lease, made_at = NULL;
    END IF;
END
$$;

-- A message that was begun for an agent is under way no more: its task may stand, or certainly does not.
CREATE FUNCTION end_for_agent(of_campaign TEXT, of_id TEXT, of_lease BIGINT, may_stand BOOLEAN, chosen BIGINT)
RETURNS VOID LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF may_stand THEN
        UPDATE begun_for_agents SET made_at = lease_clock(chosen)
        WHERE campaign = of_campaign AND id = of_id AND lease = of_lease;
    ELSE
        DELETE FROM begun_for_agents WHERE campaign = of_campaign AND id = of_id AND lease = of_lease;
    END IF;
END
$$;
