-- An epoch alone does not say whose it is: a replica that was promoted before the last change
-- of the lease reached it counts on from an earlier epoch, and gives another server the one
-- that the former writer still holds. Whoever has the lease is its holder in its epoch.

CREATE FUNCTION renew_lease(me text, my_epoch bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER AS $$
    WITH renewed AS (
        UPDATE lease SET renewed = clock_timestamp()
        WHERE epoch = my_epoch AND holder = me
        RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM renewed)
$$;

CREATE FUNCTION release_lease(me text, my_epoch bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE lease SET renewed = '-infinity' WHERE epoch = my_epoch AND holder = me
$$;

-- Appends a batch, if the lease is ours in `my_epoch` and the head is the expected one. One call,
-- hence one transaction and one round trip: no connection that breaks leaves it half done
-- or open. Answers what happened and the head there was; other failures are errors.
--
-- Each statement below sees what was committed when it began: the head is read after the
-- lease's row is locked, so no append can come between.
CREATE FUNCTION append_batch(
    me text, my_epoch bigint, expected_size bigint, expected_link bytea,
    stream_versions bigint[], times bigint[], of_items integer[], stream_types text[],
    stream_ids text[], event_types text[], kids text[], of_filings bytea[], links bytea[],
    signatures bytea[], leaves text[],
    first_positions bigint[], item_counts integer[], digests bytea[], issuers text[],
    jtis text[], jwts text[],
    disclosed_at bigint[], disclosed bytea[], encodings text[],
    erased bytea[],
    OUT outcome text, OUT size bigint, OUT link bytea
) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    fenced boolean;
BEGIN
    UPDATE lease SET renewed = clock_timestamp() WHERE epoch = my_epoch AND holder = me;
    fenced := NOT FOUND;
    SELECT e.position + 1, e.link INTO size, link FROM entries e ORDER BY e.position DESC LIMIT 1;
    IF NOT FOUND THEN
        size := 0;
        link := decode(repeat('00', 32), 'hex');
    END IF;
    IF fenced THEN
        outcome := 'fenced';
        RETURN;
    END IF;
    IF size <> expected_size OR link <> expected_link THEN
        outcome := 'conflict';
        RETURN;
    END IF;
    -- Before the batch's own disclosures, which stay.
    IF cardinality(erased) > 0 THEN
        DELETE FROM disclosures d WHERE d.digest = ANY (erased);
    END IF;
    INSERT INTO entries (position, stream_version, recorded, item, stream_type, stream_id,
                         event_type, kid, filing, link, signature, leaf)
    SELECT expected_size + r.n - 1, r.stream_version, r.recorded, r.item, r.stream_type,
           r.stream_id, r.event_type, r.kid, r.filing, r.link, r.signature, r.leaf
    FROM unnest(stream_versions, times, of_items, stream_types, stream_ids, event_types, kids,
                of_filings, links, signatures, leaves)
         WITH ORDINALITY AS r (stream_version, recorded, item, stream_type, stream_id,
                               event_type, kid, filing, link, signature, leaf, n);
    IF cardinality(first_positions) > 0 THEN
        INSERT INTO filings (first_position, items, digest, iss, jti, jwt)
        SELECT * FROM unnest(first_positions, item_counts, digests, issuers, jtis, jwts);
    END IF;
    IF cardinality(disclosed_at) > 0 THEN
        INSERT INTO disclosures (position, digest, encoded)
        SELECT * FROM unnest(disclosed_at, disclosed, encodings);
    END IF;
    outcome := 'appended';
END $$;

-- Those that ask for an epoch alone go. The new ones are their owner's, wherever the tables
-- are, and whoever could run the old ones can run them.
DO $$
DECLARE
    own     oid;
    schema  text;
    old     regprocedure;
    new     regprocedure;
    owner   regrole;
    grantee regrole;
    pairs   integer := 0;
BEGIN
    SELECT c.relnamespace, n.nspname INTO own, schema
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'lease'::regclass;
    FOR old, new, owner IN
        SELECT o.oid, n.oid, o.proowner FROM pg_proc o JOIN pg_proc n USING (proname, pronamespace)
        WHERE proname IN ('renew_lease', 'release_lease', 'append_batch')
          AND pronamespace = own
          AND 'me' = n.proargnames[1] AND NOT 'me' = o.proargnames[1]
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', new, owner);
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', new, schema);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', new);
        FOR grantee IN
            SELECT a.grantee FROM pg_proc p, aclexplode(p.proacl) a
            WHERE p.oid = old AND a.grantee <> 0
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', new, grantee);
        END LOOP;
        EXECUTE format('DROP FUNCTION %s', old);
        pairs := pairs + 1;
    END LOOP;
    IF pairs <> 3 THEN
        RAISE EXCEPTION 'the functions of the ledger are not in the schema of its tables, %', schema
            USING HINT = 'Run this with a search_path that begins with that schema.';
    END IF;
END $$;
