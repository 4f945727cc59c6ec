-- The ledger, fourteenth edition: no lane is lent any more. What needs a slow lane asks for a start, one moment on all
-- of its lanes.

-- A lane that is lent counts as used when its loan would have ended.
UPDATE lanes SET free_at = greatest(free_at, held_until + period) WHERE holder IS NOT NULL;
DROP FUNCTION hand_out;
ALTER TABLE lanes DROP COLUMN holder, DROP COLUMN held_until;

-- Hands lanes out to one consumer, as src/pacing/shared.rs describes; a test holds the two against each other. All
-- times are nanoseconds since 1970-01-01T00:00:00Z on the server's clock, which is read when the lanes' rows are
-- locked.
--
-- Lanes are known by their place in of_lanes, wants by their place in wanted, starts by their place in start_ends,
-- beginning at 1. members holds the wants of each group, one group behind the other; ends holds the place in members of
-- each group's last want. start_lanes, start_slots, start_credits and start_ends hold the lanes of each start in the same
-- way.
-- A want's kind is 0: it could be had, but another lane of its group could not; 1: the lane is the consumer's from
-- froms to tos; 2: not now, to be asked for again at froms.
-- A start is at start_at where start_late is 0; else it is to be asked for again at start_at, and start_late is the
-- place, among its lanes, of the one that is the last to be free.
CREATE FUNCTION hand_out(
    of_lanes TEXT[], periods BIGINT[],         -- a period of 0: the request only tells of the lane
    unused INT[], unused_slots BIGINT[], unused_end BIGINT[],  -- slots of starts that are given back
    rested INT[], rested_until BIGINT[],       -- lanes that rest until then
    wanted INT[], slots BIGINT[], untils BIGINT[], members INT[], ends INT[],
    start_lanes INT[], start_slots BIGINT[], start_credits BIGINT[], start_ends INT[], start_not_before BIGINT[],
    way BIGINT,                                -- nothing that is given begins earlier
    ahead BIGINT,                              -- how far ahead of its time a lane is handed out
    OUT at BIGINT, OUT kinds INT[], OUT froms BIGINT[], OUT tos BIGINT[], OUT start_at BIGINT[], OUT start_late INT[])
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    start_empty CONSTANT BIGINT := 1000000000;
    owed_max CONSTANT BIGINT := 4611686018427387903;
    free BIGINT[];
    every BIGINT[];
    ready BIGINT[] := '{}';
    first INT;
    member INT := 1;
    l INT;
    w INT;
    late INT;
    latest BIGINT;
    offer BIGINT;
    begins BIGINT;
    lasts BIGINT;
    is_open BOOLEAN;
