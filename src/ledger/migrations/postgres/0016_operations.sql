-- The ledger, sixteenth edition: operations are recorded, and operators pause everything, a sender or an agent.

-- One row for each operation that changed something, written in the transaction of the change. Rows are never changed
-- or removed.
CREATE TABLE audit (
    number        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            BIGINT NOT NULL,       -- ms
    actor         TEXT   NOT NULL,       -- JSON: Actor
    operation     TEXT   NOT NULL,       -- OperationName
    campaign      TEXT COLLATE "C",
    id            TEXT COLLATE "C",      -- the message, if the operation concerned one
    arguments     TEXT   NOT NULL,       -- JSON: an object
    reason        TEXT,                  -- as the actor gave it
    counts_before TEXT,                  -- JSON: MessageCounts of the campaign, or of all without a campaign
    counts_after  TEXT
);

CREATE INDEX audit_by_campaign ON audit (campaign, number);

CREATE FUNCTION refuse_audit_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of the audit is never changed or removed';
END
$$;

CREATE TRIGGER audit_row_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- What operators have paused besides campaigns. A row is removed when the pause ends.
CREATE TABLE pauses (
    scope  TEXT NOT NULL CHECK (scope IN ('all', 'sender', 'agent')),
    name   TEXT COLLATE "C" NOT NULL,  -- the sender's address or the agent's name; empty for all
    actor  TEXT   NOT NULL,            -- JSON: Actor
    reason TEXT,
    since  BIGINT NOT NULL,            -- ms
    PRIMARY KEY (scope, name)
);

-- Messages that wait for the end of such a pause.
CREATE INDEX turns_paused ON turns (campaign) WHERE reason = 'paused';

-- A renewal and a change of a campaign's state, or of the pauses, never overlap: a renewal after the change reports it.
-- Each is one call of a function, so that a suspended client holds no lock. 1718384740 is "flxd" in ASCII.
DROP FUNCTION renew_right;
CREATE FUNCTION renew_right(of_holder TEXT, of_host TEXT, of_pid BIGINT, has_confirmed BIGINT, chosen BIGINT)
RETURNS TABLE (change BIGINT, stopped TEXT[], states TEXT[], scopes TEXT[], names TEXT[])
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1718384740, 0);
    INSERT INTO consumers AS c (holder, host, pid, renewed_at, confirmed)
    VALUES (of_holder, of_host, of_pid, lease_clock(chosen), has_confirmed)
    ON CONFLICT (holder) DO UPDATE SET renewed_at = excluded.renewed_at, confirmed = excluded.confirmed;
    SELECT m.value::BIGINT INTO change FROM meta m WHERE m.name = 'changes';
    SELECT coalesce(array_agg(c.id), '{}'), coalesce(array_agg(c.state), '{}') INTO stopped, states
    FROM campaigns c WHERE c.state IN ('paused', 'cancelled');
    SELECT coalesce(array_agg(p.scope ORDER BY p.scope, p.name), '{}'),
        coalesce(array_agg(p.name ORDER BY p.scope, p.name), '{}') INTO scopes, names
    FROM pauses p;
    RETURN NEXT;
END
$$;

-- Writes a campaign's state if it is still as the caller has read it, with the operation's row of the audit, and counts
-- the change: true when it was.
DROP FUNCTION change_state;
CREATE FUNCTION change_state(of_campaign TEXT, old_state TEXT, old_stopped_by TEXT,
    new_state TEXT, new_stopped_by TEXT, new_reason TEXT, at BIGINT,
    of_actor TEXT, of_operation TEXT, of_arguments TEXT, of_reason TEXT, before TEXT, after TEXT)
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
    IF of_operation IS NOT NULL THEN
        INSERT INTO audit (at, actor, operation, campaign, arguments, reason, counts_before, counts_after)
        VALUES (at, of_actor, of_operation, of_campaign, of_arguments, of_reason, before, after);
    END IF;
    RETURN TRUE;
END
$$;

-- Begins or ends a pause of everything, of a sender or of an agent, with the operation's row of the audit, and counts
-- the change: true when it changed something.
CREATE FUNCTION change_pause(of_scope TEXT, of_name TEXT, is_paused BOOLEAN, at BIGINT,
    of_actor TEXT, of_operation TEXT, of_arguments TEXT, of_reason TEXT, counts TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1718384740, 0);
    IF is_paused THEN
        INSERT INTO pauses (scope, name, actor, reason, since) VALUES (of_scope, of_name, of_actor, of_reason, at)
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM pauses p WHERE p.scope = of_scope AND p.name = of_name;
    END IF;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    UPDATE meta SET value = (value::BIGINT + 1)::TEXT WHERE name = 'changes';
    INSERT INTO audit (at, actor, operation, arguments, reason, counts_before, counts_after)
    VALUES (at, of_actor, of_operation, of_arguments, of_reason, counts, counts);
    RETURN TRUE;
END
$$;

-- One row for each time that a message was put off: when, why, and until when.
CREATE TABLE waits (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL,  -- ms
    reason   TEXT   NOT NULL,  -- WaitReason
    due_at   BIGINT NOT NULL,  -- ms: not before this time; of a pace, an estimate
    failure  TEXT              -- JSON: the failure that is retried
);

CREATE INDEX waits_of_message ON waits (campaign, id);
