-- The ledger, seventh edition: operators stop campaigns, and consumers confirm it.

-- JSON: who paused or cancelled the campaign, while it is paused or cancelled.
ALTER TABLE campaigns ADD COLUMN stopped_by TEXT;
-- ms: since when the campaign is in its state.
ALTER TABLE campaigns ADD COLUMN state_since BIGINT NOT NULL DEFAULT 0;
UPDATE campaigns SET state_since = changed_at;
-- Earlier editions had no command for it: every pause was the program's, for credentials that Twilio refused.
UPDATE campaigns SET stopped_by = '{"kind":"program","cause":"credentials_refused"}' WHERE state = 'paused';

-- How often the state of a campaign has changed: the number of the last change.
INSERT INTO meta (name, value) VALUES ('changes', '0');

-- The consumers that may live. Each renews its row every second, and with it its right to start changing calls.
CREATE TABLE consumers (
    holder     TEXT COLLATE "C" PRIMARY KEY,  -- its name in leases
    host       TEXT   NOT NULL,               -- the name of its machine
    pid        BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,               -- ms on the store's clock
    confirmed  BIGINT                         -- number of the last change that it has carried out
);

-- A lease on the message ended without a settlement. Something of the message may stand at Twilio that its
-- journal does not know.
ALTER TABLE turns ADD COLUMN doubtful BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE turns SET doubtful = TRUE WHERE lease > 0;

-- Renewals share this lock, and a change of a state has it alone: a renewal is answered before the change, and
-- the consumer's right then runs out by itself; or after it, and the answer reports the change. Both are one
-- call of a function, so that a client that stands still holds no lock. A function reads anew with each of its
-- statements: what it waited for, it sees. 1718384740 is "flxd" in ASCII.
CREATE FUNCTION renew_right(of_holder TEXT, of_host TEXT, of_pid BIGINT, has_confirmed BIGINT, chosen BIGINT)
RETURNS TABLE (change BIGINT, stopped TEXT[], states TEXT[]) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1718384740, 0);
    INSERT INTO consumers AS c (holder, host, pid, renewed_at, confirmed)
    VALUES (of_holder, of_host, of_pid, lease_clock(chosen), has_confirmed)
    ON CONFLICT (holder) DO UPDATE SET renewed_at = excluded.renewed_at, confirmed = excluded.confirmed;
    SELECT m.value::BIGINT INTO change FROM meta m WHERE m.name = 'changes';
    SELECT coalesce(array_agg(c.id), '{}'), coalesce(array_agg(c.state), '{}') INTO stopped, states
    FROM campaigns c WHERE c.state IN ('paused', 'cancelled');
    RETURN NEXT;
END
$$;

-- Writes a campaign's state if it is still as the caller has read it: true when it was.
CREATE FUNCTION change_state(of_campaign TEXT, old_state TEXT, old_stopped_by TEXT,
    new_state TEXT, new_stopped_by TEXT, new_reason TEXT, at BIGINT)
RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1718384740, 0);
    UPDATE campaigns c SET state = new_state, stopped_by = new_stopped_by, reason = new_reason,
        state_since = at, changed_at = at
    WHERE c.id = of_campaign AND c.state = old_state AND c.stopped_by IS NOT DISTINCT FROM old_stopped_by;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    UPDATE meta SET value = (value::BIGINT + 1)::TEXT WHERE name = 'changes';
    RETURN TRUE;
END
$$;
