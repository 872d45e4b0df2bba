-- The ledger's bytes. Columns beside `leaf` repeat its members so that they can be
-- searched; `greffe fsck` checks that they agree.

-- One row: whose ledger this is. `settled` counts the times an append of unknown outcome
-- was decided by overwriting what it may have left behind (infra/src/store/sqlite.rs).
CREATE TABLE ledger (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    origin  TEXT    NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE entries (
    position       INTEGER PRIMARY KEY,
    stream_type    TEXT    NOT NULL,
    stream_id      TEXT    NOT NULL,
    stream_version INTEGER NOT NULL,
    event_type     TEXT    NOT NULL,
    recorded       INTEGER NOT NULL, -- microseconds since 1970, UTC
    filing         BLOB,             -- digest; NULL for the ledger's own events
    item           INTEGER,
    kid            TEXT    NOT NULL,
    link           BLOB    NOT NULL,
    signature      BLOB    NOT NULL,
    leaf           TEXT    NOT NULL  -- the signed bytes, exactly
) STRICT;

CREATE UNIQUE INDEX entries_by_stream ON entries (stream_type, stream_id, stream_version);

-- Start-up folds everything that is not of an access stream; accesses outnumber the rest.
CREATE INDEX entries_of_register ON entries (position) WHERE stream_type <> 'access';

-- And, among accesses, what was disclosed about groups of persons: what is disclosed next is
-- held against it. The same condition as `EntryRow::discloses_group`.
CREATE INDEX entries_about_groups ON entries (position)
WHERE stream_type = 'access' AND event_type <> 'AccessDenied'
AND instr(leaf, '"cohort":{') > 0;

-- Filings by their first position, which an entry gives (`position - item`): rows arrive in
-- order. Finding one by author and jti goes through `filing_keys`.
CREATE TABLE filings (
    first_position INTEGER PRIMARY KEY,
    items          INTEGER NOT NULL,
    digest         BLOB    NOT NULL,
    iss            TEXT    NOT NULL,
    jti            TEXT    NOT NULL,
    jwt            TEXT    NOT NULL -- the signed bytes, exactly, without disclosures
) STRICT;

-- Personal values, the only rows that may go. Never updated.
CREATE TABLE disclosures (
    position INTEGER NOT NULL,
    digest   BLOB    NOT NULL,
    encoded  TEXT    NOT NULL,
    PRIMARY KEY (position, digest)
) STRICT, WITHOUT ROWID;

-- Hash keys reach these two tables late and in key order (infra/src/store/late_index.rs):
-- the newest are in memory only, and read back from the tables above at start-up.
CREATE TABLE filing_keys (
    hash     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (hash, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE disclosure_keys (
    hash     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (hash, position)
) STRICT, WITHOUT ROWID;

-- Every key of a row below `complete_below` is in its table.
CREATE TABLE late_indexes (
    name           TEXT    PRIMARY KEY,
    complete_below INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO late_indexes VALUES ('filing_keys', 0), ('disclosure_keys', 0);

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;

CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;

-- Also stops INSERT OR REPLACE, which removes rows without firing the trigger above. It rolls
-- back rather than aborts: SQLite then keeps no copy of each page for undoing one statement.
CREATE TRIGGER entries_are_only_appended BEFORE INSERT ON entries
WHEN NEW.position <> (SELECT coalesce(max(position) + 1, 0) FROM entries)
BEGIN SELECT RAISE(ROLLBACK, 'an entry is only appended, at the next position'); END;

CREATE TRIGGER filings_are_never_changed BEFORE UPDATE ON filings
BEGIN SELECT RAISE(ABORT, 'a filing is never changed'); END;

CREATE TRIGGER filings_are_never_removed BEFORE DELETE ON filings
BEGIN SELECT RAISE(ABORT, 'a filing is never removed'); END;

CREATE TRIGGER filings_are_only_appended BEFORE INSERT ON filings
WHEN NEW.first_position <= (SELECT coalesce(max(first_position), -1) FROM filings)
BEGIN SELECT RAISE(ROLLBACK, 'a filing is only appended, after the last'); END;

CREATE TRIGGER disclosures_are_never_changed BEFORE UPDATE ON disclosures
BEGIN SELECT RAISE(ABORT, 'a disclosure is erased or kept, never changed'); END;

CREATE TRIGGER origin_is_never_changed BEFORE UPDATE OF origin ON ledger
BEGIN SELECT RAISE(ABORT, 'the origin of a ledger is never changed'); END;

-- The columns of sqlite-es 0.5, so that its repository and cqrs-es tools read a ledger.
-- Writing to it fails, as it must.
CREATE VIEW events AS
SELECT
    stream_type                              AS aggregate_type,
    stream_id                                AS aggregate_id,
    stream_version                           AS sequence,
    event_type,
    CAST(leaf ->> '$.event.version' AS TEXT) AS event_version,
    json_extract(leaf, '$.event')            AS payload,
    json_object(
        'position', CAST(position AS TEXT),
        'time', leaf ->> '$.time',
        'rulebook', coalesce(leaf ->> '$.rulebook', ''),
        'link', lower(hex(link)),
        'kid', kid,
        'filing', coalesce(lower(hex(filing)), ''),
        'item', coalesce(CAST(item AS TEXT), '')
    )                                        AS metadata
FROM entries;
