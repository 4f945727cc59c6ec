-- The ledger, tenth edition: what consumers share is handed out in one round trip each. No lock is held while a
-- consumer's answer or its next statement is on its way.

-- Hands lanes out to one consumer, as src/pacing/shared.rs describes; a test holds the two against each other. All
-- times are nanoseconds since 1970-01-01T00:00:00Z on the server's clock, which is read when the lanes' rows are
-- locked.
--
-- Lanes are known by their place in of_lanes, wants by their place in wanted, beginning at 1. members holds the wants
-- of each group, one group behind the other; ends holds the place in members of each group's last want.
-- An answer's kind is 0: it could be had, but another lane of its group could not; 1: the lane is the consumer's from
-- froms to tos; 2: not now, to be asked for again at froms.
CREATE FUNCTION hand_out(
    whose TEXT, of_lanes TEXT[],
    returned INT[], returned_at BIGINT[],      -- lanes that are given back, free from then on
    rested INT[], rested_until BIGINT[],       -- lanes that rest until then
    wanted INT[], periods BIGINT[], slots BIGINT[], untils BIGINT[],
    members INT[], ends INT[],
    way BIGINT,                                -- nothing that is given begins earlier
    ahead BIGINT,                              -- how far ahead of its time a lane is handed out
    OUT at BIGINT, OUT kinds INT[], OUT froms BIGINT[], OUT tos BIGINT[])
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    slow CONSTANT BIGINT := 500000000;         -- above it a lane is lent whole
    lent_for CONSTANT BIGINT := 5000000000;
    lent_again CONSTANT BIGINT := 150000000;
    start_empty CONSTANT BIGINT := 1000000000;
    owed_max CONSTANT BIGINT := 4611686018427387903;
    free BIGINT[];
    every BIGINT[];
    holders TEXT[];
    until BIGINT[];
    member INT := 1;
    l INT;
    w INT;
    offer BIGINT;
    begins BIGINT;
    lasts BIGINT;
    is_open BOOLEAN;
BEGIN
    FOR look IN 1..2 LOOP
        -- Locked in one order by all, then put in the order of the request.
        SELECT array_agg(r.free_at ORDER BY r.place), array_agg(r.period ORDER BY r.place),
            array_agg(r.holder ORDER BY r.place), array_agg(r.held_until ORDER BY r.place)
        INTO free, every, holders, until
        FROM (SELECT n.place, k.free_at, k.period, k.holder, k.held_until
              FROM unnest(of_lanes) WITH ORDINALITY AS n (lane, place) JOIN lanes k ON k.lane = n.lane
              ORDER BY k.lane FOR UPDATE OF k) r;
        EXIT WHEN coalesce(cardinality(free), 0) = cardinality(of_lanes);
        INSERT INTO lanes (lane, free_at, period)
        SELECT n.lane, 0, 1 FROM unnest(of_lanes) AS n (lane) ORDER BY n.lane COLLATE "C"
        ON CONFLICT DO NOTHING;
    END LOOP;
    at := (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT * 1000;

    FOR n IN 1..cardinality(returned) LOOP
        l := returned[n];
        IF holders[l] = whose THEN
            holders[l] := NULL;
            until[l] := NULL;
            free[l] := greatest(free[l], returned_at[n]);
        END IF;
    END LOOP;
    FOR n IN 1..cardinality(rested) LOOP
        free[rested[n]] := greatest(free[rested[n]], rested_until[n]);
    END LOOP;

    FOR n IN 1..cardinality(wanted) LOOP
        l := wanted[n];
        -- Who used it before may have lost the record: a new lane that is fast starts empty.
        IF free[l] = 0 THEN
            free[l] := at + CASE WHEN periods[n] <= start_empty THEN periods[n] ELSE 0 END;
        ELSIF every[l] <> periods[n] THEN
            free[l] := at + least(owed_max,
                ceil(greatest(free[l] - at, 0)::NUMERIC * periods[n] / greatest(every[l], 1)))::BIGINT;
        END IF;
        every[l] := periods[n];
        IF until[l] <= at THEN
            -- Its holder is gone, and may have used it in the last moment.
            free[l] := greatest(free[l], until[l] + every[l]);
            holders[l] := NULL;
            until[l] := NULL;
        END IF;
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
            ELSIF holders[l] <> whose THEN
                kinds[w] := 2;
                froms[w] := at + lent_again;
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
            IF periods[w] <= slow THEN
                lasts := greatest(lasts, slots[w] * periods[w]);
            END IF;
        END LOOP;
        FOR m IN member..ends[g] LOOP
            w := members[m];
            l := wanted[w];
            CONTINUE WHEN NOT is_open OR kinds[w] = 1;
            kinds[w] := 1;
            froms[w] := greatest(free[l], at + way);
            IF every[l] > slow THEN
                holders[l] := whose;
                until[l] := froms[w] + lent_for;
                tos[w] := until[l] + slots[w] * every[l];
            ELSE
                -- Lanes that are needed together are given for the same time: the slowest says how long.
                tos[w] := froms[w] + every[l]
                    * greatest(slots[w], ceil((begins + lasts - froms[w])::NUMERIC / every[l])::BIGINT);
                free[l] := tos[w];
            END IF;
        END LOOP;
        member := ends[g] + 1;
    END LOOP;

    UPDATE lanes k SET free_at = n.free_at, period = n.period, holder = n.holder, held_until = n.held_until
    FROM unnest(of_lanes, free, every, holders, until) AS n (lane, free_at, period, holder, held_until)
    WHERE k.lane = n.lane AND (k.free_at, k.period, k.holder, k.held_until)
        IS DISTINCT FROM (n.free_at, n.period, n.holder, n.held_until);
END
$$;

-- Gives a consumer, which has so many calls under way, its share of all places, and tells how many consumers there
-- are. The shares of all never add up to more than there are, whoever comes, goes or dies: what one is to give up it
-- has until its calls are over, and another gets it only then. A consumer that died takes its share with it for five
-- seconds; its calls, whose connections went with it, are over by then.
CREATE FUNCTION share_places(whose TEXT, all_places BIGINT, taken BIGINT,
    OUT share BIGINT, OUT consumers BIGINT, OUT at BIGINT)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    lasts CONSTANT BIGINT := 5000000000;
    place BIGINT;
    theirs BIGINT;
BEGIN
    LOCK TABLE account_places IN SHARE ROW EXCLUSIVE MODE;
    at := (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT * 1000;
    DELETE FROM account_places WHERE holder <> whose AND until <= at;
    SELECT count(*) + 1, count(*) FILTER (WHERE p.holder < whose), coalesce(sum(p.places), 0)
    INTO consumers, place, theirs FROM account_places p WHERE p.holder <> whose;
    -- Odd places go to the first.
    share := least(all_places / consumers + (place < all_places % consumers)::INT, greatest(all_places - theirs, 0));
    -- What is under way is not given up before it is over.
    INSERT INTO account_places AS p (holder, places, until) VALUES (whose, greatest(share, taken), at + lasts)
    ON CONFLICT (holder) DO UPDATE SET places = excluded.places, until = excluded.until;
END
$$;
