-- The ledger's bytes. Columns beside `leaf` repeat its members so that they can be
-- searched; `greffe fsck` checks that they agree. Names are compared byte by byte (collation
-- "C"): an index must not depend on the machine's locale files.

-- One row: whose ledger this is.
CREATE TABLE ledger (
    id     smallint PRIMARY KEY CHECK (id = 1),
    origin text     NOT NULL
);

-- One row: who may append. `epoch` grows each time that changes and is the fencing token:
-- an append under another epoch writes nothing. Every append updates this row first, so
-- appends and changes of the writer wait for each other on its lock.
CREATE TABLE lease (
    id      smallint    PRIMARY KEY CHECK (id = 1),
    epoch   bigint      NOT NULL,
    holder  text        NOT NULL,
    renewed timestamptz NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE entries (
    position       bigint  PRIMARY KEY CHECK (position >= 0),
    stream_version bigint  NOT NULL,
    recorded       bigint  NOT NULL, -- microseconds since 1970, UTC
    item           integer,
    stream_type    text    COLLATE "C" NOT NULL,
    stream_id      text    COLLATE "C" NOT NULL,
    event_type     text    COLLATE "C" NOT NULL,
    kid            text    NOT NULL,
    filing         bytea,            -- digest; NULL for the ledger's own events
    link           bytea   NOT NULL CHECK (octet_length(link) = 32),
    signature      bytea   NOT NULL CHECK (octet_length(signature) = 64),
    leaf           text    NOT NULL  -- the signed bytes, exactly
);

CREATE UNIQUE INDEX entries_by_stream ON entries (stream_type, stream_id, stream_version);

-- Start-up folds everything that is not of an access stream; accesses outnumber the rest.
CREATE INDEX entries_of_register ON entries (position) WHERE stream_type <> 'access';

-- And, among accesses, what was disclosed about groups of persons: what is disclosed next is
-- held against it. The same condition as `EntryRow::discloses_group`.
CREATE INDEX entries_about_groups ON entries (position)
WHERE stream_type = 'access' AND event_type <> 'AccessDenied' AND strpos(leaf, '"cohort":{') > 0;

CREATE TABLE filings (
    first_position bigint  PRIMARY KEY,
    items          integer NOT NULL,
    digest         bytea   NOT NULL CHECK (octet_length(digest) = 32),
    iss            text    COLLATE "C" NOT NULL,
    jti            text    COLLATE "C" NOT NULL,
    jwt            text    NOT NULL -- the signed bytes, exactly, without disclosures
);

CREATE UNIQUE INDEX filings_by_key ON filings (iss, jti);

-- Personal values, the only rows that may go. Never updated.
CREATE TABLE disclosures (
    position bigint NOT NULL,
    digest   bytea  NOT NULL CHECK (octet_length(digest) = 32),
    encoded  text   NOT NULL,
    PRIMARY KEY (position, digest)
);

-- Digests are random: four bytes of hash make a smaller index than the digest itself.
CREATE INDEX disclosures_by_digest ON disclosures USING hash (digest);

-- Whoever may not run these statements is stopped by its grants (the end of this file). The
-- triggers stop the owner as well.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: what is recorded is never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER filings_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON filings
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER disclosures_are_never_changed BEFORE UPDATE OR TRUNCATE ON disclosures
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER origin_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER lease_is_never_removed BEFORE DELETE OR TRUNCATE ON lease
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An epoch that went back would let a former writer append again.
CREATE FUNCTION refuse_earlier_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an epoch never goes back, from % to %', OLD.epoch, NEW.epoch
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER epoch_never_goes_back BEFORE UPDATE ON lease
FOR EACH ROW WHEN (NEW.epoch < OLD.epoch) EXECUTE FUNCTION refuse_earlier_epoch();

-- Takes the lease if it is free: never held, given back, or not renewed for `patience`.
-- Answers the epoch under which `me` may append; NULL while another holds it.
CREATE FUNCTION take_lease(me text, patience interval) RETURNS bigint
LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE lease
    SET epoch = epoch + 1, holder = me, renewed = clock_timestamp()
    WHERE renewed < clock_timestamp() - patience
    RETURNING epoch
$$;

-- After an append of unknown outcome: waits until it has ended one way or the other (it
-- holds the row), and makes sure that one still on its way finds another epoch. NULL when
-- somebody else has the lease.
CREATE FUNCTION settle_lease(me text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE lease SET epoch = epoch + 1, renewed = clock_timestamp()
    WHERE holder = me
    RETURNING epoch
$$;

-- False when somebody else has it.
CREATE FUNCTION renew_lease(my_epoch bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER AS $$
    WITH renewed AS (
        UPDATE lease SET renewed = clock_timestamp() WHERE epoch = my_epoch RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM renewed)
$$;

-- Gives it back, for whoever waits.
CREATE FUNCTION release_lease(my_epoch bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE lease SET renewed = '-infinity' WHERE epoch = my_epoch
$$;

-- Appends a batch, if `my_epoch` is the lease's and the head is the expected one. One call,
-- hence one transaction and one round trip: no connection that breaks leaves it half done
-- or open. Answers what happened and the head there was; other failures are errors.
--
-- Each statement below sees what was committed when it began: the head is read after the
-- lease's row is locked, so no append can come between.
CREATE FUNCTION append_batch(
    my_epoch bigint, expected_size bigint, expected_link bytea,
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
    UPDATE lease SET renewed = clock_timestamp() WHERE epoch = my_epoch;
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

-- How many entries were recorded at or before a time. Times never decrease along positions:
-- the first later one is found by halving.
CREATE FUNCTION size_at(at bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low    bigint := 0;
    high   bigint := coalesce((SELECT max(position) + 1 FROM entries), 0);
    middle bigint;
BEGIN
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        IF (SELECT recorded FROM entries WHERE position = middle) <= at THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- The columns of postgres-es 0.5, so that its repository and cqrs-es tools read a ledger.
-- Writing to it fails, as it must.
CREATE VIEW events AS
SELECT
    stream_type                                AS aggregate_type,
    stream_id                                  AS aggregate_id,
    stream_version                             AS sequence,
    event_type,
    leaf::json -> 'event' ->> 'version'        AS event_version,
    leaf::json -> 'event'                      AS payload,
    json_build_object(
        'position', position::text,
        'time', leaf::json ->> 'time',
        'rulebook', coalesce(leaf::json ->> 'rulebook', ''),
        'link', encode(link, 'hex'),
        'kid', kid,
        'filing', coalesce(encode(filing, 'hex'), ''),
        'item', coalesce(item::text, '')
    )                                          AS metadata
FROM entries;

-- Nobody runs the functions that write but the owner and whom it names. They run with the
-- owner's rights, hence with the owner's names only.
DO $$
DECLARE
    writes regprocedure;
BEGIN
    FOREACH writes IN ARRAY ARRAY[
        'take_lease(text, interval)', 'settle_lease(text)', 'renew_lease(bigint)',
        'release_lease(bigint)', (SELECT oid FROM pg_proc WHERE proname = 'append_batch'
                                  AND pronamespace = current_schema()::regnamespace)::text
    ]::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', writes, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', writes);
    END LOOP;
END $$;