BEGIN
    FOR look IN 1..2 LOOP
        -- Locked in one order by all, then put in the order of the request.
        SELECT array_agg(r.free_at ORDER BY r.place), array_agg(r.period ORDER BY r.place)
        INTO free, every
        FROM (SELECT n.place, k.free_at, k.period
              FROM unnest(of_lanes) WITH ORDINALITY AS n (lane, place) JOIN lanes k ON k.lane = n.lane
              ORDER BY k.lane FOR UPDATE OF k) r;
        EXIT WHEN coalesce(cardinality(free), 0) = cardinality(of_lanes);
        INSERT INTO lanes (lane, free_at, period)
        SELECT n.lane, 0, 1 FROM unnest(of_lanes) AS n (lane) ORDER BY n.lane COLLATE "C"
        ON CONFLICT DO NOTHING;
    END LOOP;
    at := (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT * 1000;

    FOR l IN 1..cardinality(of_lanes) LOOP
        CONTINUE WHEN periods[l] = 0;
        -- Who used it before may have lost the record: a new lane that is fast starts empty.
        IF free[l] = 0 THEN
            free[l] := at + CASE WHEN periods[l] <= start_empty THEN periods[l] ELSE 0 END;
        ELSIF every[l] <> periods[l] THEN
            free[l] := at + least(owed_max,
                ceil(greatest(free[l] - at, 0)::NUMERIC * periods[l] / greatest(every[l], 1)))::BIGINT;
        END IF;
        every[l] := periods[l];
    END LOOP;
    FOR n IN 1..cardinality(unused) LOOP
        l := unused[n];
        IF free[l] <= unused_end[n] + every[l] / 4 THEN
            free[l] := greatest(free[l] - unused_slots[n] * every[l], 0);
        END IF;
    END LOOP;
    FOR n IN 1..cardinality(rested) LOOP
        free[rested[n]] := greatest(free[rested[n]], rested_until[n]);
    END LOOP;

    -- Starts, in the order of the moment at which their lanes are free; of the same moment, in the request's order.
    start_at := array_fill(0::BIGINT, ARRAY[cardinality(start_ends)]);
    start_late := array_fill(0, ARRAY[cardinality(start_ends)]);
    first := 1;
    FOR s IN 1..cardinality(start_ends) LOOP
        begins := greatest(at + way, start_not_before[s]);
        FOR m IN first..start_ends[s] LOOP
            begins := greatest(begins, free[start_lanes[m]]);
        END LOOP;
        ready := ready || begins;
        first := start_ends[s] + 1;
    END LOOP;
    FOR w IN SELECT n FROM unnest(ready) WITH ORDINALITY AS r (moment, n) ORDER BY r.moment, r.n LOOP
        first := CASE WHEN w = 1 THEN 1 ELSE start_ends[w - 1] + 1 END;
        begins := greatest(at + way, start_not_before[w]);
        late := 0;
        latest := -1;
        FOR m IN first..start_ends[w] LOOP
            l := start_lanes[m];
            begins := greatest(begins, free[l]);
            IF free[l] >= latest THEN
                latest := free[l];
                late := m - first + 1;
            END IF;
        END LOOP;
        IF latest > at + ahead THEN
            start_at[w] := latest - ahead;
            start_late[w] := late;
            CONTINUE;
        END IF;
        start_at[w] := begins;
        FOR m IN first..start_ends[w] LOOP
            l := start_lanes[m];
            free[l] := greatest(free[l], begins - start_credits[m]) + start_slots[m] * every[l];
        END LOOP;
    END LOOP;

    kinds := array_fill(0, ARRAY[cardinality(wanted)]);
    froms := array_fill(0::BIGINT, ARRAY[cardinality(wanted)]);
    tos := froms;
    FOR g IN 1..cardinality(ends) LOOP
        -- When all lanes of the group let go, if they do.
        is_open := TRUE;
        begins := at;
        lasts := 0;
        FOR m IN member..ends[g] LOOP
            w := members[m];
            l := wanted[w];
            offer := NULL;
            IF kinds[w] = 1 THEN
                offer := froms[w];
            ELSIF free[l] > at + ahead THEN
                kinds[w] := 2;
                froms[w] := free[l] - ahead;
            ELSE
                offer := greatest(free[l], at + way);
            END IF;
            IF offer IS NULL THEN
                is_open := FALSE;
                CONTINUE;
            END IF;
            begins := greatest(begins, offer, untils[w]);
            lasts := greatest(lasts, slots[w] * every[l]);
        END LOOP;
        FOR m IN member..ends[g] LOOP
            w := members[m];
            l := wanted[w];
            CONTINUE WHEN NOT is_open OR kinds[w] = 1;
            kinds[w] := 1;
            froms[w] := greatest(free[l], at + way);
            -- Lanes that are needed together are given for the same time: the slowest says how long.
            tos[w] := froms[w] + every[l]
                * greatest(slots[w], ceil((begins + lasts - froms[w])::NUMERIC / every[l])::BIGINT);
            free[l] := tos[w];
        END LOOP;
        member := ends[g] + 1;
    END LOOP;

    UPDATE lanes k SET free_at = n.free_at, period = n.period
    FROM unnest(of_lanes, free, every) AS n (lane, free_at, period)
    WHERE k.lane = n.lane AND (k.free_at, k.period) IS DISTINCT FROM (n.free_at, n.period);
END
$$;
